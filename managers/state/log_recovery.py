"""Reading a log folder back: which snapshot, which records after it, and what is damage rather than a torn end.

Only the end of the newest log file may be torn. A log file is made after everything before its first record is durable,
so its name is a promise about the files before it, and a sound frame is a promise about the bytes before it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from managers.state.log_files import LogFiles
from managers.state.log_format import (
    LOG_BYTES_MAX,
    MEND,
    SNAPSHOT_BYTES_MAX,
    LogContent,
    decode_log,
    decode_snapshot,
)
from ringrift_core.errors import StorageError

LOG, SNAPSHOT = "log", "snapshot"
NAME = re.compile(r"(log|snapshot)-([0-9]{20})")


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest log file: the one that is appended to."""

    content: LogContent
    last_frame: bytes
    size: int  # in bytes, a torn end included


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds."""

    number: int  # of the last record that the snapshot contains, 0 without one
    snapshot: bytes | None
    records: tuple[bytes, ...]  # those after it
    damaged: tuple[str, ...]  # newer snapshots that cannot be read; nothing is lost by that
    firsts: tuple[int, ...]  # the log files
    tail: Tail


def file_name(kind: str, number: int) -> str:
    """The name of a log file by its first record, or of a snapshot by its last."""
    return f"{kind}-{number:020d}"


def numbers(names: Iterable[str], kind: str) -> list[int]:
    """The numbers of the files of a kind, ascending; other names are none of the log's business."""
    return sorted(int(found[2]) for name in names if (found := NAME.fullmatch(name)) and found[1] == kind)


def read_snapshot(files: LogFiles, number: int) -> bytes:
    """The state of a snapshot; StorageError when a bit of it is wrong."""
    name = file_name(SNAPSHOT, number)
    return decode_snapshot(_read(files, name, SNAPSHOT_BYTES_MAX + (1 << 10)), number, f"{files.where}/{name}")


def read_back(files: LogFiles) -> Found | None:
    """Everything that was acknowledged, None in a folder without a log; StorageError when some of it is damaged."""
    names = files.names()
    firsts, snapshots = numbers(names, LOG), numbers(names, SNAPSHOT)
    if not firsts and not snapshots:
        return None
    number, snapshot, damaged = _newest_snapshot(files, snapshots)
    start = max((first for first in firsts if first <= number + 1), default=None)
    if start is None:
        missing = "; ".join([f"{files.where}: there is no log with record {number + 1}", *damaged, MEND])
        raise StorageError(missing)
    records: list[bytes] = []
    chain = [first for first in firsts if first >= start]
    for first, following in pairwise(chain):
        records += _after(number, _read_log(files, first, following))
    tail = _read_log(files, chain[-1], None)
    records += _after(number, tail)
    if tail.content.last < number:
        raise StorageError(
            f"{files.where}: the log ends with record {tail.content.last}, before the snapshot of {number}; {MEND}"
        )
    return Found(number, snapshot, tuple(records), tuple(damaged), tuple(firsts), tail)


def _newest_snapshot(files: LogFiles, snapshots: list[int]) -> tuple[int, bytes | None, list[str]]:
    """Number and state of the newest readable snapshot, and what is wrong with those that are newer."""
    damaged: list[str] = []
    for number in reversed(snapshots):
        try:
            return number, read_snapshot(files, number), damaged
        except StorageError as error:
            damaged.append(str(error).removesuffix(f"; {MEND}"))
    return 0, None, damaged


def _read_log(files: LogFiles, first: int, following: int | None) -> Tail:
    """A log file, which must reach the one that follows it."""
    name = file_name(LOG, first)
    content = _read(files, name, LOG_BYTES_MAX)
    log = decode_log(content, first, f"{files.where}/{name}")
    if log.later is not None or (following is not None and log.last != following - 1):
        raise StorageError(f"{files.where}/{name}: damaged behind record {log.last}; {MEND}")
    last_frame = content[log.frames[-1].start : log.frames[-1].end] if log.frames else b""
    return Tail(log, last_frame, len(content))


def _after(number: int, log: Tail) -> list[bytes]:
    """The records of a log file behind a number."""
    return [body for frame in log.content.frames for body in frame.bodies[max(0, number + 1 - frame.first) :]]


def _read(files: LogFiles, name: str, size_max: int) -> bytes:
    try:
        content = files.read(name, size_max)
    except OSError as error:
        raise StorageError(f"{files.where}/{name}: cannot be read ({error.strerror}); {MEND}") from error
    if len(content) > size_max:
        raise StorageError(f"{files.where}/{name}: larger than the {size_max} bytes that it may have; {MEND}")
    return content
