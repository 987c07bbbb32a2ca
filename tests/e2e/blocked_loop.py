"""What blocks a thread, wrapped: a call on the thread of an event loop is written down.

    with watched_calls() as watch:
        watch.begin()  # on the thread that must not be blocked
        ...
        watch.end()
    assert watch.calls == []

Connections to SQLite that are made in the block are watched wherever they are used.
"""

import builtins
import io
import itertools
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

FRAMES = 12  # of a call that is written down
PLACES: tuple[tuple[object, str], ...] = (
    (os, "fsync"), (os, "fdatasync"), (os, "waitpid"), (os, "open"), (subprocess.Popen, "wait"), (builtins, "open"),
    (io, "open"), (time, "sleep"), (socket, "getaddrinfo"), (socket, "gethostbyname"), (socket, "create_connection"),
    (os, "replace"), (os, "unlink"), (os, "mkdir"), (os, "scandir"), (os, "statvfs"),
)  # fmt: skip
QUESTIONS = ("execute", "executemany", "executescript", "commit")  # of a connection to SQLite


@dataclass(slots=True)
class Watch:
    """The calls on one thread while it is watched."""

    calls: list[str] = field(default_factory=list)  # each with where it came from
    thread: int | None = None

    def begin(self) -> None:
        """From now on the calling thread may not wait."""
        self.thread = threading.get_ident()

    def end(self) -> None:
        """It may again."""
        self.thread = None

    def note(self, name: str) -> None:
        """A call, on whichever thread."""
        if threading.get_ident() == self.thread:
            frames = itertools.islice(traceback.walk_stack(sys._getframe(2)), FRAMES)
            self.calls.append(f"{name} {[f'{it.f_code.co_filename}:{line}' for it, line in frames]}")


@contextmanager
def watched_calls() -> Iterator[Watch]:
    """The wrappers, until the block ends."""
    watch = Watch()
    patches = [patch.object(place, name, wrapped(watch, place, name)) for place, name in PLACES]
    patches.append(patch.object(sqlite3, "connect", connecting(watch)))
    for it in patches:
        it.start()
    try:
        yield watch
    finally:
        watch.end()
        for it in patches:
            it.stop()


def wrapped(watch: Watch, place: object, name: str) -> Callable[..., Any]:
    """A function that is written down before it does what it did."""
    plain = getattr(place, name)
    said = f"{getattr(place, '__name__', place)}.{name}"

    def noted(*arguments: Any, **named: Any) -> Any:
        watch.note(said)
        return plain(*arguments, **named)

    return noted


def connecting(watch: Watch) -> Callable[..., sqlite3.Connection]:
    """`sqlite3.connect`, whose connections are watched: their own class is C and takes no wrappers."""
    plain = sqlite3.connect
    methods = {name: wrapped_method(watch, name) for name in QUESTIONS}
    watched = type("WatchedConnection", (sqlite3.Connection,), methods)

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        watch.note("sqlite3.connect")
        made: sqlite3.Connection = plain(*arguments, **{"factory": watched, **named})
        return made

    return connect


def wrapped_method(watch: Watch, name: str) -> Callable[..., Any]:
    """A method of a connection."""

    def noted(self: sqlite3.Connection, *arguments: Any) -> Any:
        watch.note(f"Connection.{name}")
        return getattr(sqlite3.Connection, name)(self, *arguments)

    return noted
