"""FollowingConsensus: the replicated state of a node that is no voter. It watches one voter and asks voters to propose.

    async with FollowingConsensus(machine, calls, contacts, node, ...) as consensus: ...

One question at a time is on its way: a long poll at one voter, at the next one where that fails. What is proposed goes
to a voter, is tried at another one while there is time (a command has a number: it takes effect once), and is answered
when it has been applied here too. The same command is asked for again after an answer that was lost, never a later one.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from pydantic import ValidationError

from managers.ports import BusyError, LedConsensus
from managers.runtime.task_group import leave
from managers.state.cluster_state import ClusterState, Result
from managers.state.members import LEADER
from managers.state.record import Count, Record
from managers.state.replica import Machine, Replica
from p2p.consensus.watch_form import DUMP_BYTES_MAX, WHOLE_BYTES_MAX, DumpPiece, Records, decode
from p2p.http.node_calls import CallError, CallRefused
from ringrift_core.errors import RulesError, StorageError

COMMAND_BYTES_MAX = 1 << 20
RESULT_BYTES_MAX = 1 << 20
TRY_S = 10.0  # for one voter to bring a command into the log
WAITING_MAX = 1024  # proposals at once
APPLY_AT_ONCE = 64  # records, before others have a turn on the loop
NOT_YOURS = 403  # a command that this node has no right to
BUSY = "busy"  # code of a voter that has too much to do
SILENT_S = 10.0  # without an answer of any voter before that is trouble
NAMED_MAX = 8  # voters that a trouble names

logger = logging.getLogger(__name__)


class Calls(Protocol):
    """Signed calls to other nodes (p2p/http/node_calls.py)."""

    async def ask(
        self, node: str, method: str, path: str, body: bytes = b"", *, timeout_s: float, bytes_max: int
    ) -> bytes:
        """The answer; CallError where there is none."""


class Proposed(Record):
    """What a voter answers to a command: its result, and a version at which it is applied."""

    result: Result
    version: Count


@dataclass(frozen=True, slots=True)
class FollowTiming:
    """How long what may take; seconds."""

    wait_s: float = 15.0  # of a long poll, when there is no news
    slack_s: float = 5.0  # for its answer beyond that; a dump takes longer
    dump_s: float = 60.0  # for a part of a dump
    least_s: float = 0.1  # between two questions: a voter remembers 34 calls per second of a node
    pause_min_s: float = 0.2  # after all voters have failed; doubles
    pause_max_s: float = 5.0
    begin_s: float = 15.0  # for the first state, or the next part of it
    behind_s: float = 60.0  # as long as nobody but who has less than we have answers, ours counts


class NoVoterError(StorageError):
    """No voter tells the state of the cluster; it may be asked again."""


@dataclass(slots=True)
class _Reach:
    """Who was reached, and who was not."""

    since_s: float  # the last answer, or the start, on the loop's clock
    missed: dict[str, str] = field(default_factory=dict)  # why, by node, since then
    turn: int = 0  # which of the voters is asked
    behind_s: float | None = None  # since when all that answer have less than we have


class FollowingConsensus(Replica[ClusterState, Result], LedConsensus[ClusterState, Result]):
    """The state as voters tell it; `async with` begins with one and follows. It has one life."""

    def __init__(
        self,
        machine: Machine[ClusterState, Result],
        calls: Calls,
        contacts: Iterable[str],
        node: str,
        chance: Callable[[], float],
        timing: FollowTiming | None = None,
    ) -> None:
        """`contacts` are nodes to ask while the state names no voter; `chance` gives numbers from 0 to 1."""
        super().__init__(machine)
        self._calls = calls
        self._contacts = tuple(dict.fromkeys(contacts))
        self._node = node
        self._chance = chance
        self._timing = timing or FollowTiming()
        self._reach = _Reach(0.0)
        self._tasks = asyncio.TaskGroup()
        self._watching: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._serving = False
        self._waiting = 0
        self._limit: asyncio.Timeout | None = None  # of the beginning

    # ---- what it shows ----

    @property
    def term_led(self) -> None:
        """Who does not vote never leads."""
        return

    @property
    def trouble(self) -> str:
        """Why the state cannot be written to; "" as far as is known. To be asked on the loop's thread."""
        silent_s = asyncio.get_running_loop().time() - self._reach.since_s
        if silent_s < SILENT_S or not self._reach.missed:  # a question without news takes longer than that
            return ""
        missed = [f"{node} ({why})" for node, why in self._reach.missed.items()]
        shown = ", ".join(missed[:NAMED_MAX]) or ", ".join(self.voters[:NAMED_MAX]) or "none is known"
        return f"no voter has answered for {silent_s:.0f} s: {shown}"

    @property
    def voters(self) -> tuple[str, ...]:
        """Whom this node asks: the voters, without any the leader, without either its contacts."""
        state = self._state
        found = state.voters
        if not found and (office := state.roles.get(LEADER)) is not None:
            found = (office.node,)
        return tuple(it for it in found if it != self._node) or tuple(it for it in self._contacts if it != self._node)

    # ---- proposals ----

    async def propose(self, body: bytes, timeout_s: float) -> Result:
        """Have a voter bring a command into the log; its result, once it is applied here too (managers/ports.py).

        A command that this node has no right to comes back as refused.
        """
        if not self._serving:
            raise StorageError("the node follows nobody any more")
        if len(body) > COMMAND_BYTES_MAX:
            raise RulesError(f"a command of {len(body)} bytes; {COMMAND_BYTES_MAX} are the most")
        if self._waiting >= WAITING_MAX:
            raise BusyError(f"{self._waiting} commands wait for an answer of the voters; try again")
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                proposed = await self._placed(body, asyncio.get_running_loop().time() + timeout_s)
                while self._version < proposed.version:
                    await self.changed(proposed.version - 1, timeout_s)
                return proposed.result
        finally:
            self._waiting -= 1

    async def _placed(self, body: bytes, end_s: float) -> Proposed:
        """What the first voter answers that does; StorageError when none did."""
        loop, voters, turn = asyncio.get_running_loop(), self.voters, self._reach.turn
        if not voters:
            raise StorageError("no voter is known")
        missed: list[str] = []
        busy = 0
        for place in range(len(voters)):
            voter = voters[(turn + place) % len(voters)]
            left_s = max(0.0, min(TRY_S, end_s - loop.time()))
            try:
                return await self._asked(voter, body, left_s)
            except CallRefused as error:
                if error.status == NOT_YOURS:
                    refused = Result(accepted=False, seq=self._state.seq, reason=str(error))
                    return Proposed(result=refused, version=0)
                busy += error.code == BUSY
                missed.append(str(error))
            except (CallError, ValidationError) as error:
                missed.append(str(error) if isinstance(error, CallError) else f"{voter}: its answer is no result")
        text = f"no voter has taken it, as far as is known: {'; '.join(missed[:NAMED_MAX])}"
        raise BusyError(text) if busy == len(missed) else StorageError(text)

    async def _asked(self, voter: str, body: bytes, left_s: float) -> Proposed:
        path = f"/cluster/propose?version={self._version}"
        content = await self._calls.ask(voter, "POST", path, body, timeout_s=left_s, bytes_max=RESULT_BYTES_MAX)
        return Proposed.model_validate_json(content)

    # ---- life ----

    async def __aenter__(self) -> Self:
        """Begin with the state of a voter; NoVoterError when none tells one in time."""
        await self._tasks.__aenter__()
        self._reach.since_s = asyncio.get_running_loop().time()
        self._reach.turn = int(self._chance() * max(1, len(self.voters)))
        self._watching = self._tasks.create_task(self._watch(), name="watch")
        try:
            async with asyncio.timeout(self._timing.begin_s) as self._limit:
                await self._begun.wait()
        except BaseException as error:
            self._watching.cancel()
            await leave(self._tasks, None)
            if isinstance(error, TimeoutError):
                missed = "; ".join(f"{node}: {why}" for node, why in self._reach.missed.items()) or "nobody is known"
                raise NoVoterError(f"no voter tells the state of the cluster: {missed}") from None
            raise
        self._serving = True
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._serving = False
        if self._watching is not None:
            self._watching.cancel()
        await leave(self._tasks, error)

    # ---- watching ----

    async def _watch(self) -> None:
        """Ask one voter after the other, as long as each answers."""
        loop, timing = asyncio.get_running_loop(), self._timing
        pause_s, failed = timing.pause_min_s, 0
        while True:
            voters = self.voters
            if failed >= max(1, len(voters)):
                await asyncio.sleep(pause_s * (0.5 + self._chance()))
                pause_s, failed = min(2 * pause_s, timing.pause_max_s), 0
                continue
            if not voters:
                failed = 1
                continue
            voter, asked_s = voters[self._reach.turn % len(voters)], loop.time()
            if await self._follow(voter):
                pause_s, failed = timing.pause_min_s, 0
                await asyncio.sleep(max(0.0, timing.least_s - (loop.time() - asked_s)))
            else:
                self._reach.turn += 1
                failed += 1

    async def _follow(self, voter: str) -> bool:
        """Ask a voter for news and take it; False when nothing came of it."""
        timing = self._timing
        path = f"/cluster/watch?since={self._version}&wait={timing.wait_s:.0f}"
        try:
            answer = await self._answer(voter, path, timing.wait_s + timing.slack_s)
            if isinstance(answer, Records):
                await self._take(answer)
            else:
                await self._replace(voter, answer)
        except (CallError, StorageError, ValueError) as error:
            self._missed(voter, str(error))
            return False
        self._reach = _Reach(asyncio.get_running_loop().time(), turn=self._reach.turn)
        self._begun.set()
        return True

    async def _answer(self, voter: str, path: str, timeout_s: float) -> Records | DumpPiece:
        return decode(await self._calls.ask(voter, "GET", path, timeout_s=timeout_s, bytes_max=WHOLE_BYTES_MAX))

    def _missed(self, voter: str, why: str) -> None:
        if voter not in self._reach.missed:
            logger.warning("%s cannot be followed: %s", voter, why)
        self._reach.missed[voter] = why

    async def _take(self, news: Records) -> None:
        """Apply records; others have their turn in between. ValueError when they are not the next ones."""
        if news.first != self._version + 1:
            raise ValueError(f"records from version {news.first} on after {self._version}")
        for number, body in enumerate(news.bodies, 1):
            self._apply(body)
            if number % APPLY_AT_ONCE == 0:
                self._wake()
                await asyncio.sleep(0)
        if news.bodies:
            self._wake()

    async def _replace(self, voter: str, piece: DumpPiece) -> None:
        """Take the state of a dump, of which a part is there. ValueError when it is older than ours."""
        if piece.version < self._version and not self._give_up_ours():
            raise ValueError(f"it is at version {piece.version}, behind {self._version}")
        content = bytearray()
        version, total = piece.version, piece.total
        while True:
            if (piece.version, piece.total, piece.offset) != (version, total, len(content)) or total > DUMP_BYTES_MAX:
                raise ValueError("the parts of a dump do not fit")
            content += piece.content
            if self._limit is not None and not self._begun.is_set() and not self._limit.expired():
                self._limit.reschedule(asyncio.get_running_loop().time() + self._timing.begin_s)
            if len(content) == total:
                break
            if not piece.content:
                raise ValueError("a dump that does not go on")
            path = f"/cluster/watch?since={self._version}&wait=0&dump={version}&offset={len(content)}"
            answer = await self._answer(voter, path, self._timing.dump_s)
            if not isinstance(answer, DumpPiece):
                raise ValueError("the voter forgot the dump")  # noqa: TRY004 - one exception for all that is malformed
            piece = answer
        state = await asyncio.to_thread(self._machine.load, bytes(content))
        if version < self._version:
            logger.error("went back from version %d to %d: all voters were there for long", self._version, version)
        if self._begun.is_set():
            self._jump(state, version)
        else:
            self._install(state, version)
        self._wake()

    def _give_up_ours(self) -> bool:
        """Whether nobody with a newer state than the voters' has answered for so long that theirs counts."""
        now = asyncio.get_running_loop().time()
        if self._reach.behind_s is None:
            self._reach.behind_s = now
        return now - self._reach.behind_s >= self._timing.behind_s
