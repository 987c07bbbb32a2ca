"""How nodes stand among those who agree on the state: what one says of itself, all of it put together. Pure."""

from typing import Annotated, Literal

from pydantic import Field

from managers.line import Line
from managers.state.members import MEMBERS_MAX
from managers.state.record import ClusterId, Count, Name, Record
from p2p.membership.bootstrap import CONTACTS_MAX, Contact

VOTERS_MAX = 64  # that are told of; there are never more than five, and those that are on their way
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Voters = Annotated[tuple[Name, ...], Field(max_length=VOTERS_MAX)]


class GroupStanding(Record):
    """What a node says of its own place, from what it knows itself."""

    node: Name
    runs: Literal["alone", "voter", "follower"]  # what its state runs over
    cluster_id: ClusterId | Literal[""]
    epoch: Count
    seq: Count
    version: Count
    wanted: Voters  # who should vote, by its state
    voters: Voters  # who votes, by its log; for a node that does not vote the same as `wanted`
    leader: Name | None  # of the voters, as it hears; of the state's office where it does not vote
    term: Count | None  # of the voters; None where it does not vote
    serves: bool  # it is a voter among a majority that it hears, with a leader
    trouble: Line  # why it cannot write to the state
    waits_for: Line  # what the choice of voters waits for; "" where it does not decide
    silent_s: Annotated[dict[Name, Seconds], Field(max_length=MEMBERS_MAX)]  # members that the leader does not hear
    contacts: Annotated[tuple[Contact, ...], Field(max_length=CONTACTS_MAX)]  # where voters are reached


class VoterRow(Record):
    """One who votes or should."""

    node: Name
    place: Literal["leader", "voter", "coming in", "leaving"]
    connected: bool | None  # with the node that says so; None where that does not vote either
    missing_s: Seconds | None  # for so long it is not heard; None where it is
    epoch: Count | None  # this and the next two by its own word; None where it does not answer
    seq: Count | None
    version: Count | None
    trouble: Line  # why it cannot write, or cannot be asked


class VotersAnswer(Record):
    """Who agrees on the state, as a node sees it."""

    node_id: Name  # who says so
    cluster_id: ClusterId | Literal[""]
    leader_id: Name | None
    term: Count | None  # None in a cluster of one, and at a node that does not vote
    epoch: Count
    seq: Count
    version: Count
    trouble: Line  # why the state cannot be written to from here; "" when it can
    waits_for: Line  # what the choice of voters waits for, by the leader's word; "" for nothing, or where none answers
    voters: Annotated[tuple[VoterRow, ...], Field(max_length=VOTERS_MAX)]


def put_together(
    own: GroupStanding, others: dict[str, GroupStanding | str], missing_s: dict[str, float]
) -> VotersAnswer:
    """What a node answers: its own standing, those of other voters or why they could not be asked, who is missing.

    `missing_s` are the voters that this node is not connected with, as a voter itself; the leader's word is added.
    """
    told = {node: it for node, it in others.items() if isinstance(it, GroupStanding)}
    leading = next((it for it in (own, *told.values()) if it.node == own.leader), None)
    silent_s = {} if leading is None else leading.silent_s
    rows = []
    for node in sorted({*own.voters, *own.wanted})[:VOTERS_MAX]:
        found = own if node == own.node else told.get(node)
        said = others.get(node)
        missing = max(missing_s.get(node, 0.0), silent_s.get(node, 0.0))
        rows.append(
            VoterRow(
                node=node,
                place=_place(own, node),
                connected=True if node == own.node else None if own.runs != "voter" else node not in missing_s,
                missing_s=missing or None,
                epoch=None if found is None else found.epoch,
                seq=None if found is None else found.seq,
                version=None if found is None else found.version,
                trouble=said if isinstance(said, str) else "" if found is None else found.trouble,
            )
        )
    return VotersAnswer(
        node_id=own.node,
        cluster_id=own.cluster_id,
        leader_id=own.leader,
        term=own.term,
        epoch=own.epoch,
        seq=own.seq,
        version=own.version,
        trouble=own.trouble,
        waits_for="" if leading is None else leading.waits_for,
        voters=tuple(rows),
    )


def _place(own: GroupStanding, node: str) -> Literal["leader", "voter", "coming in", "leaving"]:
    if node not in own.voters:
        return "coming in"
    if node == own.leader:
        return "leader"
    return "voter" if node in own.wanted else "leaving"
