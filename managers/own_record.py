"""What a node says of itself when it joins, beside what its machine has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """The fields of a member record that the node's settings and files decide (managers/state/members.py)."""

    session: int  # greater than that of any earlier life of the node
    public_key: str = ""
    addresses: tuple[str, ...] = ()
    raft_address: str = ""
    spot: bool = False
    protocol: int = 0
    rules: str = ""
