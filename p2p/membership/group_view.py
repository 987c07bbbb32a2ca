"""GroupView: how this node sees those who agree on the state; asks the others where a person wants to know.

Its own standing is what it knows already. The other voters are asked at once, each for a moment only, so that the
answer comes also where most of them are gone.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from managers.line import one_line
from managers.state.cluster_state import ClusterState, Result
from managers.state.members import LEADER
from p2p.consensus.following import Calls, FollowingConsensus
from p2p.consensus.raft_consensus import RaftConsensus
from p2p.consensus.seat import Seat
from p2p.http.node_calls import CallError
from p2p.membership.bootstrap import Contact
from p2p.membership.group_standing import VOTERS_MAX, GroupStanding, VotersAnswer, put_together

ASK_S = 3.0  # for one node
ANSWER_BYTES_MAX = 2 << 20  # members that are not heard are named
ASKED_MAX = 16  # nodes at once
STANDING = "/cluster/standing"


@dataclass(frozen=True, slots=True)
class Chooser:
    """What the leader knows of the choice of voters (managers/pipeline.py)."""

    leads: Callable[[], bool]
    waits_for: Callable[[], str]
    silent_s: Callable[[], Mapping[str, float]]


class GroupView:
    """One node's view; `look` each second, so that it knows since when somebody is missing."""

    def __init__(
        self,
        node: str,
        seat: Seat[ClusterState, Result],
        calls: Calls,
        chooser: Chooser,
        contacts: Callable[[], Iterable[Contact]],
        monotonic: Callable[[], float],
    ) -> None:
        self._node = node
        self._seat = seat
        self._calls = calls
        self._chooser = chooser
        self._contacts = contacts
        self._monotonic = monotonic
        self._missing: dict[str, float] = {}  # since when, by voter

    def look(self) -> None:
        """Note which voters this one is not connected with."""
        engine, now = self._seat.engine, self._monotonic()
        missing: set[str] = set()
        if isinstance(engine, RaftConsensus) and engine.standing is not None:
            missing = set(engine.standing.voters) - {self._node, *engine.connected}
        self._missing = {node: self._missing.get(node, now) for node in missing}

    def standing(self) -> GroupStanding:
        """What this node says of itself. On the loop's thread."""
        seat, chooser = self._seat, self._chooser
        state, engine = seat.state, seat.engine
        office = state.roles.get(LEADER)
        voters, leader, term, serves = state.voters, None if office is None else office.node, None, False
        if isinstance(engine, RaftConsensus):
            found = engine.standing
            voters = () if found is None else found.voters
            leader = None if found is None else found.leader
            term = None if found is None else found.term
            serves = found is not None and found.quorum and leader is not None and self._node in voters
        leads = chooser.leads()
        return GroupStanding(
            node=self._node,
            runs=_runs(engine),
            cluster_id=state.cluster_id,
            epoch=state.epoch,
            seq=state.seq,
            version=seat.version,
            wanted=state.voters[:VOTERS_MAX],
            voters=voters[:VOTERS_MAX],
            leader=leader,
            term=term,
            serves=serves,
            trouble=one_line(seat.trouble),
            waits_for=chooser.waits_for() if leads else "",
            silent_s=dict(chooser.silent_s()) if leads else {},
            contacts=tuple(self._contacts()),
        )

    async def answer(self) -> VotersAnswer:
        """Who agrees on the state, by the word of this node and of those that answer it now."""
        own, now = self.standing(), self._monotonic()
        others = await asked(self._calls, sorted({*own.voters, *own.wanted} - {self._node}))
        return put_together(own, others, {node: now - since for node, since in self._missing.items()})


async def asked(calls: Calls, nodes: Iterable[str]) -> dict[str, GroupStanding | str]:
    """What some nodes say of themselves, or why they do not; the first ASKED_MAX, all at once."""
    names = [*nodes][:ASKED_MAX]
    return dict(zip(names, await asyncio.gather(*(_asked(calls, node) for node in names)), strict=True))


async def _asked(calls: Calls, node: str) -> GroupStanding | str:
    try:
        content = await calls.ask(node, "GET", STANDING, timeout_s=ASK_S, bytes_max=ANSWER_BYTES_MAX)
        found = GroupStanding.model_validate_json(content)
    except CallError as error:
        return one_line(str(error))
    except ValidationError:
        return "its answer is that of another version"
    return found if found.node == node else f"{found.node} answers in its place"


def _runs(engine: object) -> Literal["alone", "voter", "follower"]:
    if isinstance(engine, RaftConsensus):
        return "voter"
    return "follower" if isinstance(engine, FollowingConsensus) else "alone"
