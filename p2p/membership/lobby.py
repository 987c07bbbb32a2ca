"""The lobby: where a node waits until it is in a cluster. It answers who it is, asks its peers, and comes in.

    async with listening(Answering(lobby.handlers(), ...), ...):
        entry = await lobby.run()

The decisions are bootstrap.py's; this is the shell around them: one queue of events, calls as tasks, nothing answered
before it is on the disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Protocol

from aiohttp import web

from managers.ports import BusyError
from managers.runtime.task_group import leave
from managers.state.commands import Join
from managers.state.record import Record
from p2p.http.errors import body_of
from p2p.http.json_answer import Handlers, json_answer
from p2p.identity.node_key import NodeKey
from p2p.membership.admission import TEMPORARY, Admitted, JoinForm, sealed
from p2p.membership.bootstrap import (
    CONTACTS_MAX,
    Adoption,
    Answer,
    Ask,
    Asked,
    Bootstrap,
    Card,
    Contact,
    Enter,
    Entry,
    EntryKind,
    Event,
    Heard,
    Keep,
    Kept,
    Missed,
    Tick,
)
from p2p.membership.peer_calls import PeerError
from ringrift_core.errors import RingriftError

TICK_S = 0.25
EVENTS_MAX = 1024  # that wait; more proposals are told to come again
TICKETS_MAX = 64
ANSWER_S = 8.0  # for a proposal to be kept and answered
HINDERED_S = 5.0  # after a way in has come to nothing
JOIN_PAUSE_S = 2.0  # between two rounds of wishes to join
SESSIONS_TRIED_MAX = 3  # at one member
UNSETTLED = frozenset({"no_credential", "wrong_token", "other_audience", "old_session", "replayed", "refused"})

logger = logging.getLogger(__name__)


class Peers(Protocol):
    """Calls by address (peer_calls.py)."""

    async def who(self, address: str) -> Card:
        """Who a peer is; PeerError."""

    async def adopt(self, address: str, adoption: Adoption) -> Card:
        """Propose an id to it."""

    async def join(self, address: str, form: JoinForm) -> Admitted:
        """Ask to be let in."""


class LobbyHealth(Record):
    """How a node is that waits."""

    status: str = "joining"
    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    node_id: str
    uptime_s: float
    waits_for: str


class LobbyStatus(Record):
    """How it stands."""

    running: bool = True
    status: str = "joining"
    node_id: str
    role: str = "none"
    cluster_id: str | None  # that it has adopted
    waits_for: str
    peers: tuple[str, ...]  # addresses that it asks


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What the lobby needs of a node."""

    key: NodeKey
    record: Callable[[int], Awaitable[Join]]  # its record for a session
    session: int  # the first that it tries
    keep: Callable[[Adoption], Awaitable[None]]  # on the disk when it returns
    admitted: Callable[[tuple[Contact, ...], int], Awaitable[None]]  # the same: contacts and the session are kept
    wall: Callable[[], float]  # unix seconds
    nonce: Callable[[], bytes]  # 12 random bytes
    waits: Callable[[str], None]  # hears what the node waits for, whenever that is something else


