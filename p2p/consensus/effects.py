"""What a tick of `Raft` hands out: what must happen outside, in this order, after all it stands on is on the disk."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a voter is at present."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Send:
    """A frame for a connected peer."""

    peer: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Applied:
    """Bodies that are agreed on, in their order; they never change and never come again in this life."""

    version: int  # of the first: how many bodies were applied in this cluster up to it, itself included
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """A dump takes the place of everything that was applied before."""

    version: int  # bodies that led to it
    dump: bytes


@dataclass(frozen=True, slots=True)
class DumpWanted:
    """`Raft.dumped` is to be called with the state after this version; until then the log only grows."""

    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A proposal that failed, or of which nobody knows what became.

    A later `Applied` may still hold the body where `maybe` is true, and nowhere else.
    """

    number: int  # as it was given to `Raft.propose`
    reason: str
    maybe: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How the voter sees its group; given when something other than `applied_version` has changed."""

    role: Role
    leader: str | None
    term: int
    quorum: bool  # whether a majority of the voters is connected, itself included
    voters: tuple[str, ...]  # sorted
    applied_version: int


Effect = Send | Applied | Installed | DumpWanted | Refused | Standing
