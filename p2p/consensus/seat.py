"""Seat: the consensus of a node, whatever it runs over at present.

A cluster of one has its own log, a voter has Raft, everybody else follows a voter. A node goes from one to another
while it works: the state that it shows never goes back, nobody who listens hears anything twice, and what is proposed
in between is refused and asked again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from managers.ports import LedConsensus
from managers.runtime.task_group import leave
from managers.state.replica import LISTENERS_MAX, JumpListener, Listener, RecordListener
from ringrift_core.errors import RulesError, StorageError

S = TypeVar("S")
R = TypeVar("R")
S_co = TypeVar("S_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
STEP_S = 1.0  # before a wait looks whether the engine is another one
PASSING_S = 10.0  # a change that takes no longer is no trouble
CHANGING = "this node changes over to another kind of consensus; try again"


class Engine(LedConsensus[S_co, R_co], AbstractAsyncContextManager[object], Protocol[S_co, R_co]):
    """What a seat runs over: `async with` serves."""

    def on_record(self, listener: RecordListener) -> None:
        """Call it with the version and the body of each record that is applied."""


@dataclass(frozen=True, slots=True)
class Change(Generic[S, R]):
    """A wish for another engine."""

    make: Callable[[int, S], Engine[S, R]]  # from the version and state at which the present one has ended
    ready: Callable[[], Awaitable[None]]  # awaited when it serves and before anybody can write to it
    done: asyncio.Future[None]


class Seat(Generic[S, R]):
    """A `LedConsensus` with an engine that may be changed; `async with` serves.

    The block is cancelled when an engine fails of itself, or when a new one cannot begin: the node ends.
    """

    def __init__(self, engine: Engine[S, R]) -> None:
        self._engine = engine
        self._serving: Engine[S, R] | None = None
        self._changing_since = -math.inf  # time of the event loop; where `_serving` is None
        self._floor: tuple[int, S] = (engine.version, engine.state)  # shown until the engine knows as much
        self._listeners: list[Listener[S, R]] = []
        self._record_listeners: list[RecordListener] = []
        self._jump_listeners: list[JumpListener[S]] = []
        self._changes: asyncio.Queue[Change[S, R] | None] = asyncio.Queue(1)
        self._tasks = asyncio.TaskGroup()
        self.remark = ""  # put here by who knows more about a trouble than the engine; "" for nothing

    # ---- what it shows ----

    @property
    def engine(self) -> Engine[S, R]:
        """What it runs over now, or is about to."""
        return self._engine

    @property
    def state(self) -> S:
        """The latest state that was applied here."""
        version, state = self._floor
        return self._engine.state if self._engine.version >= version else state

    @property
    def version(self) -> int:
        """Of that state."""
        return max(self._floor[0], self._engine.version)

    @property
    def term_led(self) -> int | None:
        """The term in which this node leads; None while it does not."""
        return None if self._serving is None else self._serving.term_led

    @property
    def trouble(self) -> str:
        """Why the state cannot be written to; "" as well while the engine is being changed, unless that takes long."""
        trouble = self._change_trouble() if self._serving is None else self._serving.trouble
        return f"{trouble}; {self.remark}" if trouble and self.remark else trouble

    def on_applied(self, listener: Listener[S, R]) -> None:
        """Call it after each body that is applied from now on; it must not raise."""
        if len(self._listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._listeners.append(listener)

    def on_record(self, listener: RecordListener) -> None:
        """Call it with the version and the body of each record; versions may be left out, none comes twice."""
        if len(self._record_listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._record_listeners.append(listener)

    def on_jump(self, listener: JumpListener[S]) -> None:
        """Call it with version and state before, and the state after, where what came in between is told to nobody."""
        if len(self._jump_listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._jump_listeners.append(listener)

    # ---- what can be asked ----

    async def propose(self, body: bytes, timeout_s: float) -> R:
        """Bring a body into the log (managers/ports.py); StorageError while the engine is being changed."""
        if self._serving is None:
            raise StorageError(CHANGING)
        return await self._serving.propose(body, timeout_s)

    async def changed(self, version: int, timeout_s: float) -> int:
        """Wait until the version is past the given one, at most so long; the version then."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while self.version <= version and (left_s := end_s - loop.time()) > 0:
            await self._engine.changed(version, min(left_s, STEP_S))
        return self.version

    async def change(self, make: Callable[[int, S], Engine[S, R]], ready: Callable[[], Awaitable[None]]) -> None:
        """Go over to another engine; see `Change`. One change at a time."""
        self._serving, self._changing_since = None, asyncio.get_running_loop().time()
        done = asyncio.get_running_loop().create_future()
        await self._changes.put(Change(make, ready, done))
        await done

    def _change_trouble(self) -> str:
        """Why a change is a trouble; "" while it is none."""
        is_passing = (
            self._changing_since > -math.inf and asyncio.get_running_loop().time() - self._changing_since < PASSING_S
        )
        return "" if is_passing else CHANGING

    # ---- life ----

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        begun = asyncio.get_running_loop().create_future()
        self._tasks.create_task(self._serve(begun), name="seat")
        try:
            await begun
        except BaseException as error:
            await leave(self._tasks, error)
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not self._changes.full():
            self._changes.put_nowait(None)
        await leave(self._tasks, error)

    async def _serve(self, begun: asyncio.Future[None]) -> None:
        """One engine after the other."""
        change: Change[S, R] | None = None
        while True:
            async with AsyncExitStack() as stack:
                try:
                    await self._begin(stack, change)
                except BaseException as error:
                    _fail(begun if change is None else change.done, error)
                    if change is None and isinstance(error, Exception):
                        return  # whoever enters raises it
                    raise
                _succeed(begun if change is None else change.done)
                change = await self._changes.get()
                self._serving = None
                self._floor = self.version, self.state
            if change is None:
                return
            self._floor = max(self._floor, (self._engine.version, self._engine.state), key=lambda it: it[0])
            self._engine = change.make(*self._floor)

    async def _begin(self, stack: AsyncExitStack, change: Change[S, R] | None) -> None:
        engine = self._engine
        engine.on_record(self._tell_record)
        await stack.enter_async_context(engine)
        engine.on_applied(self._tell)
        engine.on_jump(self._tell_jump)
        if change is not None:
            self._tell_jump(*self._floor, engine.state)  # what it was told while it began
        if change is not None:
            await change.ready()
        self._serving = engine

    def _tell(self, before: S, after: S, result: R) -> None:
        """What is behind the floor has been told already, by the engine before this one."""
        if self._engine.version > self._floor[0]:
            for listener in self._listeners:
                listener(before, after, result)

    def _tell_jump(self, version: int, before: S, after: S) -> None:
        """Behind the floor; an engine that has begun empty jumps from there."""
        if self._engine.version > self._floor[0]:
            shown = before if version > self._floor[0] else self._floor[1]
            for listener in self._jump_listeners:
                listener(max(version, self._floor[0]), shown, after)

    def _tell_record(self, version: int, body: bytes) -> None:
        if version > self._floor[0]:
            for listener in self._record_listeners:
                listener(version, body)


def _succeed(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _fail(done: asyncio.Future[None], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error if isinstance(error, Exception) else StorageError("the node ends"))
