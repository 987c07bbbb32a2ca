"""The bytes of log files and snapshots (docs/formats/log.md): pure functions, no files.

Records that were appended together share one frame, checks included: they are written at once and become durable at
once, so they are judged at once. Checks are keyed with a salt that each file draws, and that of a frame's head covers
where it stands: no record can hold bytes that pass for a frame, so "does a frame follow the bad spot?" has an answer.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ringrift_core.errors import RulesError, StorageError

VERSION = 1
LOG_MAGIC, SNAPSHOT_MAGIC = b"RINGLOG\n", b"RINGSNP\n"
HEAD = struct.Struct("<8sI16sQ")  # magic, version, salt, number: first of a log, last of a snapshot
FRAME_MAGIC = b"\xf1RRF"
FRAME = struct.Struct("<4sIIQ8s")  # magic, records, payload bytes, number of the first record, check of the payload
LENGTH = struct.Struct("<I")  # before each record of a payload
SIZE = struct.Struct("<Q8s")  # payload bytes of a snapshot, their check
OFFSET = struct.Struct("<Q")  # where a frame stands in its file; checked, not stored
SALT_BYTES = 16
CHECK_BYTES = 8  # one damaged file in 2^64 passes
RECORD_BYTES_MAX = 1 << 20  # a record is a command, bulk travels as blobs
FRAME_BYTES_MAX = 4 << 20  # of payload: what one fsync may have to wait for
LOG_BYTES_MAX = 1 << 28  # of one log file: it is read at once
SNAPSHOT_BYTES_MAX = 1 << 28
HEAD_BYTES = HEAD.size + CHECK_BYTES
FRAME_HEAD_BYTES = FRAME.size + CHECK_BYTES
MEND = "restore the folder from a copy, or move it away to begin without what it holds"


@dataclass(frozen=True, slots=True)
class Frame:
    """Records that were appended together, and where they stand in their file."""

    first: int
    bodies: tuple[bytes, ...]
    start: int
    end: int

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.first + len(self.bodies) - 1


@dataclass(frozen=True, slots=True)
class LogContent:
    """What a log file holds up to its first bad byte."""

    first: int
    salt: bytes
    frames: tuple[Frame, ...]
    later: int | None  # where a sound frame begins behind a bad spot

    @property
    def last(self) -> int:
        """Number of the last sound record, the one before `first` when there is none."""
        return self.frames[-1].last if self.frames else self.first - 1

    @property
    def end(self) -> int:
        """Where the sound part ends, in bytes."""
        return self.frames[-1].end if self.frames else HEAD_BYTES


def head(magic: bytes, salt: bytes, number: int) -> bytes:
    """How a file begins."""
    fields = HEAD.pack(magic, VERSION, salt, number)
    return fields + _check(b"", fields)


def encode_frame(salt: bytes, at: int, first: int, bodies: Sequence[bytes]) -> bytes:
    """Records as one frame for an offset of its file; RulesError when one of them, or all together, are too large."""
    assert bodies
    if (longest := max(map(len, bodies))) > RECORD_BYTES_MAX:
        raise RulesError(f"a record of {longest} bytes; the log takes at most {RECORD_BYTES_MAX}")
    payload = b"".join(part for body in bodies for part in (LENGTH.pack(len(body)), body))
    if len(payload) > FRAME_BYTES_MAX:
        raise RulesError(f"{len(bodies)} records of {len(payload)} bytes; {FRAME_BYTES_MAX} may be appended at once")
    fields = FRAME.pack(FRAME_MAGIC, len(bodies), len(payload), first, _check(salt, payload))
    return fields + _head_check(salt, fields, at) + payload


def encode_snapshot(salt: bytes, number: int, state: bytes) -> bytes:
    """A snapshot of the state after a record; RulesError when it is too large."""
    if len(state) > SNAPSHOT_BYTES_MAX:
        raise RulesError(f"a state of {len(state)} bytes; a snapshot takes at most {SNAPSHOT_BYTES_MAX}")
    return head(SNAPSHOT_MAGIC, salt, number) + SIZE.pack(len(state), _check(salt, state)) + state


def decode_snapshot(content: bytes, number: int, name: str) -> bytes:
    """The state of a snapshot; StorageError, beginning with `name`, when a single bit of it is wrong."""
    salt = _salt(content, SNAPSHOT_MAGIC, number, name)
    start = HEAD_BYTES + SIZE.size
    state = content[start:]
    if len(content) < start or SIZE.unpack_from(content, HEAD_BYTES) != (len(state), _check(salt, state)):
        raise StorageError(f"{name}: damaged; {MEND}")
    return state


def decode_log(content: bytes, first: int, name: str) -> LogContent:
    """The sound frames of a log, up to the first that is not; StorageError when the head is wrong or numbers jump."""
    salt = _salt(content, LOG_MAGIC, first, name)
    frames: list[Frame] = []
    number, at = first, HEAD_BYTES
    while frame := _frame(content, salt, at):
        if frame.first != number:
            raise StorageError(f"{name}: record {number} is missing, {frame.first} stands in its place; {MEND}")
        frames.append(frame)
        number, at = frame.last + 1, frame.end
    return LogContent(first, salt, tuple(frames), next(_frame_heads(content, salt, at + 1), None))


def _salt(content: bytes, magic: bytes, number: int, name: str) -> bytes:
    """The salt of a file whose head is sound and names the number."""
    fields, check = content[: HEAD.size], content[HEAD.size : HEAD_BYTES]
    if len(content) < HEAD_BYTES or not content.startswith(magic) or check != _check(b"", fields):
        raise StorageError(f"{name}: damaged, or not a file of this log; {MEND}")
    _, version, salt, found = HEAD.unpack(fields)
    if version != VERSION:
        raise StorageError(
            f"{name}: of version {version}, this program reads version {VERSION}: use the program that wrote it"
        )
    if found != number:
        raise StorageError(f"{name}: was written for record {found} and renamed; {MEND}")
    return bytes(salt)


def _frame(content: bytes, salt: bytes, at: int) -> Frame | None:
    """The sound frame that begins at an offset."""
    if not _sound_head(content, salt, at):
        return None
    _, count, size, first, check = FRAME.unpack_from(content, at)
    start = at + FRAME_HEAD_BYTES
    payload = content[start : start + size]
    if len(payload) != size or _check(salt, payload) != check:
        return None
    bodies = []
    cursor = 0
    for _ in range(count):
        (length,) = LENGTH.unpack_from(payload, cursor)
        cursor += LENGTH.size + length
        bodies.append(payload[cursor - length : cursor])
    return Frame(first, tuple(bodies), at, start + size)


def _frame_heads(content: bytes, salt: bytes, start: int) -> Iterator[int]:
    """Where heads of frames stand from an offset on. Each was written after all before it were durable."""
    at = content.find(FRAME_MAGIC, start)
    while at >= 0:
        if _sound_head(content, salt, at):
            yield at
        at = content.find(FRAME_MAGIC, at + 1)


def _sound_head(content: bytes, salt: bytes, at: int) -> bool:
    fields = content[at : at + FRAME.size]
    check = content[at + FRAME.size : at + FRAME_HEAD_BYTES]
    return len(check) == CHECK_BYTES and fields.startswith(FRAME_MAGIC) and check == _head_check(salt, fields, at)


def _head_check(salt: bytes, fields: bytes, at: int) -> bytes:
    return _check(salt, fields + OFFSET.pack(at))


def _check(salt: bytes, content: bytes) -> bytes:
    return blake2b(content, digest_size=CHECK_BYTES, key=salt).digest()
