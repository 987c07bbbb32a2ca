"""Screens: a loop shown as a live picture, as plain lines, or as JSON lines.

A thread of its own writes to the terminal, so that nobody who does not read makes the loop wait; what it cannot write
in time is left out.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TextIO, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from managers.line import one_line
from managers.outcomes import Outcome
from managers.status_records import Status
from p2p.cli.loop_view import clock_line, summary_line, view_of

WAITING_MAX = 256  # pieces that are not written yet
CLOSE_S = 2.0  # for the last of them
SUMMARY_S = 60.0  # between two plain lines on each configuration
Shown = TypeVar("Shown")


class Writer:
    """Writes one piece after the other in its own thread; `async with` is not needed, `with` is."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._work, daemon=True, name="screen")
        self._broken = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        while True:
            try:
                self._waiting.put_nowait(None)
                break
            except queue.Full:
                self._skip()
        self._thread.join(CLOSE_S)

    def put(self, piece: Callable[[], None]) -> None:
        """Write it soon; left out when too many wait."""
        try:
            self._waiting.put_nowait(piece)
        except queue.Full:
            return

    def _skip(self) -> None:
        """Leave out the oldest piece; its thread may have taken it meanwhile."""
        with suppress(queue.Empty):
            self._waiting.get_nowait()

    def _work(self) -> None:
        while (piece := self._waiting.get()) is not None:
            if self._broken:
                continue
            try:
                piece()
            except (OSError, ValueError):  # nobody reads any more; the loop goes on
                self._broken = True
                silence(sys.stdout)


class PlainScreen:
    """Outcomes as lines, and a summary now and then."""

    def __init__(self, writer: Writer, out: TextIO) -> None:
        self._writer = writer
        self._out = out
        self._summed_at: float | None = None

    def tell(self, outcome: Outcome) -> None:
        """A line, if it is more than a step."""
        if outcome.weight != "step":
            self._print(clock_line(outcome))

    def show(self, status: Status) -> None:
        """A summary, if the last one is a while ago."""
        if self._summed_at is None or status.uptime_s - self._summed_at >= SUMMARY_S:
            self._summed_at = status.uptime_s
            for game in status.games:
                self._print(one_line(summary_line(game)))

    def say(self, text: str) -> None:
        """A line."""
        self._print(one_line(text))

    def _print(self, line: str) -> None:
        self._writer.put(lambda: print(line, file=self._out, flush=True))


class JsonScreen:
    """Every outcome as a JSON object, a line each."""

    def __init__(self, writer: Writer, out: TextIO) -> None:
        self._writer = writer
        self._out = out
        self._at = 0.0

    def tell(self, outcome: Outcome) -> None:
        """An object."""
        self._at = max(self._at, outcome.at)
        line = outcome.model_dump_json()
        self._writer.put(lambda: print(line, file=self._out, flush=True))

    def show(self, _status: Status) -> None:
        """Nothing: `ringrift loop --status --json` has it."""

    def say(self, text: str) -> None:
        """As an object of its own event."""
        self.tell(Outcome(at=self._at, event="said", weight="step", text=text))


class Picture(Generic[Shown]):
    """A picture that is drawn anew; what is said stands above it."""

    def __init__(self, writer: Writer, console: Console, view: Callable[[Shown], RenderableType]) -> None:
        self._writer = writer
        self._view = view
        self._live = Live(Text("begins"), console=console, auto_refresh=False, transient=True)
        self._last: Shown | None = None

    def __enter__(self) -> Self:
        self._writer.put(lambda: self._live.start(refresh=True))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._writer.put(self._end)

    def show(self, shown: Shown) -> None:
        """The next picture."""
        self._last = shown
        self._writer.put(lambda: self._live.update(self._view(shown), refresh=True))

    def say(self, text: str) -> None:
        """A line above the picture."""
        self._writer.put(lambda: self._live.console.print(Text(one_line(text))))

    def _end(self) -> None:
        """The last picture stays."""
        self._live.stop()
        if self._last is not None:
            self._live.console.print(self._view(self._last))


class LiveScreen(Picture[Status]):
    """The picture of a loop."""

    def __init__(self, writer: Writer, console: Console) -> None:
        super().__init__(writer, console, view_of)

    def tell(self, _outcome: Outcome) -> None:
        """Stands in the next picture."""


def silence(out: TextIO) -> None:
    """What is still written there at the end of the process is no error."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    except (OSError, ValueError):
        return
