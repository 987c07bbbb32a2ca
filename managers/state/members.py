"""Members, roles and the halt: who there is, who does what there is one of, and whether anything is done at all."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from managers.state.record import Address, Count, Name, PublicKey, Record, Refused, Text, Time

MEMBERS_MAX = 10_000
ROLES_MAX = 100
LEADER = "LEADER"  # the role of whoever decides


class Member(Record):
    """A node as it was when it joined; a session is one life of its process."""

    node: Name
    session: Annotated[int, Field(ge=1, lt=1 << 62)]
    cores: Count
    gpus: Count
    memory_bytes: Count
    joined_at: Time
    public_key: PublicKey = ""  # that its calls to other nodes are signed with
    draining: bool = False  # gets no new jobs
    addresses: tuple[Address, ...] = ()  # where it answers others, the best first; empty: it cannot be called
    raft_address: Address | Literal[""] = ""  # where it would listen as a voter; "": it cannot be one
    spot: bool = False  # may be taken away at any time
    protocol: Count = 0  # what it speaks with other nodes
    rules: Name | Literal[""] = ""  # digest of the rules it plays by


class Role(Record):
    """Somebody's lease on a role such as LEADER."""

    name: Name
    node: Name
    session: int
    seq: Count  # of the taking: the epoch of whatever the holder orders
    until: Time
    term: Count = 0  # of the election that gave it


class Halt(Record):
    """Nothing is started any more, what runs is stopped, until somebody says resume."""

    by: Name
    reason: Text
    at: Time


def join(members: dict[str, Member], member: Member) -> dict[str, Member]:
    """A node begins a life; draining outlives it, and so does its key: without it nobody takes its name."""
    known = members.get(member.node)
    if known is None and len(members) >= MEMBERS_MAX:
        raise Refused(f"there are {MEMBERS_MAX} members already")
    if known is not None and known.session >= member.session:
        raise Refused(f"{member.node} has begun session {known.session}; {member.session} is not newer")
    if known is not None and known.public_key not in {"", member.public_key}:
        raise Refused(
            f"the folder of {member.node} has another key: bring back its identity/node.key from a copy, or work in "
            f"another folder under another name; {member.node} is the node with the key {known.public_key}"
        )
    draining = member.draining or (known is not None and known.draining)
    return {**members, member.node: member.model_copy(update={"draining": draining})}


def drain(members: dict[str, Member], node: str, *, draining: bool) -> dict[str, Member]:
    """Give a node no new jobs, or again."""
    return {**members, node: known_member(members, node).model_copy(update={"draining": draining})}


def leave(members: dict[str, Member], node: str) -> dict[str, Member]:
    """A node is no member any more."""
    known_member(members, node)
    return {name: member for name, member in members.items() if name != node}


def session_after(members: Mapping[str, Member], node: str, now: float) -> int:
    """The number of a life that begins at `now` (unix seconds), greater than that of any earlier one.

    It is counted in milliseconds of the clock: a node that comes back may not have heard of its latest life yet.
    """
    known = members.get(node)
    return max(int(1000 * now), 1 if known is None else known.session + 1)


def known_member(members: dict[str, Member], node: str, session: int | None = None) -> Member:
    """A member, in the given session."""
    member = members.get(node)
    if member is None:
        raise Refused(f"{node} is no member")
    if session is not None and member.session != session:
        raise Refused(f"{node} is in session {member.session}, not {session}")
    return member


def take_role(roles: dict[str, Role], role: Role, now: float) -> dict[str, Role]:
    """Take a role, or hold it for longer; a renewal keeps the seq of the taking. A later term ends any lease."""
    held = roles.get(role.name)
    if held is None and len(roles) >= ROLES_MAX:
        raise Refused(f"there are {ROLES_MAX} roles already")
    if role.until <= now:
        raise Refused("a lease ends after it begins")
    if held is not None and held.term > role.term:
        raise Refused(f"{held.node} holds {role.name} in term {held.term}; {role.term} is over")
    if held is not None and (held.node, held.session, held.term) == (role.node, role.session, role.term):
        return {**roles, role.name: role.model_copy(update={"seq": held.seq, "until": max(held.until, role.until)})}
    if held is not None and held.until > now and held.node != role.node and held.term == role.term:
        raise Refused(f"{held.node} holds {role.name} for another {held.until - now:.0f} s")
    return {**roles, role.name: role}


def set_voters(members: dict[str, Member], before: tuple[str, ...], voters: tuple[str, ...]) -> tuple[str, ...]:
    """The voters from now on, in alphabetical order."""
    for node in voters:
        if not known_member(members, node).raft_address:
            raise Refused(f"{node} cannot be a voter: it listens to no other voter")
    wanted = tuple(sorted(set(voters)))
    if wanted == before:
        raise Refused("nothing changes")
    return wanted


def yield_role(roles: dict[str, Role], name: str, node: str, session: int) -> dict[str, Role]:
    """Give a role back."""
    held = roles.get(name)
    if held is None or (held.node, held.session) != (node, session):
        raise Refused(f"{node} does not hold {name}")
    return {role: holder for role, holder in roles.items() if role != name}