class Lobby:
    """One wait of one node; `run` ends it."""

    def __init__(self, core: Bootstrap, peers: Peers, newcomer: Newcomer, hindered: str = "") -> None:
        """`hindered` says what came in between when this life was let in before: it waits a little first."""
        self._core = core
        self._peers = peers
        self._newcomer = newcomer
        self._events: asyncio.Queue[Event] = asyncio.Queue(EVENTS_MAX)
        self._tickets: dict[int, asyncio.Future[Card]] = {}
        self._ticket = 0
        self._asking: set[str] = set()
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = ""
        self._joining = hindered  # why no member has let it in yet
        self._since_s = 0.0

    @property
    def waits_for(self) -> str:
        """What this node waits for."""
        return self._joining or self._core.waits_for

    def handlers(self) -> Handlers:
        """What is answered meanwhile: health, status, who this is, proposals."""

        async def health(_request: web.Request) -> web.Response:
            uptime_s = asyncio.get_running_loop().time() - self._since_s
            return json_answer(LobbyHealth(node_id=self._core.wish.node, uptime_s=uptime_s, waits_for=self.waits_for))

        async def status(_request: web.Request) -> web.Response:
            adopted = self._core.adopted
            return json_answer(
                LobbyStatus(
                    node_id=self._core.wish.node,
                    cluster_id=None if adopted is None else adopted.cluster_id,
                    waits_for=self.waits_for,
                    peers=self._core.wish.peers,
                )
            )

        async def who(_request: web.Request) -> web.Response:
            return json_answer(self._core.card)

        async def adopt(request: web.Request) -> web.Response:
            return json_answer(await self.proposed(await body_of(request, Adoption)))

        return {
            "GET /health": health,
            "GET /status": status,
            "GET /cluster/who": who,
            "POST /cluster/adopt": adopt,
        }

    async def proposed(self, adoption: Adoption) -> Card:
        """Somebody proposes an id: this node's card, once what it says is on the disk."""
        if len(self._tickets) >= TICKETS_MAX or self._events.full():
            raise BusyError("too many proposals wait here; try again")
        self._ticket += 1
        ticket = self._ticket
        answer: asyncio.Future[Card] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = answer
        try:
            self._events.put_nowait(Asked(adoption, ticket))
            async with asyncio.timeout(ANSWER_S):
                return await answer
        finally:
            self._tickets.pop(ticket, None)

    async def run(self) -> Entry:
        """Wait until this node is in a cluster.

        StorageError when an id cannot be kept, RingriftError when a member will never let this node in as it is.
        """
        loop = asyncio.get_running_loop()
        self._since_s, entered = loop.time(), loop.create_future()
        if self._joining:
            self._tell()
            await asyncio.sleep(HINDERED_S)
            self._joining = ""
        await self._group.__aenter__()
        error: BaseException | None = None
        self._spawn(self._tick())
        self._spawn(self._serve(entered))
        try:
            entry: Entry = await entered
            return entry if entry.kind is EntryKind.FOUNDER else await self._join(entry)
        except BaseException as raised:
            error = raised
            raise
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await leave(self._group, error)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick(self) -> None:
        while True:
            if not self._events.full():
                self._events.put_nowait(Tick())
            await asyncio.sleep(TICK_S)

    async def _serve(self, entered: "asyncio.Future[Entry]") -> None:
        """Take one event after the other, also while a member is asked to let this node in."""
        loop = asyncio.get_running_loop()
        while True:
            pending = self._core.step(loop.time(), await self._events.get())
            while pending:
                effect = pending.pop(0)
                match effect:
                    case Keep(adoption):
                        try:
                            await self._newcomer.keep(adoption)
                        except RingriftError as error:
                            entered.set_exception(error)
                            return
                        logger.info("adopted the cluster %s, proposed by %s", adoption.cluster_id, adoption.proposer)
                        pending += self._core.step(loop.time(), Kept(adoption))
                    case Ask(address) if address not in self._asking:
                        self._asking.add(address)
                        self._spawn(self._ask(effect))
                    case Answer(ticket, card) if (answer := self._tickets.get(ticket)) and not answer.done():
                        answer.set_result(card)
                    case Enter(entry):
                        entered.set_result(entry)
                    case _:
                        pass
            self._tell()

    async def _ask(self, ask: Ask) -> None:
        try:
            if ask.adoption is None:
                card = await self._peers.who(ask.address)
            else:
                card = await self._peers.adopt(ask.address, ask.adoption)
            event: Event = Heard(ask.address, card)
        except PeerError as error:
            event = Missed(ask.address, str(error))
        finally:
            self._asking.discard(ask.address)
        await self._events.put(event)

    def _tell(self) -> None:
        text = self.waits_for
        if (namesake := self._core.namesake) is not None:
            text = f"for a person: another node at {namesake} is called {self._core.wish.node}, too: say --node-id"
        if text != self._told:
            self._told = text
            logger.info("waits %s", text)
            self._newcomer.waits(text)

    # ---- a member lets this node in ----

    async def _join(self, entry: Entry) -> Entry:
        """Ask one contact after the other to be let in, until one does."""
        contacts = entry.contacts
        while True:
            for contact in contacts:
                try:
                    admitted = await self._asked_to_join(contact, entry.cluster_id)
                except PeerError as error:
                    if error.code and error.code not in TEMPORARY | UNSETTLED:
                        raise
                    self._joining = f"for a member to let it in: {error}"
                    self._tell()
                    continue
                for remark in admitted.remarks:
                    logger.warning("%s", remark)
                found = _contacts_of(admitted, contact)
                await self._newcomer.admitted(found, admitted.session)
                return replace(entry, contacts=found, session=admitted.session)
            await asyncio.sleep(JOIN_PAUSE_S)
            contacts = await self._more(contacts)

    async def _asked_to_join(self, contact: Contact, cluster_id: str) -> Admitted:
        session, newcomer = self._newcomer.session, self._newcomer
        for _ in range(SESSIONS_TRIED_MAX):
            record = await newcomer.record(session)
            form = sealed(record, contact.node, newcomer.key, now=newcomer.wall(), nonce=newcomer.nonce())
            try:
                admitted = await self._peers.join(contact.address, form)
            except PeerError as error:
                known = error.details.get("session")
                if error.code != "old_session" or not isinstance(known, int | float):
                    raise
                session = int(known) + 1
                continue
            if admitted.cluster_id != cluster_id:
                raise PeerError(f"{contact.address} is in the cluster {admitted.cluster_id} now", "busy")
            return admitted
        raise PeerError(f"{contact.address} knows a later session each time", "busy")

    async def _more(self, contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
        """The contacts, and those that they name."""
        found = {contact.node: contact for contact in contacts}
        for contact in contacts:
            try:
                card = await self._peers.who(contact.address)
            except PeerError:
                continue
            for named in card.contacts:
                found.setdefault(named.node, named)
        return tuple(found.values())[:CONTACTS_MAX]


def _contacts_of(admitted: Admitted, asked: Contact) -> tuple[Contact, ...]:
    """Whom to ask from now on: the voters first, and whoever let this node in where it was reached."""
    found = {asked.node: asked}
    for member in admitted.members:
        for address in member.addresses[:1]:
            found.setdefault(member.node, Contact(node=member.node, address=address))
    votes = {member.node for member in admitted.members if member.voter}
    return tuple(sorted(found.values(), key=lambda it: it.node not in votes))[:CONTACTS_MAX]
