"""StateManager: what a node keeps beside the replicated state, over restarts; awaitable, never on the loop's thread.

    async with StateManager(folder.node_state, clock) as state:
        await state.save_state({"cluster_id": "3fa9c2"})  # on the disk when this returns
        await state.load_state()
        await state.get_cluster_epoch()

One thread of its own has the file. Writes that come together share a transaction; a new one begins at most every
BATCH_S, so a flood costs twenty fsyncs a second. A full disk refuses writes (StorageError); reads go on.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from managers.circuit_breaker import BreakerRow
from managers.node_store import (
    EPOCH,
    Action,
    Json,
    NodeStore,
    RefusalCount,
    ResourceSample,
    add_refusals,
    put_breakers,
    put_facts,
    put_sample,
)
from managers.ports import BusyError
from ringrift_core.errors import RingriftError, StorageError

WAITING_MAX = 2048  # calls
BATCH_MAX = 512  # calls that share a transaction
BATCH_S = 0.05  # between the beginnings of two transactions
ANSWER_S = 30.0  # for one call; a disk that needs longer is taken for broken
OPEN_S = 60.0
CLOSE_S = 10.0  # for what waits at the end

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """Something to be done with the file, and who waits for it."""

    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"
    action: Action | None = None  # of a write
    read: Callable[[NodeStore], object] | None = None

    def succeed(self, result: object) -> None:
        """Answer, on the thread that waits."""
        self._tell(self.answer.set_result, result)

    def fail(self, error: Exception) -> None:
        """Refuse, on the thread that waits."""
        self._tell(self.answer.set_exception, error)

    def _tell(self, tell: Callable[[Any], None], what: object) -> None:
        def on_loop() -> None:
            if not self.answer.done():
                tell(what)

        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(on_loop)


class StateManager:
    """One file; `async with` opens and closes it. Calls raise StorageError, BusyError when too many wait."""

    def __init__(
        self, path: Path, clock: Callable[[], float], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives unix seconds."""
        self._store = NodeStore(path)
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: deque[_Call] = deque()
        self._turn = threading.Condition()
        self._open = False  # whether calls are taken; under `_turn`, like `_waiting`
        self._closing = False
        self._ended = asyncio.Event()
        self.note = ""  # what a person should know of the opening

    async def save_state(self, facts: Mapping[str, Json]) -> None:
        """Keep facts by name; None forgets one. RulesError for what is no JSON, too large or too many."""
        await self._write(put_facts(facts))

    async def load_state(self) -> dict[str, Json]:
        """All facts that are kept."""
        return await self._read(NodeStore.facts)

    async def get_cluster_epoch(self) -> int:
        """The highest epoch that this node has seen, over all its lives; 0 before the first."""
        return await self._read(NodeStore.epoch)

    async def see_epoch(self, epoch: int) -> None:
        """An order with this epoch came; a lower one than before changes nothing."""
        await self._write(put_facts({EPOCH: epoch}))

    async def add_sample(self, sample: ResourceSample) -> None:
        """Keep how the machine is, for 48 hours; of each minute the last sample."""
        await self._write(put_sample(sample))

    async def samples(self, since: float = 0.0) -> tuple[ResourceSample, ...]:
        """Samples from a time in unix seconds on, the oldest first."""
        return await self._read(lambda store: store.samples(since))

    async def count_refusal(self, code: str, count: int = 1) -> None:
        """Something was refused; kept by code and hour, for 7 days."""
        await self._write(add_refusals(code, count, self._clock()))

    async def refusals(self) -> tuple[RefusalCount, ...]:
        """What was refused in the last 7 days, by hour and code."""
        return await self._read(NodeStore.refusals)

    async def save_breakers(self, rows: Iterable[BreakerRow]) -> None:
        """Keep the circuits in place of those that are kept."""
        await self._write(put_breakers(rows))

    async def breakers(self) -> tuple[BreakerRow, ...]:
        """The circuits of the last save."""
        return await self._read(NodeStore.breakers)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        opening = _Call(loop, loop.create_future())
        threading.Thread(target=self._run, args=(opening,), daemon=True, name="node-state").start()
        try:
            async with asyncio.timeout(OPEN_S):
                self.note = await opening.answer
        except TimeoutError:
            self._end()
            raise StorageError(f"{self._store.path}: the disk has not answered for {OPEN_S:g} s; check it") from None
        except BaseException:
            self._end()
            raise
        if self.note:
            logger.warning("%s", self.note)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write what waits, as long as CLOSE_S allows; what is left then is refused."""
        self._end()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._ended.wait()
        self._refuse_rest()

    # ---- on the loop's thread ----

    async def _write(self, action: Action) -> None:
        await self._answered(action, None)

    async def _read(self, read: Callable[[NodeStore], T]) -> T:
        answer: T = await self._answered(None, read)
        return answer

    async def _answered(self, action: Action | None, read: Callable[[NodeStore], object] | None) -> Any:  # noqa: ANN401
        """What the other thread answers; a write without an answer may have happened or not."""
        loop = asyncio.get_running_loop()
        call = _Call(loop, loop.create_future(), action, read)
        with self._turn:  # never held for long
            if not self._open:
                raise StorageError(f"{self._store.path}: is closed")
            if len(self._waiting) >= WAITING_MAX:
                raise BusyError(f"{WAITING_MAX} calls wait for {self._store.path} already; try again")
            self._waiting.append(call)
            self._turn.notify()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await call.answer
        except TimeoutError:
            raise StorageError(f"{self._store.path}: no answer in {ANSWER_S:g} s; check the disk") from None

    def _end(self) -> None:
        with self._turn:
            self._open, self._closing = False, True
            self._turn.notify()

    def _refuse_rest(self) -> None:
        with self._turn:
            rest = list(self._waiting)
            self._waiting.clear()
        for call in rest:
            call.fail(StorageError(f"{self._store.path}: was closed before this was done"))

    # ---- on the thread of the file ----

    def _run(self, opening: _Call) -> None:
        try:
            note = self._store.open()
            with self._turn:
                self._open = not self._closing
            opening.succeed(note)
            while batch := self._batch():
                self._do(batch)
        except RingriftError as error:
            opening.fail(error)
        finally:
            self._store.close()
            self._end()
            self._refuse_rest()
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                opening.loop.call_soon_threadsafe(self._ended.set)

    def _batch(self) -> list[_Call]:
        """The next calls; nothing when it is the end."""
        with self._turn:
            self._turn.wait_for(lambda: self._waiting or not self._open)
            return [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]

    def _do(self, batch: list[_Call]) -> None:
        began = self._monotonic()
        writes = [call for call in batch if call.action is not None]
        if writes:
            self._commit(writes)
        for call in batch:
            if call.read is not None:
                try:
                    call.succeed(call.read(self._store))
                except RingriftError as error:
                    call.fail(error)
        if writes:
            with self._turn:
                self._turn.wait_for(lambda: not self._open, began + BATCH_S - self._monotonic())

    def _commit(self, writes: list[_Call]) -> None:
        """All in one transaction; where one of them may not be, each in its own."""
        try:
            self._store.write([call.action for call in writes if call.action is not None])
        except RingriftError as error:
            if len(writes) == 1 or isinstance(error, StorageError):
                for call in writes:
                    call.fail(error)
                return
            for call in writes:
                self._commit([call])
            return
        for call in writes:
            call.succeed(None)
