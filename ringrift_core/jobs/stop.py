"""How a job is told to end, and how it says that it lives.

The work calls `Stop` between its units (a tick of games, a step, a decision of a match). That call is the heartbeat: a
job that hangs calls nothing, so it reports nothing either.
"""

import json
import os
import select
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType

ALIVE_EVERY_S = 10.0  # without another report
READER_EVERY_S = 1.0  # between looks for the reader of the reports

Emit = Callable[[dict[str, object]], None]


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The job was asked to end in the midst of a match."""


class Stop:
    """Says whether the job was asked to end, and writes its reports."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.asked = False
        self.beats = 0  # units of work done
        self._clock = clock
        self._reported = self._looked = clock()

    def __call__(self) -> bool:
        """True when it is time to end; a unit of work has been done."""
        self.beats += 1
        now = self._clock()
        if now - self._looked >= READER_EVERY_S:
            self._looked = now
            self.asked = self.asked or reader_gone()
        if now - self._reported >= ALIVE_EVERY_S:
            self.emit({"event": "alive", "beats": self.beats})
        return self.asked

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """A signal handler."""
        self.asked = True

    def emit(self, report: dict[str, object]) -> None:
        """Write a report; nobody reads it any more means stop."""
        self._reported = self._clock()
        try:
            print(json.dumps(report), flush=True)  # noqa: T201 - the protocol of a job
        except BrokenPipeError:
            self.asked = True
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends


def beat_of(stopped: Callable[[], bool]) -> Callable[[], None]:
    """What a match calls after its decisions: raises Stopped when the job is to end."""

    def beat() -> None:
        if stopped():
            raise Stopped

    return beat


def reader_gone() -> bool:
    """True when standard output is a pipe that nobody reads any more, where the system can tell without writing."""
    if not hasattr(select, "poll"):
        return False
    pipe = select.poll()
    pipe.register(1, 0)  # errors and hang-ups are told without being asked for
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in pipe.poll(0))
