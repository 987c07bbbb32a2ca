"""Consensus over Raft, as the control process of a voter sees it: a replica, and a raft process that feeds it.

The raft process brings bodies into an order that all voters share; here they are applied. Reads never wait for it. What
it tells twice, because it was started again, is applied once: records are told by their versions.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, assert_never

from managers.ports import Consensus
from managers.runtime.task_group import leave
from managers.state.replica import Listener, Machine, Replica
from p2p.consensus.base import DUMP_BYTES_MAX
from p2p.consensus.effects import Applied, DumpWanted, Refused, Role, Standing
from p2p.consensus.pipe import (
    Alive,
    Answered,
    BasePart,
    Begin,
    DumpPart,
    Failed,
    InstalledPart,
    Listening,
    NoDump,
    Parts,
    Peer,
    Peers,
    PipeError,
    Said,
    ToControl,
    ToRaft,
    Wish,
    parts,
)
from p2p.consensus.raft_child import RaftChild
from p2p.consensus.requests import LIFE_BYTES, TAG_BYTES, Requests
from ringrift_core.errors import RulesError, StorageError

S = TypeVar("S")
R = TypeVar("R")
APPLY_AT_ONCE = 64  # records, before others have a turn on the loop
RESTART_MIN_S, RESTART_MAX_S = 0.1, 5.0  # before a raft process is started again; doubles
SOUND_S = 10.0  # a raft process that lived so long is no reason for a longer pause
LEADERLESS_S = 2.0  # an election may take so long
SILENT_S = 2.0  # a raft process that says nothing for so long stands still
BEGIN_S = 15.0  # until a raft process must have told what it has; that of an earlier life may have to end first
STANDING_LISTENERS_MAX = 16

logger = logging.getLogger(__name__)
raft_log = logging.getLogger("p2p.consensus.process")  # what the raft process says

StandingListener = Callable[[Standing | None], None]


@dataclass(frozen=True, slots=True)
class Voter:
    """Who this voter is and where its things are."""

    cluster_id: str
    node: str
    key_path: Path
    store: Path  # the folder of its log
    host: str
    port: int  # to listen on; 0: a free one
    voters: tuple[str, ...]  # this one included; where its store knows some, those count
    profile: str = "lan"  # or wan


@dataclass(slots=True)
class _Heard:
    """What the present raft process has said of itself."""

    at_s: float  # the last word, on the loop's clock
    leaderless_s: float  # since then there is no leader, if there is none
    port: int = 0
    connected: tuple[str, ...] = ()
    standing: Standing | None = None
    failed: Failed | None = None
    installing: Parts = field(default_factory=Parts)


class RaftConsensus(Replica[S, R], Consensus[S, R]):
    """The replicated state at one voter; `async with` starts its raft process and keeps one running.

    It has one life: once closed it stays closed. Entering raises StorageError when the raft process cannot work here.
    The `async with` block is cancelled when the machine or a listener raises, which they must not.
    """

    def __init__(
        self,
        machine: Machine[S, R],
        voter: Voter,
        *,
        base: tuple[int, Callable[[], bytes]] | None = None,
        read_back: Listener[S, R] | None = None,
    ) -> None:
        """`base`, a version and what makes its dump, in a thread, founds a group of `voter.voters` in a blank store.

        `read_back` is told of the records that come before the raft process has said how it stands.
        """
        super().__init__(machine)
        self._voter = voter
        self._base = base
        self._read_back = () if read_back is None else (read_back,)
        self._reading_back = True
        self._peers = Peers(())
        self._child: RaftChild | None = None
        self._heard: _Heard | None = None
        self._ended = ""  # how the one before has ended, until the next one has begun
        self._standing_listeners: list[StandingListener] = []
        self._requests = Requests[R](self._say, lambda: self.trouble, secrets.token_bytes(LIFE_BYTES))
        self._serving = False
        self._closing = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._begun: asyncio.Future[None] | None = None
        self._dumping: asyncio.Task[None] | None = None

    # ---- what it shows ----

    @property
    def standing(self) -> Standing | None:
        """How this voter stands in its group, as last heard; None while its raft process has not said so."""
        return None if self._heard is None else self._heard.standing

    @property
    def term_led(self) -> int | None:
        """The term in which this voter leads; None while it does not."""
        standing = self.standing
        return standing.term if standing is not None and standing.role is Role.LEADER else None

    @property
    def port(self) -> int:
        """The port that its raft process listens on; 0 while there is none."""
        return 0 if self._heard is None else self._heard.port

    @property
    def pid(self) -> int | None:
        """Of the raft process."""
        return None if self._child is None else self._child.pid

    @property
    def connected(self) -> tuple[str, ...]:
        """The peers that its raft process is connected to."""
        return () if self._heard is None else self._heard.connected

    @property
    def trouble(self) -> str:
        """Why the state cannot be written to; "" when it can. To be asked on the loop's thread."""
        now, heard = asyncio.get_running_loop().time(), self._heard
        if heard is None:
            return f"the raft process {self._ended or 'has not been started yet'}"
        if now - heard.at_s > SILENT_S:
            return f"the raft process has not answered for {now - heard.at_s:.0f} s"
        standing = heard.standing
        if standing is None:
            return f"the raft process {self._ended or 'begins'}"
        if not standing.quorum:
            missing = sorted(set(standing.voters) - {self._voter.node, *heard.connected})
            return f"no majority of the {len(standing.voters)} voters is connected; missing: {', '.join(missing)}"
        if standing.leader is None and now - heard.leaderless_s > LEADERLESS_S:
            return f"the voters have had no leader for {now - heard.leaderless_s:.0f} s"
        return ""

    def on_standing(self, listener: StandingListener) -> None:
        """Call it with each new standing, None when the raft process has ended. It must not raise."""
        if len(self._standing_listeners) >= STANDING_LISTENERS_MAX:
            raise RulesError(f"{STANDING_LISTENERS_MAX} listeners are the most")
        self._standing_listeners.append(listener)

    # ---- what can be asked ----

    def peers(self, peers: tuple[Peer, ...]) -> None:
        """Who may connect, and where to dial them, in place of those before; whoever is to vote must be among them."""
        self._peers = Peers(peers)
        self._say(self._peers)

    async def propose(self, body: bytes, timeout_s: float) -> R:
        """Bring a body into the log; its result, once it is durable and applied (managers/ports.py: errors).

        While nobody leads it is tried again. A TimeoutError says what was in the way.
        """
        if not self._serving:
            raise StorageError("the log is closed")
        return await self._requests.propose(body, timeout_s)

    async def add_voter(self, node: str) -> None:
        """Let a node vote; returns when the leader has taken it up, `standing.voters` says when it is done.

        RulesError where it cannot be now, StorageError without an answer; so do the two below.
        """
        await self._requests.wish(Wish.ADD, node)

    async def remove_voter(self, node: str) -> None:
        """Let a node vote no more."""
        await self._requests.wish(Wish.REMOVE, node)

    async def transfer(self, node: str | None = None) -> None:
        """Let another voter lead, the best one where none is named."""
        await self._requests.wish(Wish.TRANSFER, node)

    # ---- life ----

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._begun = asyncio.get_running_loop().create_future()
        serving = self._tasks.create_task(self._serve(self._begun), name="raft")
        try:
            async with asyncio.timeout(BEGIN_S + RESTART_MAX_S):
                await self._begun
        except BaseException as error:
            serving.cancel()
            await leave(self._tasks, None)
            if isinstance(error, TimeoutError):
                raise StorageError(f"the raft process {self._ended or 'has not begun'}") from None
            raise
        self._serving = True
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the raft process; what waits may be written or not."""
        self._serving = False
        self._closing.set()
        self._requests.lost("the log was closed")
        try:
            if self._child is not None:
                await self._child.end()
        finally:
            await leave(self._tasks, error)

    async def _serve(self, begun: asyncio.Future[None]) -> None:
        """One raft process after the other, until closed."""
        loop = asyncio.get_running_loop()
        first_s, pause_s = loop.time(), RESTART_MIN_S
        while not self._closing.is_set():
            started_s = loop.time()
            self._ended, passing = await self._live()
            if self._closing.is_set():
                return
            if not begun.done() and (not passing or loop.time() - first_s > BEGIN_S):
                begun.set_exception(StorageError(f"the raft process {self._ended}"))
                return
            logger.error("the raft process %s; it is started again", self._ended)
            pause_s = RESTART_MIN_S if loop.time() - started_s > SOUND_S else pause_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            pause_s = min(2 * pause_s, RESTART_MAX_S)

    async def _live(self) -> tuple[str, bool]:
        """The life of one raft process; how it ended, and whether another process was in its way."""
        loop = asyncio.get_running_loop()
        try:
            child = await RaftChild.start()
        except StorageError as error:
            return f"cannot be started: {error}", False
        heard = self._heard = _Heard(loop.time(), loop.time())
        self._child = child
        try:
            await self._brief(child)
            async with aclosing(child.messages()) as messages:
                async for message in messages:
                    heard.at_s = loop.time()
                    await self._take(message, heard)
        except (PipeError, StorageError) as error:
            return f"told what cannot be: {error}", False
        finally:
            self._child = self._heard = None
            if self._dumping is not None:
                self._dumping.cancel()
            self._ended = "has ended" if heard.failed is None else f"cannot work: {heard.failed.reason}"
            self._requests.lost("the raft process has ended")
            self._tell_standing(None)
            await child.end()
        return self._ended, heard.failed is not None and heard.failed.passing

    async def _brief(self, child: RaftChild) -> None:
        """Tell a new raft process who it is."""
        it, founded = self._voter, self._base is not None
        paths = str(it.key_path.absolute()), str(it.store.absolute())
        child.say(Begin(it.cluster_id, it.node, *paths, it.host, it.port, it.voters, it.profile, founded=founded))
        if self._base is not None:
            version, dump = self._base
            for part in parts(BasePart, version, await asyncio.to_thread(dump)):
                await child.say_large(part)
        child.say(self._peers)

    def _say(self, message: ToRaft) -> bool:
        return self._child is not None and self._child.say(message)

    # ---- what the raft process says ----

    async def _take(self, message: ToControl, heard: _Heard) -> None:
        match message:
            case Applied():
                await self._apply_all(message)
            case InstalledPart(version):
                if (dump := heard.installing.feed(message)) is not None and version > self._version:
                    await self._replace(version, dump)
            case Standing():
                self._stand(message, heard)
            case Refused():
                self._requests.refused(message)
            case Answered():
                self._requests.answered(message)
            case DumpWanted(version):
                self._begin_dump(version)
            case Alive(connected):
                heard.connected = connected
            case Listening(port):
                heard.port = port
            case Failed():
                heard.failed = message
            case Said(level, text):
                raft_log.log(level, "%s", text)
            case _:
                assert_never(message)

    async def _apply_all(self, applied: Applied) -> None:
        """Apply what is news; others have their turn in between."""
        told = self._read_back if self._reading_back else None
        for version, body in enumerate(applied.bodies, applied.version):
            if version <= self._version:
                continue
            if version != self._version + 1:
                raise PipeError(f"version {version} after {self._version}")
            self._requests.applied(body, self._apply(body[TAG_BYTES:], told))
            if version % APPLY_AT_ONCE == 0:
                self._wake()
                await asyncio.sleep(0)
        self._wake()

    async def _replace(self, version: int, dump: bytes) -> None:
        """Take the state of a dump. What was proposed here may be in it, but no result of it will be heard."""
        state = await asyncio.to_thread(self._machine.load, dump)
        if self._reading_back:
            self._install(state, version)
        else:
            self._jump(state, version)
        self._requests.lost("the state was replaced by a newer one")
        self._wake()

    def _stand(self, standing: Standing, heard: _Heard) -> None:
        if standing.leader is None and (heard.standing is None or heard.standing.leader is not None):
            heard.leaderless_s = asyncio.get_running_loop().time()
        heard.standing = standing
        self._ended = ""
        self._reading_back = False
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)
        self._requests.moved()
        self._tell_standing(standing)

    def _tell_standing(self, standing: Standing | None) -> None:
        for listener in self._standing_listeners:
            listener(standing)

    def _begin_dump(self, version: int) -> None:
        """Dump the state where it is that of this version; an older one is nobody's any more."""
        child = self._child
        assert child is not None
        if version != self._version or (self._dumping is not None and not self._dumping.done()):
            child.say(NoDump(version))
            return
        self._dumping = self._tasks.create_task(self._dump(child, version, self._state), name="raft dump")

    async def _dump(self, child: RaftChild, version: int, state: S) -> None:
        try:
            dump = await asyncio.to_thread(self._machine.dump, state)
        except (StorageError, RulesError):
            logger.exception("no dump was made; the log of the voters goes on growing")
            child.say(NoDump(version))
            return
        if len(dump) > DUMP_BYTES_MAX:
            logger.error("a state of %d bytes is too large for a dump; %d are the most", len(dump), DUMP_BYTES_MAX)
            child.say(NoDump(version))
            return
        for part in parts(DumpPart, version, dump):
            await child.say_large(part)
