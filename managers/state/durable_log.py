"""The durable log of one node: records of bytes, numbered from 1, and snapshots of the state that they lead to.

What `append` returned for survives kill and power cut; `recover` gives back all of it, in order, and nothing else
(docs/design/state.md, bytes: docs/formats/log.md). One thread at a time; every call may block on the disk.
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from managers.state.log_files import LogFile, LogFiles
from managers.state.log_format import (
    HEAD_BYTES,
    LOG_BYTES_MAX,
    LOG_MAGIC,
    SALT_BYTES,
    encode_frame,
    encode_snapshot,
    head,
)
from managers.state.log_recovery import LOG, SNAPSHOT, Found, file_name, numbers, read_back, read_snapshot
from ringrift_core.errors import StorageError
from ringrift_core.storage import ADVICE, TEMPORARY

SLICE_BYTES = 4 << 20  # of a snapshot, written and flushed in one step
FILES_MAX = 64  # log files since the snapshot; every start adds one


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a log held when it was opened."""

    number: int  # of the last record that the snapshot contains, 0 without one
    snapshot: bytes | None
    records: tuple[bytes, ...]  # those after it, in order
    damaged: tuple[str, ...]  # newer snapshots that cannot be read; an older one and the records made up for them


@dataclass(slots=True)
class Segment:
    """The log file that is appended to."""

    name: str
    file: LogFile
    salt: bytes
    end: int = HEAD_BYTES  # of the sound part, in bytes


