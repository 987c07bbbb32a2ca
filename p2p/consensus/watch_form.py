"""What a voter answers to those who watch its state: records or a part of a dump, as msgpack. Pure.

A list: 1, the version of the first record, the records; or 2, the version of a dump, its bytes in all, where this part
begins, the part. ValueError for what is none of this, or more than fits.
"""

from dataclasses import dataclass

import msgpack

from managers.state.log_format import RECORD_BYTES_MAX, SNAPSHOT_BYTES_MAX

ANSWER_BYTES_MAX = 4 << 20  # of records, or of a part of a dump
SPARE_BYTES = RECORD_BYTES_MAX + (64 << 10)  # one record more than fits, and the frame around them
WHOLE_BYTES_MAX = ANSWER_BYTES_MAX + SPARE_BYTES  # what a reader takes
DUMP_BYTES_MAX = SNAPSHOT_BYTES_MAX
RECORDS_MAX = 100_000  # in an answer: the smallest record is some bytes long
VERSION_MAX = (1 << 62) - 1
RECORDS, DUMP = 1, 2


@dataclass(frozen=True, slots=True)
class Records:
    """Records in their order; none where there is no news."""

    first: int  # version of the first one, or that it would have
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DumpPiece:
    """A part of a dump of the state of a version."""

    version: int
    total: int  # bytes of the whole dump
    offset: int
    content: bytes


def encode(answer: Records | DumpPiece) -> bytes:
    """The bytes of an answer."""
    if isinstance(answer, Records):
        return bytes(msgpack.packb([RECORDS, answer.first, list(answer.bodies)]))
    return bytes(msgpack.packb([DUMP, answer.version, answer.total, answer.offset, answer.content]))


def decode(content: bytes) -> Records | DumpPiece:
    """The answer in some bytes."""
    if len(content) > WHOLE_BYTES_MAX:
        raise ValueError("an answer that is too long")
    match msgpack.unpackb(content, strict_map_key=True):
        case [1, first, list() as bodies] if len(bodies) <= RECORDS_MAX:
            return Records(_number(first), tuple(_octets(body, RECORD_BYTES_MAX) for body in bodies))
        case [2, version, total, offset, piece]:
            found = DumpPiece(_number(version), _number(total), _number(offset), _octets(piece, ANSWER_BYTES_MAX))
            if found.total > DUMP_BYTES_MAX or found.offset + len(found.content) > found.total:
                raise ValueError("a dump that is too long, or a part outside of it")
            return found
        case _:
            raise ValueError("neither records nor a dump")


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= VERSION_MAX:
        raise ValueError("no number")
    return value


def _octets(value: object, size_max: int) -> bytes:
    if not isinstance(value, bytes) or len(value) > size_max:
        raise ValueError("no bytes, or too many")
    return value
