"""Consensus of one: bodies go into a durable log in the order in which they come, and are applied in that order.

Bodies that come while an fsync is in flight share the next one. One writer thread does all that touches the disk; the
machine and the listeners run on the loop's thread, except for dumping and loading, which the writer thread does.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from managers.ports import BusyError, Consensus
from managers.state.durable_log import DurableLog
from managers.state.log_format import FRAME_BYTES_MAX, LENGTH, RECORD_BYTES_MAX
from managers.state.replica import Listener, Machine, Replica
from ringrift_core.errors import RulesError, StorageError

S = TypeVar("S")
R = TypeVar("R")
T = TypeVar("T")
SLOW_S = 30.0  # a write that takes longer is trouble
READ_BACK_MAX = 2000  # records that are told when they are read back, the last ones
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much may wait, how much goes into one write, and when a snapshot is made."""

    waiting_max: int = 4096
    batch_max: int = 512
    compact_records: int = 10_000
    compact_bytes: int = 16 << 20
    close_timeout_s: float = 30.0


@dataclass(slots=True)
class Proposal(Generic[R]):
    """A body and who waits for it."""

    body: bytes
    result: asyncio.Future[R]


class LocalConsensus(Replica[S, R], Consensus[S, R]):
    """The replicated state of a cluster of one, kept in memory without a log; `async with` recovers it and serves.

    It has one life: once closed it stays closed. The `async with` block is cancelled when the machine or a listener
    raises, which they must not.
    """

    def __init__(
        self,
        machine: Machine[S, R],
        log: DurableLog | None,
        settings: LogSettings | None = None,
        *,
        read_back: Listener[S, R] | None = None,
    ) -> None:
        """`read_back` is told of the last READ_BACK_MAX records that are read at the start, by the writer thread."""
        super().__init__(machine)
        self._read_back = read_back
        self._log = log
        self._settings = settings or LogSettings()
        self._waiting: deque[Proposal[R]] = deque()
        self._work = asyncio.Event()
        self._refusal = ""  # why the latest write failed
        self._writing_since: float | None = None  # on the loop's clock
        self._serving = False
        self._writer = ThreadPoolExecutor(1, "log-writer")
        self._tasks = asyncio.TaskGroup()
        self._compaction: Generator[None, None, None] | None = None
        self._compact_from = 0  # the version from which on a snapshot is tried (again)

    @property
    def trouble(self) -> str:
        """Why the state cannot be written to; "" when the latest write went well. To be asked on the loop's thread."""
        now, since = asyncio.get_running_loop().time(), self._writing_since
        if since is not None and now - since > SLOW_S:
            return f"the disk has not answered for {now - since:.0f} s"
        return self._refusal

    async def propose(self, body: bytes, timeout_s: float) -> R:
        """Bring a body into the log; its result, once it is durable and applied (managers/ports.py: errors)."""
        if not self._serving:
            raise StorageError("the log is closed")
        if len(body) > RECORD_BYTES_MAX:
            raise RulesError(f"a command of {len(body)} bytes; {RECORD_BYTES_MAX} are the most")
        if len(self._waiting) >= self._settings.waiting_max:
            raise BusyError(f"{len(self._waiting)} commands wait for the disk; try again")
        proposal = Proposal[R](body, asyncio.get_running_loop().create_future())
        self._waiting.append(proposal)
        self._work.set()
        async with asyncio.timeout(timeout_s):
            return await proposal.result

    async def __aenter__(self) -> Self:
        if self._log is not None:
            try:
                self._install(*await self._on_disk(partial(self._restore, self._log)))
            except BaseException:
                await self._close()
                raise
        await self._tasks.__aenter__()
        self._serving = True
        self._tasks.create_task(self._serve(), name="log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what waits, as long as `close_timeout_s` allows and unless cancelled, and close the log."""
        self._serving = False
        self._work.set()
        cancelled = isinstance(error, asyncio.CancelledError)  # by others, or by the group since its task failed
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await self._tasks.__aexit__(*((kind, error, trace) if cancelled else (None, None, None)))
        finally:
            _refuse(self._waiting, "the log was closed before this could be written")
            self._waiting.clear()
            await self._close()

    async def _serve(self) -> None:
        """Write, apply, and make snapshots in between, until closed and nothing waits."""
        while self._serving or self._waiting:
            if not self._waiting and self._compaction is None:
                self._work.clear()
                await self._work.wait()
            if batch := self._take():
                await self._commit(batch)
            if self._compaction is not None or self._wants_compaction():
                await self._compact()

    def _take(self) -> list[Proposal[R]]:
        """The next proposals that go into one write, without those whose proposer has gone."""
        batch: list[Proposal[R]] = []
        room = FRAME_BYTES_MAX
        while self._waiting and len(batch) < self._settings.batch_max:
            size = len(self._waiting[0].body) + LENGTH.size
            if size > room:
                break
            proposal = self._waiting.popleft()
            if not proposal.result.done():
                batch.append(proposal)
                room -= size
        return batch

    async def _commit(self, batch: list[Proposal[R]]) -> None:
        """Make a batch durable, then apply it; a batch that failed is never applied."""
        try:
            if self._log is not None:
                self._writing_since = asyncio.get_running_loop().time()
                await self._on_disk(partial(self._log.append, [proposal.body for proposal in batch]))
            self._refusal = ""
        except StorageError as error:
            self._refusal = str(error)
            _refuse(batch, self._refusal)
            return
        except BaseException:
            _refuse(batch, "the log was closed; this may have been written or not")
            raise
        finally:
            self._writing_since = None
        try:
            for proposal in batch:
                result = self._apply(proposal.body)
                if not proposal.result.done():
                    proposal.result.set_result(result)
        finally:
            _refuse(batch, "written, but a listener failed")
            self._wake()

    def _wants_compaction(self) -> bool:
        settings = self._settings
        return (
            self._log is not None
            and self._version >= self._compact_from
            and self._log.wants_compaction(settings.compact_records, settings.compact_bytes)
        )

    async def _compact(self) -> None:
        """One step of the snapshot; proposals that wait are written before the next one."""
        assert self._log is not None
        if self._compaction is None:
            self._compaction = self._log.compaction(self._version, partial(self._machine.dump, self._state))
        try:
            if not await self._on_disk(partial(_advance, self._compaction)):
                self._compaction = None
        except (StorageError, RulesError):
            LOGGER.exception("no snapshot was made; the log goes on growing and tries again later")
            self._compaction = None
            self._compact_from = self._version + self._settings.compact_records

    def _restore(self, log: DurableLog) -> tuple[S, int]:
        """The state that the log leads to, and its version."""
        found = log.recover()
        for text in found.damaged:
            LOGGER.error("%s; the snapshot before it and its records were read instead", text)
        state = self._machine.initial() if found.snapshot is None else self._machine.load(found.snapshot)
        first_told = len(found.records) - READ_BACK_MAX
        for index, body in enumerate(found.records):
            before = state
            state, result = self._machine.apply(before, body)
            if self._read_back is not None and index >= first_told:
                self._read_back(before, state, result)
        return state, found.number + len(found.records)

    async def _close(self) -> None:
        """Close the log after whatever the writer thread still does, but wait for a hung disk only as agreed."""
        if self._log is None:
            return
        closed = asyncio.wrap_future(self._writer.submit(self._close_log))
        self._writer.shutdown(wait=False)
        done, _ = await asyncio.wait([closed], timeout=self._settings.close_timeout_s)
        for future in done:
            future.result()

    def _close_log(self) -> None:
        if self._compaction is not None:
            self._compaction.close()
        assert self._log is not None
        self._log.close()

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)


def _advance(steps: Generator[None, None, None]) -> bool:
    """Take the next step; False when there was none left."""
    return any(True for _ in steps)


def _refuse(proposals: Iterable[Proposal[R]], reason: str) -> None:
    for proposal in proposals:
        if not proposal.result.done():
            proposal.result.set_exception(StorageError(reason))
