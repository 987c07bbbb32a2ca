"""What the control process and the raft process say to each other over their socketpair: records and their bytes.

Frames are a length and a msgpack array: the number of the record in the table of its direction, then its fields in
order. Nothing else is taken: a record has exactly its fields, of exactly their types. Dumps travel in parts.
"""

import struct
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from enum import Enum, StrEnum
from typing import Generic, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from p2p.consensus.effects import Applied, DumpWanted, Refused, Standing
from ringrift_core.errors import RingriftError

LENGTH = struct.Struct(">I")
FRAME_BYTES_MAX = 8 << 20
PART_BYTES = 1 << 20  # of a dump, in one frame
BODIES_BYTES_MAX = 4 << 20  # applied bodies in one frame, unless there is only one
TEXT_CHARS_MAX = 10_000
DUMP_BYTES_MAX = 1 << 28
INT_MAX = (1 << 63) - 1

M = TypeVar("M")  # a record of one direction
P = TypeVar("P")  # a part


class PipeError(RingriftError):
    """The other process says what it cannot say: the two are not of one release, or one of them is broken."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The first thing that a raft process is told."""

    cluster_id: str
    node: str
    key_path: str
    store: str  # the folder of its log
    host: str  # to listen on
    port: int
    voters: tuple[str, ...]  # where the store knows none
    profile: str  # of timing: lan, wan
    founded: bool  # parts of it, `BasePart`, follow: what a group begins with where the store is blank


@dataclass(frozen=True, slots=True)
class BasePart:
    """A part of the dump that a group begins with."""

    version: int
    part: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class DumpPart:
    """A part of the dump that was wanted."""

    version: int
    part: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class NoDump:
    """There is none of that version, and will not be."""

    version: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another voter listens, and its key."""

    node: str
    host: str
    port: int
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Peers:
    """All that may connect, in place of those before."""

    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Propose:
    """A body for the log; `number` comes back where it is refused."""

    number: int
    body: bytes


class Wish(StrEnum):
    """What can be asked of the group itself."""

    ADD = "add"  # let a node vote
    REMOVE = "remove"  # let it vote no more
    TRANSFER = "transfer"  # let another voter lead


@dataclass(frozen=True, slots=True)
class Change:
    """A wish about the group; `Answered` with the same number follows."""

    number: int
    wish: Wish
    node: str | None  # None: whichever is best, for a transfer


@dataclass(frozen=True, slots=True)
class Stop:
    """End in good order."""


@dataclass(frozen=True, slots=True)
class Listening:
    """It listens, on this port."""

    port: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot work and ends."""

    reason: str
    passing: bool  # another process is in the way, which may be about to end


@dataclass(frozen=True, slots=True)
class InstalledPart:
    """A part of the dump that is the state now."""

    version: int
    part: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A wish was taken (it may still come to nothing), or it was not, for a reason."""

    number: int
    reason: str  # "" where it was taken


@dataclass(frozen=True, slots=True)
class Alive:
    """It works, and is connected to these."""

    connected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the log."""

    level: int
    text: str


ToRaft = Begin | BasePart | DumpPart | NoDump | Peers | Propose | Change | Stop
ToControl = Listening | Failed | Applied | InstalledPart | DumpWanted | Refused | Standing | Answered | Alive | Said
TO_RAFT: tuple[type[ToRaft], ...] = get_args(ToRaft)
TO_CONTROL: tuple[type[ToControl], ...] = get_args(ToControl)
Part = BasePart | DumpPart | InstalledPart
Message = ToRaft | ToControl
CODES = {kind: code for table in (TO_RAFT, TO_CONTROL) for code, kind in enumerate(table)}


