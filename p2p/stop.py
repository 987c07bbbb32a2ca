"""Signals that ask a process for its end: the first one in good order, the next one at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Says(Protocol):
    """Where people are told something."""

    def say(self, text: str) -> None:
        """Something that a person should know."""


class Stop:
    """Whether somebody has asked for the end, and with which exit code."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.code = 0
        self.hurry: Callable[[], None] = lambda: None

    def signalled(self, number: signal.Signals, screen: Says) -> None:
        """A signal came."""
        if self.asked.is_set():
            screen.say("ends at once")
            self.hurry()
            return
        self.code = 130 if number is signal.SIGINT else 0
        self.asked.set()
        screen.say("ends: jobs are stopped and given back; once more to hurry")


@contextmanager
def signals(stop: Stop, screen: Says) -> Iterator[None]:
    """Let signals ask for the end instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.signalled, number, screen)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
