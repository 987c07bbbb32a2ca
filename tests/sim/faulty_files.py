"""A disk in memory that keeps only what was synced, and fails on demand.

A power cut keeps, of what was not synced, any subset: each write torn into sectors or at any byte, each change of a
name kept or lost by itself. A failed fsync behaves as on Linux: what was to be written stays readable and is never
written by later fsyncs.
"""

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

SECTOR = 64  # bytes; small, so that small frames tear in several ways


class PowerCutError(Exception):
    """The machine is off; whoever holds these files is gone."""


@dataclass
class Inode:
    """Content as readers see it, as it is on the disk, and what has not got there yet: (offset, bytes) or a size."""

    cached: bytearray = field(default_factory=bytearray)
    stored: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)


@dataclass
class Faults:
    """When something goes wrong, counted in calls of the file layer; which calls are silently left out."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    cut_at: int | None = None  # the power cut comes in this call, before or after its effect
    fail_at: dict[int, int] = field(default_factory=dict)  # call -> errno
    skipped: Callable[[str, str], bool] = lambda call, name: False  # a planted bug: this call is not made


class Disk:
    """What outlives a power cut, and who counts the calls."""

    def __init__(self) -> None:
        self.stored: dict[str, Inode] = {}
        self.cached: dict[str, Inode] = {}
        self.pending: list[tuple[str, Inode | None]] = []  # changes of names
        self.calls: list[str] = []
        self.off = False
        self.faults = Faults()

    def power_up(self, faults: Faults) -> None:
        """Forget what was only in memory; the next user finds what the cut left, under the faults of its own."""
        rng = self.faults.rng
        for name, inode in self.pending:
            if rng.random() < 0.5:
                _set(self.stored, name, inode)
        every = {id(inode): inode for inode in [*self.stored.values()]}
        for inode in every.values():
            _tear(inode, rng)
        self.cached = dict(self.stored)
        self.pending, self.calls, self.off, self.faults = [], [], False, faults

    def restart(self, faults: Faults) -> None:
        """The process ended, the machine did not: nothing is lost, nothing is written."""
        self.calls, self.off, self.faults = [], False, faults

    def struck(self) -> int:
        """How many calls have failed in this process."""
        return sum(number < len(self.calls) for number in self.faults.fail_at)

    def call(self, what: str, name: str, effect: Callable[[], None], part: Callable[[], None] | None = None) -> None:
        """Count a call, with its effect unless a fault says otherwise; `part` is what a failing one does."""
        if self.off:
            raise PowerCutError
        number = len(self.calls)
        self.calls.append(f"{what} {name}")
        if number == self.faults.cut_at:
            self.off = True
            if self.faults.rng.random() < 0.5:
                effect()
            raise PowerCutError
        if number in self.faults.fail_at:
            if part:
                part()
            code = self.faults.fail_at[number]
            raise OSError(code, os.strerror(code))
        if not self.faults.skipped(what, name):
            effect()


class FaultyFile:
    """An open file of a faulty disk."""

    def __init__(self, disk: Disk, name: str, inode: Inode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def write(self, offset: int, content: bytes) -> None:
        def effect(count: int = len(content)) -> None:
            _change(self._inode.cached, (offset, content[:count]))
            self._inode.pending.append((offset, content[:count]))

        rng = self._disk.faults.rng
        part = rng.choice((len(content), rng.randrange(len(content) + 1)))
        self._disk.call("write", self._name, effect, lambda: effect(part))

    def truncate(self, size: int) -> None:
        def effect() -> None:
            _change(self._inode.cached, size)
            self._inode.pending.append(size)

        self._disk.call("truncate", self._name, effect)

    def sync(self) -> None:
        def effect() -> None:
            for change in self._inode.pending:
                _change(self._inode.stored, change)
            self._inode.pending.clear()

        def lose() -> None:
            if self._disk.faults.rng.random() < 0.5:
                _tear(self._inode, self._disk.faults.rng, keep_cached=True)
            self._inode.pending.clear()

        self._disk.call("sync", self._name, effect, lose)

    def close(self) -> None:
        if self._disk.off:
            raise PowerCutError


class FaultyFiles:
    """The one folder of a faulty disk."""

    where = "disk"

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def lock(self) -> None:
        pass

    def unlock(self) -> None:
        pass

    def names(self) -> list[str]:
        self.disk.call("names", "", lambda: None)
        return list(self.disk.cached)

    def read(self, name: str, size_max: int) -> bytes:
        self.disk.call("read", name, lambda: None)
        return bytes(self.disk.cached[name].cached[: size_max + 1])

    def create(self, name: str) -> FaultyFile:
        inode = Inode()
        assert name not in self.disk.cached
        self.disk.call("create", name, lambda: self._named(name, inode))
        return FaultyFile(self.disk, name, inode)

    def open(self, name: str) -> FaultyFile:
        self.disk.call("open", name, lambda: None)
        return FaultyFile(self.disk, name, self.disk.cached[name])

    def rename(self, name: str, to: str) -> None:
        def effect() -> None:
            inode = self.disk.cached[name]
            self._named(name, None)
            self._named(to, inode)

        self.disk.call("rename", to, effect)

    def remove(self, name: str) -> None:
        if name not in self.disk.cached:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.disk.call("remove", name, lambda: self._named(name, None))

    def sync_folder(self) -> None:
        def effect() -> None:
            for name, inode in self.disk.pending:
                _set(self.disk.stored, name, inode)
            self.disk.pending.clear()

        self.disk.call("sync_folder", "", effect)

    def _named(self, name: str, inode: Inode | None) -> None:
        _set(self.disk.cached, name, inode)
        self.disk.pending.append((name, inode))


def _set(names: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


def _change(content: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del content[change:]
        return
    offset, written = change
    if written:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(written)] = written


def _tear(inode: Inode, rng: random.Random, *, keep_cached: bool = False) -> None:
    """Store any part of what is pending: in order up to a byte, or each sector by itself."""
    in_order = rng.random() < 0.5
    whole = rng.randrange(len(inode.pending) + 1)
    for i, change in enumerate(inode.pending):
        if isinstance(change, int):
            if i < whole if in_order else rng.random() < 0.5:
                _change(inode.stored, change)
        elif in_order:
            count = len(change[1]) if i < whole else rng.randrange(len(change[1]) + 1) if i == whole else 0
            _change(inode.stored, (change[0], change[1][:count]))
        else:
            for start in range(0, len(change[1]), SECTOR):
                if rng.random() < 0.6:
                    _change(inode.stored, (change[0] + start, change[1][start : start + SECTOR]))
    if not keep_cached:
        inode.cached = bytearray(inode.stored)
        inode.pending.clear()
