"""Entries of the replicated log and what their commands hold, as msgpack: no pickle anywhere.

A command is one byte that says what it is, as pysyncobj wants it, and its content. `dumps` and `loads` are what
pysyncobj calls in place of pickle; it does so for changes of the membership alone. ValueError for what is none of this.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgpack

from ringrift_core.errors import InvariantError

Entry = tuple[bytes, int, int]  # command, index, term
BODIES, NO_OP, MEMBERSHIP = b"\x00", b"\x01", b"\x02"  # as in pysyncobj.syncobj._COMMAND_TYPE
BODY_BYTES_MAX = (1 << 20) + 16  # a command of the cluster's state and the tag of its proposer
ENTRY_BYTES_MAX = 4 << 20
INTEGER_MAX = (1 << 63) - 1
NODE = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # config.sections.NODE_NAME, which would bring pydantic with it


@dataclass(frozen=True, slots=True)
class Change:
    """One node more or less that votes."""

    adds: bool
    node: str


def pack(value: object) -> bytes:
    """Plain values as bytes."""
    return bytes(msgpack.packb(value))


def unpack(content: bytes) -> object:
    """The plain values of bytes: lists, ints, bools, texts, bytes, None."""
    return msgpack.unpackb(content, strict_map_key=True)


def bodies_command(bodies: Sequence[bytes]) -> bytes:
    """A command that brings bodies."""
    return BODIES + pack(list(bodies))


def bodies_of(command: bytes) -> tuple[bytes, ...]:
    """The bodies that a command brings, none for other commands."""
    if not command.startswith(BODIES):
        return ()
    bodies = listed(unpack(command[1:]))
    if not bodies:
        raise ValueError("a command without bodies")
    return tuple(octets(body, BODY_BYTES_MAX) for body in bodies)


def change_of(command: bytes) -> Change | None:
    """The change of the membership that a command asks for."""
    if not command.startswith(MEMBERSHIP):
        return None
    kind, node = listed(unpack(command[1:]), 2)
    if kind not in {"add", "rem"}:
        raise ValueError("neither adds nor removes")
    return Change(kind == "add", node_id(node))


def dumps(value: object) -> bytes:
    """A change of the membership as pysyncobj has it: kind, id, node."""
    if not isinstance(value, list) or len(value) != 3 or value[0] not in {"add", "rem"}:
        raise InvariantError(
            f"pysyncobj wants a {type(value).__name__} to be encoded that is no change of the membership"
        )
    return pack(value[:2])


def loads(content: bytes) -> object:
    """A change of the membership as pysyncobj understands it: kind and id."""
    change = change_of(MEMBERSHIP + content)
    assert change is not None
    return ["add" if change.adds else "rem", change.node]


def entry(value: object) -> Entry:
    """A sound entry: no later reader of it can fail."""
    command, index, term = listed(value, 3)
    checked = octets(command, ENTRY_BYTES_MAX)
    if not (bodies_of(checked) or change_of(checked) or checked == NO_OP):
        raise ValueError("an entry of an unknown kind")
    return checked, integer(index), integer(term)


def entries(values: object, after: int, term_before: int) -> tuple[Entry, ...]:
    """Sound entries that follow an index without a gap, of terms that never fall."""
    found = tuple(entry(value) for value in listed(values))
    for place, (_, index, term) in enumerate(found):
        if index != after + 1 + place or term < term_before:
            raise ValueError("entries out of order")
        term_before = term
    return found


def listed(value: object, length: int | None = None) -> list[object]:
    """A list, of a length where one is given."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise ValueError("no list of the right length")
    return value


def integer(value: object) -> int:
    """A number from 0 to 2^63 - 1."""
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ValueError("no number")
    return value


def flag(value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004 - one exception for all that is malformed
    return value


def octets(value: object, size_max: int) -> bytes:
    """Bytes, not too many."""
    if not isinstance(value, bytes) or len(value) > size_max:
        raise ValueError("no bytes, or too many")
    return value


def node_id(value: object) -> str:
    """The name of a node."""
    if not isinstance(value, str) or not NODE.fullmatch(value):
        raise ValueError("no name of a node")
    return value


def node_ids(values: object) -> tuple[str, ...]:
    """Names of nodes, each once, sorted."""
    found = [node_id(value) for value in listed(values)]
    if found != sorted(set(found)):
        raise ValueError("names out of order or twice")
    return tuple(found)


def changed(voters: Iterable[str], change: Change) -> frozenset[str]:
    """Who votes after a change."""
    return frozenset(voters) | {change.node} if change.adds else frozenset(voters) - {change.node}
