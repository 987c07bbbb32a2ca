"""The standard output of a job: bytes into lines, lines into reports, reports to one reader; everything bounded."""

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from managers.ports import Report

REPORT_BYTES_MAX = 256 << 10  # of a line; the largest report, a gauntlet's with its ratings, is a tenth of it
UNREAD_MAX = 32  # reports that wait for their reader: 8 MiB of lines
LATEST = frozenset({"progress", "alive"})  # a newer one makes an unread one worthless


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output without its end."""

    text: bytes
    whole: bool = True  # False: longer than it may be, and cut


class Lines:
    """Cuts a stream of bytes into lines of at most `bytes_max` bytes; holds no more than that."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._begun = bytearray()
        self._cut = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end within this chunk."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._line()
        self._add(rest)

    def end(self) -> Iterator[Line]:
        """What is left when the stream has ended."""
        if self._begun:
            yield self._line()

    def _add(self, part: bytes) -> None:
        room = self._bytes_max - len(self._begun)
        self._cut |= len(part) > room
        self._begun += part[:room]

    def _line(self) -> Line:
        line = Line(bytes(self._begun).rstrip(b"\r"), whole=not self._cut)
        self._begun.clear()
        self._cut = False
        return line


def report_of(line: Line) -> Report | None:
    """The report in a line; None when it is something else, such as what a library prints."""
    if not line.whole or not line.text.startswith(b"{"):
        return None
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


class Signs:
    """When a job last showed that its work goes on; times are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._beats: object = None
        self._held = False

    def saw(self, report: Report, now: float) -> None:
        """A report. `alive` comes from a thread beside the work: it is a sign only when its `beats` have changed."""
        if report["event"] == "alive":
            if report.get("beats") == self._beats:
                return
            self._beats = report.get("beats")
        self._last = now

    def hold(self, *, held: bool, now: float) -> None:
        """The job waits for the reader of its reports, so its silence says nothing."""
        self._held, self._last = held, now

    def silent_s(self, now: float) -> float:
        """Since the last sign."""
        return 0.0 if self._held else now - self._last


class ReportQueue:
    """Reports on their way to one reader: of each kind in LATEST the newest, of the others all, at most so many."""

    def __init__(self, unread_max: int = UNREAD_MAX) -> None:
        self._unread_max = unread_max
        self._reports: deque[Report] = deque()
        self._changed = asyncio.Event()  # for the reader
        self._room = asyncio.Event()  # for the writer
        self._room.set()
        self._closed = False
        self._wide = False

    @property
    def full(self) -> bool:
        """True when a report that must be kept has to wait."""
        return not self._room.is_set()

    async def put(self, report: Report) -> None:
        """Add a report, waiting for room where it must be kept."""
        if report["event"] in LATEST:
            older = next((it for it in self._reports if it["event"] == report["event"]), None)
            if older is not None:
                self._reports.remove(older)
        else:
            await self._room.wait()
        self._reports.append(report)
        self._update()

    async def get(self) -> Report | None:
        """The next report; None when there will be no more."""
        while not self._reports:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        report = self._reports.popleft()
        self._update()
        return report

    def open_wide(self) -> None:
        """The process has ended: what is still in its pipe, which is not much, may come without waiting."""
        self._wide = True
        self._update()

    def close(self) -> None:
        """No more reports come."""
        self._closed = True
        self._changed.set()

    def _update(self) -> None:
        kept = sum(report["event"] not in LATEST for report in self._reports)
        if self._wide or kept < self._unread_max:
            self._room.set()
        else:
            self._room.clear()
        self._changed.set()
