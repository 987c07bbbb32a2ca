"""The messages between voters as typed msgpack: a list of the kind's number and the fields, each checked.

`decode` believes nothing: numbers are numbers, entries follow each other and can be applied by whoever gets them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from p2p.consensus.codec import (
    ENTRY_BYTES_MAX,
    Entry,
    bodies_of,
    entries,
    flag,
    integer,
    listed,
    octets,
    pack,
    unpack,
)
from ringrift_core.errors import RingriftError

PART_BYTES_MAX = 1 << 20  # of a dump in one message
TAIL_BYTES_MAX = 64 << 20  # of entries in one message: the whole tail of a leader's log


class WireError(RingriftError):
    """A peer sent what is no message; the connection should end."""


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """A leader's entries behind `previous_index`, all that it has; none of them: it is there."""

    term: int
    commit_index: int
    previous_index: int
    previous_term: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DumpPart:
    """A piece of a leader's base. It says nothing about entries that stand in other logs."""

    term: int
    offset: int
    last: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class NextIndex:
    """The answer to a leader: which entry its sender wants next."""

    term: int  # of the sender when it answered
    next_index: int
    reset: bool  # the leader's guess was wrong
    success: bool  # everything before is as the leader has it, and on the disk


@dataclass(frozen=True, slots=True)
class RequestVote:
    """A candidate."""

    term: int
    last_index: int
    last_term: int


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer to a candidate who gets the vote; who does not gets none."""

    term: int


@dataclass(frozen=True, slots=True)
class Command:
    """Bodies that a follower wants to be in the log."""

    number: int
    command: bytes


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """Where the bodies stand, or an error of pysyncobj.FAIL_REASON in place of 0."""

    number: int
    error: int
    index: int
    term: int


@dataclass(frozen=True, slots=True)
class LeadNow:
    """A leader asks another voter to take its place."""

    term: int


@dataclass(frozen=True, slots=True)
class PreVote:
    """Would you vote for me? Changes nothing."""

    round: int  # as the sender numbers them
    last_index: int
    last_term: int


@dataclass(frozen=True, slots=True)
class PreVoteAnswer:
    """Whether the sender would; its term, so that the next one is high enough."""

    round: int
    term: int
    granted: bool


Message = (
    AppendEntries
    | DumpPart
    | NextIndex
    | RequestVote
    | Vote
    | Command
    | CommandAnswer
    | LeadNow
    | PreVote
    | PreVoteAnswer
)


def encode(message: Message) -> bytes:
    """A message as a frame."""
    return pack([NUMBERS[type(message)], *(getattr(message, name) for name in message.__slots__)])


def decode(frame: bytes) -> Message:
    """The message of a frame; WireError when it is none."""
    try:
        number, *fields = listed(unpack(frame))
        return DECODERS[integer(number)](fields)
    except (ValueError, IndexError) as error:
        raise WireError(f"a frame that is no message: {error}") from error


def _append_entries(fields: list[object]) -> AppendEntries:
    term, commit, index, before, items = listed(fields, 5)
    found = entries(items, integer(index), integer(before))
    if max((it[2] for it in found), default=integer(before)) > integer(term):
        raise ValueError("an entry of a later term than its leader")
    return AppendEntries(integer(term), integer(commit), integer(index), integer(before), found)


def _dump_part(fields: list[object]) -> DumpPart:
    term, offset, last, content = listed(fields, 4)
    part = octets(content, PART_BYTES_MAX)
    return DumpPart(integer(term), integer(offset), flag(last), part)


def _next_index(fields: list[object]) -> NextIndex:
    term, following, reset, success = listed(fields, 4)
    return NextIndex(integer(term), integer(following), flag(reset), flag(success))


def _command(fields: list[object]) -> Command:
    number, content = listed(fields, 2)
    command = octets(content, ENTRY_BYTES_MAX)
    if not bodies_of(command):
        raise ValueError("a command that brings no bodies")
    return Command(integer(number), command)


def _pre_vote_answer(fields: list[object]) -> PreVoteAnswer:
    number, term, granted = listed(fields, 3)
    return PreVoteAnswer(integer(number), integer(term), flag(granted))


def _numbers(make: Callable[..., Message], count: int) -> Callable[[list[object]], Message]:
    """The decoder of a message of numbers alone."""
    return lambda fields: make(*(integer(value) for value in listed(fields, count)))


DECODERS: tuple[Callable[[list[object]], Message], ...] = (
    _append_entries,
    _dump_part,
    _next_index,
    _numbers(RequestVote, 3),
    _numbers(Vote, 1),
    _command,
    _numbers(CommandAnswer, 4),
    _numbers(LeadNow, 1),
    _numbers(PreVote, 3),
    _pre_vote_answer,
)
KINDS = (
    AppendEntries, DumpPart, NextIndex, RequestVote, Vote, Command, CommandAnswer, LeadNow, PreVote, PreVoteAnswer,
)  # fmt: skip
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}  # the place in DECODERS