class DurableLog:
    """One log in one folder; the constructor touches nothing, `recover` opens, `close` closes."""

    def __init__(self, files: LogFiles, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._files = files
        self._new_salt = partial(random_bytes, SALT_BYTES)
        self._segment: Segment | None = None
        self._refusal = "is not open"
        self._last = 0
        self._snapshot = 0  # the newest one that was read or read back
        self._firsts: list[int] = []
        self._bytes = 0  # of frames since the snapshot
        self._damaged = False

    @property
    def last(self) -> int:
        """Number of the last durable record, 0 when there is none."""
        return self._last

    def recover(self) -> Recovered:
        """Open the log and read it back, cutting off a last write that was never acknowledged.

        StorageError when another process has it, when something that was acknowledged is damaged, or when the disk
        refuses; the folder is left as it is then.
        """
        assert self._segment is None
        self._files.lock()
        try:
            with self._said():
                return self._recover()
        except BaseException:
            self._release()
            raise

    def append(self, bodies: Sequence[bytes]) -> int:
        """Make records durable, all or none, by one write and one fsync; the number of the last.

        RulesError when they are too large. StorageError when the disk refused the write: they are not in the log and
        will not be. StorageError when the fsync failed: they may be in the log or not, and nothing more is taken until
        the log is opened again.
        """
        segment = self._open_segment()
        frame = encode_frame(segment.salt, segment.end, self._last + 1, bodies)
        if segment.end + len(frame) > LOG_BYTES_MAX:
            raise StorageError(f"{self._files.where}: the log is full because no snapshot could be written")
        with self._said():
            try:
                segment.file.write(segment.end, frame)
            except OSError:
                self._cut_back(segment)
                raise
            self._sync(segment.file.sync)
        segment.end += len(frame)
        self._bytes += len(frame)
        self._last += len(bodies)
        return self._last

    def wants_compaction(self, records: int, size_bytes: int) -> bool:
        """Whether so many records or bytes, or too many files, have come since the snapshot, or one is damaged."""
        files = len([first for first in self._firsts if first > self._snapshot])
        due = self._last - self._snapshot >= records or self._bytes >= size_bytes
        return self._last > self._snapshot and (due or files > FILES_MAX or self._damaged)

    def compact(self, state: bytes) -> None:
        """Write a snapshot of the state after the last record and forget what came before; see `compaction`."""
        for _ in self.compaction(self._last, lambda: state):
            pass

    def compaction(self, number: int, dump: Callable[[], bytes]) -> Generator[None, None, None]:
        """Write a snapshot of the state after a record, step by step; records may be appended between steps.

        The snapshot and the log before this one are kept. StorageError when the disk refuses, RulesError when the
        state is too large; unless an fsync failed the log goes on as if nothing had happened.
        """
        segment = self._open_segment()
        assert self._snapshot < number <= self._last
        before = self._bytes
        with self._said():
            if segment.end > HEAD_BYTES:
                self._begin_segment()
                yield
            content = encode_snapshot(self._new_salt(), number, dump())
            yield
            file = self._create_aside(file_name(SNAPSHOT, number))
            yield from self._write(file, file_name(SNAPSHOT, number), content)
            self._close_file(file)
        read_snapshot(self._files, number)
        previous, self._snapshot = self._snapshot, number
        self._bytes -= before
        self._damaged = False
        self._forget(previous)

    def close(self) -> None:
        """Close the log, so that damage to its end is found too from now on. Idempotent."""
        if self._segment is not None and not self._refusal and self._segment.end > HEAD_BYTES:
            with suppress(OSError):  # all records are durable without the file that says so
                self._begin_segment()
        self._release()

    def _recover(self) -> Recovered:
        found = read_back(self._files)
        for name in self._files.names():
            if name.startswith(TEMPORARY):
                self._files.remove(name)
        if found is None:
            self._last, self._snapshot, self._firsts, self._bytes, self._damaged = 0, 0, [], 0, False
            self._refusal = ""
            self._begin_segment()
            return Recovered(0, None, (), ())
        self._last, self._snapshot, self._firsts = found.tail.content.last, found.number, list(found.firsts)
        self._bytes = sum(map(len, found.records))
        self._damaged = bool(found.damaged)
        self._reopen(found)
        return Recovered(found.number, found.snapshot, found.records, found.damaged)

    def _reopen(self, found: Found) -> None:
        """Make durable what was read: it may come from memory, where a failed or missing fsync has left it.

        Only the last frame can be so. It is written once more in its place, since the kernel takes pages whose fsync
        failed for clean; a crash in between changes nothing.
        """
        content = found.tail.content
        name = file_name(LOG, content.first)
        self._segment = segment = Segment(name, self._files.open(name), content.salt, content.end)
        self._refusal = ""
        if found.tail.size > content.end:
            segment.file.truncate(content.end)
        segment.file.write(content.end - len(found.tail.last_frame), found.tail.last_frame)
        self._sync(segment.file.sync)
        self._sync(self._files.sync_folder)
        if content.frames:
            self._begin_segment()

    def _begin_segment(self) -> None:
        """Go on in a new log file; its name says that everything before it is durable."""
        first = self._last + 1
        name, salt = file_name(LOG, first), self._new_salt()
        file = self._create_aside(name)
        for _ in self._write(file, name, head(LOG_MAGIC, salt, first)):
            pass
        if self._segment is not None:
            self._close_file(self._segment.file)
        self._segment = Segment(name, file, salt)
        self._firsts.append(first)

    def _create_aside(self, name: str) -> LogFile:
        with suppress(FileNotFoundError):
            self._files.remove(TEMPORARY + name)
        return self._files.create(TEMPORARY + name)

    def _write(self, file: LogFile, name: str, content: bytes) -> Iterator[None]:
        """Fill a file made aside, slice by slice, and give it its name: there completely or not at all, durably.

        It stays open, since a log whose name is there but which cannot be opened could not be gone around.
        """
        try:
            for start in range(0, len(content), SLICE_BYTES):
                file.write(start, content[start : start + SLICE_BYTES])
                self._sync(file.sync)
                yield
                self._check_usable()
            self._files.rename(TEMPORARY + name, name)
            self._sync(self._files.sync_folder)
        except BaseException:
            self._close_file(file)
            with suppress(OSError):
                self._files.remove(TEMPORARY + name)
            raise

    def _forget(self, previous: int) -> None:
        """Remove what neither the newest snapshot nor the one before needs."""
        logs = self._firsts
        gone = {first for first, following in pairwise(logs) if following <= previous + 1}
        self._firsts = [first for first in logs if first not in gone]
        with suppress(OSError):  # what stays is in nobody's way; the next compaction tries again
            names = self._files.names()
            for number in numbers(names, SNAPSHOT):
                if number not in {previous, self._snapshot}:
                    self._files.remove(file_name(SNAPSHOT, number))
            for first in numbers(names, LOG):
                if first < self._firsts[0]:
                    self._files.remove(file_name(LOG, first))

    def _cut_back(self, segment: Segment) -> None:
        """Take back a write that failed, so that it never comes back; otherwise refuse everything from now on."""
        try:
            segment.file.truncate(segment.end)
            segment.file.sync()
        except OSError:
            self._refusal = "has a write that failed and could not be taken back; close and open the log"

    def _sync(self, sync: Callable[[], None]) -> None:
        """An fsync that failed says nothing about what is on the disk, and neither does the next one."""
        try:
            sync()
        except OSError:
            self._refusal = "has an fsync that failed; check the disk, then close and open the log"
            raise

    def _open_segment(self) -> Segment:
        self._check_usable()
        assert self._segment is not None
        return self._segment

    def _check_usable(self) -> None:
        if self._refusal:
            raise StorageError(f"{self._files.where}: {self._refusal}")

    def _release(self) -> None:
        if self._segment is not None:
            self._close_file(self._segment.file)
        self._segment = None
        self._refusal = "is not open"
        self._files.unlock()

    def _close_file(self, file: LogFile) -> None:
        with suppress(OSError):  # what had to be durable has been synced before
            file.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """A disk that refuses is a StorageError."""
        try:
            yield
        except OSError as error:
            advice = ADVICE.get(error.errno or 0, "check the disk")
            raise StorageError(f"{self._files.where}: {error.strerror}; {advice}") from error
