"""Removal: a voter that was left out while it was away finds out by itself.

Nobody speaks Raft with a node that is no voter any more, so nothing of its group ever tells it. A voter without a
leader asks other members how they stand. What counts is the word of a voter among a majority, with a leader, in the
same cluster, whose log is at least as long as ours: where its voters and the voters that its state wants do both not
have this node, the others have gone on without it. A voter that is cut off with its old log does not serve, so it
convinces nobody.
"""

import logging
from collections.abc import Callable, Iterable

from managers.state.cluster_state import ClusterState
from p2p.consensus.following import Calls
from p2p.membership.bootstrap import CONTACTS_MAX, Contact
from p2p.membership.group_standing import GroupStanding
from p2p.membership.group_view import ASKED_MAX, asked

LONELY_S = 3.0  # without a leader; an election is over before that
PAUSE_S = 5.0  # between two rounds of questions
NAMED_MAX = 4  # nodes that a remark names
ELSEWHERE = "other_cluster"  # code of a refusal, in its text

logger = logging.getLogger(__name__)


class Removal:
    """Of one voter; `look` often. What it has found last stands in `remark`."""

    def __init__(
        self,
        node: str,
        calls: Calls,
        standing: Callable[[], GroupStanding],
        learned: Callable[[Iterable[Contact]], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`learned` hears where voters are reached that this node's state may not know."""
        self._node = node
        self._calls = calls
        self._standing = standing
        self._learned = learned
        self._monotonic = monotonic
        self._lonely_since: float | None = None
        self._next = 0.0
        self._turn = 0
        self.remark = ""

    async def look(self, state: ClusterState, *, lonely: bool) -> bool:
        """Whether the voters have gone on without this node; `lonely`: it hears no leader."""
        now = self._monotonic()
        if not lonely:
            self._lonely_since, self.remark = None, ""
            return False
        if self._lonely_since is None:
            self._lonely_since = now
        if now - self._lonely_since < LONELY_S or now < self._next:
            return False
        own = self._standing()
        found = await asked(self._calls, self._first(own, state))
        found |= await asked(self._calls, self._named(found))
        self._next = self._monotonic() + PAUSE_S
        told = [it for it in found.values() if isinstance(it, GroupStanding)]
        without = [it for it in told if gone_on(own, it)]
        if told or ELSEWHERE in str(found):
            self.remark = remark_of(found, without)
        if without:
            self._learned(contacts_of(without))
            logger.warning("voters: %s", self.remark)
        return bool(without)

    def _first(self, own: GroupStanding, state: ClusterState) -> list[str]:
        """The voters of the latest state here, and some other members, others in each round."""
        voters = sorted({*own.voters, *own.wanted} - {self._node})[:ASKED_MAX]
        others = sorted(node for node in state.members if node != self._node and node not in voters)
        count = min(ASKED_MAX - len(voters), len(others))
        some = [others[(self._turn + place) % len(others)] for place in range(count)]
        self._turn += count
        return [*voters, *some]

    def _named(self, found: dict[str, GroupStanding | str]) -> list[str]:
        """The voters that somebody has named and nobody asked; where they are reached is learned."""
        told = [it for it in found.values() if isinstance(it, GroupStanding)]
        self._learned(contacts_of(told))
        return sorted({node for it in told for node in it.wanted} - {self._node, *found})


def gone_on(own: GroupStanding, told: GroupStanding) -> bool:
    """Whether a voter that serves shows that the group has gone on without this node."""
    same = told.cluster_id == own.cluster_id and told.version >= own.version and told.epoch >= own.epoch
    return same and told.serves and own.node not in {*told.voters, *told.wanted}


def contacts_of(told: Iterable[GroupStanding]) -> list[Contact]:
    """Where voters are reached, by the words of some nodes."""
    found: dict[str, Contact] = {}
    for it in told:
        for contact in it.contacts:
            found.setdefault(contact.node, contact)
    return [*found.values()][:CONTACTS_MAX]


def remark_of(found: dict[str, GroupStanding | str], without: list[GroupStanding]) -> str:
    """What was heard, for people."""
    if without:
        told = max(without, key=lambda it: it.version)
        return (
            f"this node votes no more, it goes over to following: {told.node} says that {', '.join(told.voters)} vote "
            f"(epoch {told.epoch}, version {told.version})"
        )
    elsewhere = [node for node, text in found.items() if isinstance(text, str) and ELSEWHERE in text]
    if elsewhere:
        return (
            f"another cluster at {', '.join(elsewhere[:NAMED_MAX])}: if it was recovered from this one, end this node "
            "and let it leave (ringrift-p2p voters leave)"
        )
    return ""