class Frames(Generic[M]):
    """Bytes of one direction in, records out."""

    def __init__(self, table: Sequence[type[M]]) -> None:
        self._table = table
        self._buffer = bytearray()

    def feed(self, content: bytes) -> Iterator[M]:
        """The records that are complete now; PipeError at the first thing that is none."""
        self._buffer += content
        while len(self._buffer) >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._buffer)
            if size > FRAME_BYTES_MAX:
                raise PipeError(f"a frame of {size} bytes on the pipe")
            end = LENGTH.size + size
            if len(self._buffer) < end:
                return
            content = bytes(memoryview(self._buffer)[LENGTH.size : end])
            del self._buffer[:end]
            yield decode(content, self._table)


class Parts:
    """Parts of one kind of dump in, whole dumps out."""

    def __init__(self) -> None:
        self._version = -1
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, part: Part) -> bytes | None:
        """The dump when this part was its last; PipeError when it is too large or parts of two are mixed."""
        if not self._parts:
            self._version = part.version
        self._size += len(part.part)
        if part.version != self._version or self._size > DUMP_BYTES_MAX:
            raise PipeError("parts of a dump do not belong together")
        self._parts.append(part.part)
        if not part.last:
            return None
        whole = b"".join(self._parts)
        self._parts, self._size = [], 0
        return whole


def encode(message: Message) -> bytes:
    """The frame of a record."""
    packed: bytes = msgpack.packb((CODES[type(message)], *astuple(message)))
    if len(packed) > FRAME_BYTES_MAX:
        raise PipeError(f"{type(message).__name__} of {len(packed)} bytes; {FRAME_BYTES_MAX} are the most")
    return LENGTH.pack(len(packed)) + packed


def decode(content: bytes, table: Sequence[type[M]]) -> M:
    """The record in the content of a frame; PipeError when it holds none of that direction."""
    try:
        found: object = msgpack.unpackb(content, use_list=False, max_ext_len=0)
        if not isinstance(found, tuple) or type(found[0]) is not int:
            raise PipeError("no record on the pipe")
        return _record(table[_natural(found[0])], found[1:])
    except (ValueError, TypeError, IndexError, RecursionError, msgpack.UnpackException) as error:
        raise PipeError(f"no record on the pipe: {error}"[:200]) from None


def parts(make: Callable[[int, bytes, bool], P], version: int, dump: bytes) -> Iterator[P]:
    """A dump in parts; at least one."""
    starts = range(0, max(1, len(dump)), PART_BYTES)
    for start in starts:
        yield make(version, dump[start : start + PART_BYTES], start == starts[-1])


def applied_parts(applied: Applied) -> Iterator[Applied]:
    """Applied bodies in frames that a pipe takes."""
    bodies: list[bytes] = []
    version, size = applied.version, 0
    for body in applied.bodies:
        if bodies and size + len(body) > BODIES_BYTES_MAX:
            yield Applied(version, tuple(bodies))
            version, bodies, size = version + len(bodies), [], 0
        bodies.append(body)
        size += len(body)
    if bodies:
        yield Applied(version, tuple(bodies))


def _record(kind: type[M], values: tuple[object, ...]) -> M:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # all of a table are dataclasses
    if len(values) != len(names):
        raise ValueError(f"{kind.__name__} of {len(values)} fields")
    hints = HINTS[kind]
    return kind(*(_value(hints[name], value) for name, value in zip(names, values, strict=True)))


def _value(hint: object, value: object) -> object:
    """A value of a type; ValueError when it is none."""
    if get_origin(hint) is tuple and isinstance(value, tuple):
        return tuple(_value(get_args(hint)[0], it) for it in value)
    if get_origin(hint) is types.UnionType:
        return None if value is None else _value(get_args(hint)[0], value)
    if isinstance(hint, type) and hint in HINTS and isinstance(value, tuple):
        return _record(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if type(value) is not hint:
        raise ValueError(f"{type(value).__name__} in the place of {hint}")
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        raise ValueError("a text is too long")
    return _natural(value) if type(value) is int else value


def _natural(value: int) -> int:
    if not 0 <= value <= INT_MAX:
        raise ValueError("a number is out of range")
    return value


HINTS: dict[type, dict[str, object]] = {kind: get_type_hints(kind) for kind in (*TO_RAFT, *TO_CONTROL, Peer)}
