"""LocalChild: one job's process as the event loop sees it."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import IO

from managers.launcher.ending import ErrorTail, ending_of
from managers.launcher.process_group import Exit, Load, ProcessGroup
from managers.launcher.reports import REPORT_BYTES_MAX, Lines, ReportQueue, Signs, report_of
from managers.ports import Cause, Ending, Order, Report, Usage

CHUNK_BYTES = 64 << 10  # read from a pipe at once
PACE_S = 0.01  # rest after a full chunk: a job that floods gets 6 MB/s, and the event loop its time
DRAIN_S = 10.0  # for what is left in the pipes of processes that have all ended: the writer of logs may be busy
REAP_S = 10.0  # how long processes may take to vanish after SIGKILL; one that hangs in a driver may take for ever
LINE_LOGGED_BYTES = 200  # of a line that is too long to be a report

log = logging.getLogger(__name__)


class LocalChild:
    """One job's process; see `managers.ports.Child`. Its launcher runs `attend` and tells it of its `exited`."""

    def __init__(
        self,
        order: Order,
        group: ProcessGroup,
        write: Callable[[bytes], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        """`write` appends to the job's log."""
        self.order = order
        self.group = group
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._write = write
        self._monotonic = monotonic
        self._queue = ReportQueue()
        self._tail = ErrorTail()
        self._signs = Signs(monotonic())
        self._asked: tuple[Cause, str] | None = None  # why we ended it
        self._load = Load(0, 0.0)

    @property
    def name(self) -> str:
        """Of the job."""
        return self.order.name

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self.group.pid

    @property
    def ending(self) -> bool:
        """True once it is being ended, or has ended."""
        return self._asked is not None or self.exited.done()

    async def reports(self) -> AsyncIterator[Report]:
        """What it reports, in order, to one reader; ends after the process."""
        while (report := await self._queue.get()) is not None:
            yield report

    async def wait(self) -> Ending:
        """How it ended, once no process of it is left."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the group, after `grace_s` SIGKILL; returns when it has ended, or REAP_S after that."""
        await self.end(Cause.STOPPED, "", grace_s)

    def usage(self) -> Usage:
        """What it takes, as last sampled."""
        return Usage(self._load.rss_bytes, self._load.cpu_s, self._signs.silent_s(self._monotonic()))

    async def end(self, cause: Cause, why: str, grace_s: float) -> None:
        """End it for a reason; the first reason given is the one that is told."""
        if not self.ending:
            self._asked = cause, why
        for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, REAP_S)):
            if wait_s > 0:
                self.group.signal(number)
                await asyncio.wait([self._ended], timeout=wait_s)
            if self._ended.done():
                return
        log.error("job %s: process %d does not end after SIGKILL", self.name, self.pid)

    def sampled(self, load: Load) -> None:
        """Keep what was sampled; computing that vanished with a process is still counted."""
        self._load = Load(load.rss_bytes, max(load.cpu_s, self._load.cpu_s))

    async def attend(self, clear: Callable[[], Awaitable[None]]) -> None:
        """Listen until it has ended, and say how; `clear` removes the record of its process before that."""
        pumps = [asyncio.create_task(self._listen()), asyncio.create_task(self._collect())]
        try:
            done = await self.exited
            self._queue.open_wide()
            await asyncio.wait(pumps, timeout=DRAIN_S)
        finally:
            self.group.signal(signal.SIGKILL)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        await clear()
        cpu_s = max(done.cpu_s, self._load.cpu_s)
        self._finish(ending_of(done.status, cpu_s, self._asked, self._tail))

    def abandon(self) -> None:
        """Nobody attends to it any more: who waits for it is told so."""
        if not self._ended.done():
            cause = self._asked[0] if self._asked else Cause.KILLED
            self._finish(Ending(cause, None, None, "the node ended before this job", self._load.cpu_s))

    def _finish(self, ending: Ending) -> None:
        self.group.close()
        self._queue.close()
        self._ended.set_result(ending)

    async def _listen(self) -> None:
        """Standard output: reports to their reader, everything else to the log."""
        lines = Lines(REPORT_BYTES_MAX)
        async with aclosing(_chunks(self.group.stdout)) as chunks:
            async for chunk in chunks:
                other = bytearray()
                for line in lines.feed(chunk) if chunk else lines.end():
                    if (report := report_of(line)) is not None:
                        await self._deliver(report)
                    elif line.whole:
                        other += line.text + b"\n"
                    else:
                        other += line.text[:LINE_LOGGED_BYTES] + b"... [this line is too long]\n"
                if other:
                    await self._write(bytes(other))

    async def _deliver(self, report: Report) -> None:
        self._signs.saw(report, self._monotonic())
        if self._queue.full:
            self._signs.hold(held=True, now=self._monotonic())
            await self._queue.put(report)
            self._signs.hold(held=False, now=self._monotonic())
        else:
            await self._queue.put(report)

    async def _collect(self) -> None:
        """Standard error: all of it to the log, its end kept for the ending."""
        async with aclosing(_chunks(self.group.stderr)) as chunks:
            async for chunk in chunks:
                self._tail.feed(chunk)
                if chunk:
                    await self._write(chunk)


async def _chunks(pipe: IO[bytes]) -> AsyncGenerator[bytes, None]:
    """What comes out of a pipe, an empty chunk at its end. Reads little further than its reader has come."""
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            yield chunk
            if len(chunk) == CHUNK_BYTES:
                await asyncio.sleep(PACE_S)
        yield b""
    finally:
        transport.close()
