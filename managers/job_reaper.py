"""JobReaper: nodes that are silent lose their jobs.

Leases belong to nodes, not to jobs, and are renewed outside the log: whoever leads counts the seconds since a node was
heard, by a clock that only goes forward. Whoever is seen for the first time has one whole lease to be heard in: every
member where the leader is a new one, and a member that has just joined.
"""

from collections.abc import Mapping

from config.schema import Settings
from managers.decision import Decision
from managers.state.cluster_state import ClusterState
from managers.state.commands import Expire


class JobReaper:
    """Decides which leases have ended. `heard` and `decide` take monotonic seconds."""

    def __init__(self, settings: Settings) -> None:
        self._lease_s = settings.jobs.lease_seconds
        self._heard: dict[tuple[str, int], float] = {}  # by node and session; or first seen

    def heard(self, node: str, session: int, at: float) -> None:
        """A node has renewed its lease."""
        self._heard[node, session] = max(at, self._heard.get((node, session), at))

    def forget(self) -> None:
        """This node does not lead; when it does again, everybody has a whole lease."""
        self._heard = {}

    def decide(self, state: ClusterState, at: float) -> Decision:
        """Leases to end; also begins those of new members and forgets nodes that are no members."""
        members = [(member.node, member.session) for member in state.members.values()]
        self._heard = {who: self._heard.get(who, at) for who in members}
        silent = self.silent(state, at)
        gone = (member for member in state.members.values() if member.node in silent and state.jobs.on(member.node))
        return Decision(tuple(Expire(node=member.node, session=member.session) for member in gone))

    def silent(self, state: ClusterState, at: float) -> Mapping[str, str]:
        """Nodes that were not heard for a whole lease, and since when: to the dispatcher they are unfit."""
        return {node: f"silent for {for_s:.0f} s" for node, for_s in self.silent_s(state, at, self._lease_s).items()}

    def silent_s(self, state: ClusterState, at: float, longer_s: float) -> dict[str, float]:
        """Nodes that were not heard for longer than that, and for how long; who was never heard, since first seen."""
        found = {}
        for member in state.members.values():
            for_s = at - self._heard.get((member.node, member.session), at)
            if for_s > longer_s:
                found[member.node] = for_s
        return found
