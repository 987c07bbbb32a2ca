"""VoterPolicy: who should agree on the state.

One node is a cluster of one; from three that can be voters on there are three, from five on five. A voter stays one
until it has been silent for minutes: every change costs a little safety, and a machine that restarts comes back sooner.
"""

from collections.abc import Mapping

from managers.decision import Decision
from managers.state.cluster_state import ClusterState
from managers.state.commands import SetVoters
from managers.state.members import LEADER, Member

SIZES = (5, 3)  # an even number tolerates no more losses than the odd one below it
PATIENCE_S = 180.0  # of silence, before another node takes a voter's place


class VoterPolicy:
    """Decides about voters; only whoever holds the office asks."""

    def decide(self, state: ClusterState, silent_s: Mapping[str, float]) -> Decision:
        """A change of voters where one is due; `silent_s` says of nodes that are not heard for how long."""
        wanted = self.wanted(state, silent_s)
        return Decision() if wanted == state.voters else Decision((SetVoters(voters=wanted),))

    def waits_for(self, state: ClusterState, silent_s: Mapping[str, float]) -> str:
        """What keeps the voters from being more, or others, in words; "" where nothing is waited for."""
        parts = []
        members, voters = state.members, state.voters
        heard = [it.node for it in members.values() if it.raft_address and not it.draining and it.node not in silent_s]
        if (least := SIZES[-1]) > max(len(heard), len(voters)):
            parts.append(f"for {least} nodes that can vote; heard: {', '.join(heard) or 'nobody'}")
        spare = sorted(set(heard) - set(voters))
        for node in voters:
            for_s = silent_s.get(node)
            if for_s is None:
                continue
            then = f"after {PATIENCE_S:.0f} s {spare[0]} takes its place" if spare else "nobody can take its place"
            parts.append(f"for {node}, silent for {for_s:.0f} s: {then}")
        return "; ".join(parts)

    def wanted(self, state: ClusterState, silent_s: Mapping[str, float]) -> tuple[str, ...]:
        """Who should be a voter, in alphabetical order; nobody in a cluster that has never been larger than one."""
        office = state.roles.get(LEADER)
        leader = None if office is None else office.node
        able = [member for member in state.members.values() if member.raft_address and not member.draining]
        heard = [member for member in able if member.node not in silent_s]
        size = next((size for size in SIZES if len(heard) >= size), len(state.voters))
        kept = [
            node for node in state.voters
            if node in state.members and silent_s.get(node, 0.0) < PATIENCE_S and not state.members[node].draining
        ]  # fmt: skip
        size = max(size, len(kept) | 1 if kept else 0)
        others = sorted((it for it in heard if it.node not in kept), key=lambda it: _preference(it, leader))
        chosen = [*kept, *(it.node for it in others[: size - len(kept)])]
        if len(chosen) < size:  # nobody can take the place of those that are gone: they may yet come back
            gone = [node for node in state.voters if node not in chosen and node in state.members]
            chosen += gone[: size - len(chosen)]
        return tuple(sorted(chosen))


def _preference(member: Member, leader: str | None) -> tuple[bool, bool, bool, float]:
    """The leader first, then those that compute nothing, never one before that may be taken away, then the oldest."""
    return (member.node != leader, member.spot, member.cores > 0, member.joined_at)
