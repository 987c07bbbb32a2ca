"""Download: one file from several holders at once, each chunk verified as it comes.

Up to SEATS holders are asked at a time, each for a run of chunks. One that is silent, slow, refuses or brings a wrong
chunk is left for this file, and what it was asked for goes to the others; the next of the holders takes its seat. So a
kill or a holder's death loses the chunk that was under way, one per holder.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from p2p.exchange.chunk_queue import ChunkQueue
from p2p.exchange.partial_file import PartialFile
from p2p.exchange.refs import ChunkList
from p2p.http.node_calls import CallError, NodeCalls
from ringrift_core.blob import CHUNK_BYTES
from ringrift_core.errors import RingriftError

SEATS = 4  # holders that are asked at once

logger = logging.getLogger(__name__)
Pace = Callable[[int], Awaitable[None]]  # called with bytes that have come; returns when more may


class FetchError(RingriftError):
    """A file cannot be brought here now; the message names it, and what was wrong with each holder."""


class WrongChunk(RingriftError):  # noqa: N818 - what came
    """A holder has sent something else."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a holder may take."""

    silence_s: float = 10.0  # between two parts
    start_s: float = 10.0  # of a run, beside what follows
    least_bytes_s: int = 64 << 10  # of a run
    run_chunks: int = 8  # asked for at once

    def run_s(self, size_bytes: int) -> float:
        """For so many bytes."""
        return self.start_s + size_bytes / self.least_bytes_s


async def unpaced(_size: int) -> None:
    """As fast as they come."""


class Download:
    """Brings the missing chunks of a file."""

    def __init__(
        self, calls: NodeCalls, sha256: str, content: ChunkList, file: PartialFile, patience: Patience, pace: Pace
    ) -> None:
        self._calls = calls
        self._sha256 = sha256
        self._content = content
        self._file = file
        self._patience = patience
        self._pace = pace
        self._queue = ChunkQueue(0, (), 1)
        self._seats = 1
        self._moved = asyncio.Condition()
        self.left: dict[str, str] = {}  # holders that were left, and why
        self.brought: dict[str, int] = {}  # chunks, by holder

    async def run(self, holders: Sequence[str]) -> bool:
        """Bring what is missing; False when all holders were left before. StorageError when the disk refuses."""
        have = await asyncio.to_thread(self._file.open)
        self._queue = ChunkQueue(len(self._content.chunks), have, self._patience.run_chunks)
        waiting = [*dict.fromkeys(holders)]
        self._seats = min(SEATS, len(waiting))
        seats = [asyncio.ensure_future(self._seat(waiting)) for _ in range(self._seats)]
        done = asyncio.ensure_future(self._finished())
        try:
            rest = {*seats}
            while rest and not self._queue.finished:
                ended, _ = await asyncio.wait({done, *rest}, return_when=asyncio.FIRST_COMPLETED)
                for task in ended - {done}:
                    task.result()
                rest -= ended
        finally:
            for task in (*seats, done):
                task.cancel()
            await asyncio.gather(*seats, done, return_exceptions=True)
        return self._queue.finished

    async def _finished(self) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._queue.finished)

    async def _seat(self, waiting: list[str]) -> None:
        """Ask one holder after the other, each until it is left or all is there."""
        while waiting and not self._queue.finished:
            holder = waiting.pop(0)
            try:
                await self._ask(holder)
            except (CallError, WrongChunk) as error:
                self.left[holder] = str(error)
                logger.warning("blob %s: %s is left: %s", self._sha256[:16], holder, error)
            finally:
                self._queue.release(holder)
                async with self._moved:
                    self._moved.notify_all()

    async def _ask(self, holder: str) -> None:
        while (run := await self._next(holder)) is not None:
            await self._run(holder, run)
            self._queue.release(holder)

    async def _next(self, holder: str) -> range | None:
        """What to ask a holder for, once there is something; None when all is there."""
        async with self._moved:
            while not self._queue.finished:
                run = self._queue.take(holder, self._seats)
                if run is not None:
                    return run
                await self._moved.wait()  # until another one has brought or left something; its calls have limits
        return None

    async def _run(self, holder: str, run: range) -> None:
        """The chunks of a run, one after the other as they are complete."""
        first, stop = run.start * CHUNK_BYTES, min(run.stop * CHUNK_BYTES, self._content.size_bytes)
        limit_s = self._patience.run_s(stop - first)
        path = f"/blobs/{self._sha256}"
        async with self._calls.part(
            holder, path, first, stop, timeout_s=limit_s, silence_s=self._patience.silence_s
        ) as parts:
            index = run.start
            async for chunk in self._chunks(parts):
                if not await asyncio.to_thread(self._file.put, index, chunk):
                    raise WrongChunk(f"chunk {index} is not what it should be")
                self._queue.brought(index)
                self.brought[holder] = self.brought.get(holder, 0) + 1
                async with self._moved:
                    self._moved.notify_all()
                index += 1
            if index < run.stop:
                raise WrongChunk(f"it sends {index - run.start} chunks of {len(run)}")

    async def _chunks(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Parts as chunks; the last one may be shorter."""
        held = bytearray()
        async for part in parts:
            await self._pace(len(part))
            held += part
            while len(held) >= CHUNK_BYTES:
                yield bytes(held[:CHUNK_BYTES])
                del held[:CHUNK_BYTES]
        if held:
            yield bytes(held)
