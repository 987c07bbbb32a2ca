"""JobReaper: nodes that are silent lose their jobs.

Leases belong to nodes, not to jobs, and are renewed outside the log: whoever leads counts the seconds since a node was
heard, by a clock that only goes forward. A new leader grants everybody one whole lease first.
"""

from config.schema import Settings
from managers.decision import Decision
from managers.state.cluster_state import ClusterState
from managers.state.commands import Expire


class JobReaper:
    """Decides which leases have ended. `heard` and `decide` take monotonic seconds."""

    def __init__(self, settings: Settings, began_at: float) -> None:
        self._lease_s = settings.jobs.lease_seconds
        self._began_at = began_at
        self._heard: dict[tuple[str, int], float] = {}

    def heard(self, node: str, session: int, at: float) -> None:
        """A node has renewed its lease."""
        self._heard[node, session] = max(at, self._heard.get((node, session), at))

    def decide(self, state: ClusterState, at: float) -> Decision:
        """Leases to end; also forgets nodes that are no members."""
        members = {(member.node, member.session) for member in state.members.values()}
        self._heard = {who: when for who, when in self._heard.items() if who in members}
        silent = (
            Expire(node=member.node, session=member.session)
            for member in state.members.values()
            if state.jobs.on(member.node) and at - self._last(member.node, member.session) > self._lease_s
        )
        return Decision(tuple(silent))

    def _last(self, node: str, session: int) -> float:
        return self._heard.get((node, session), self._began_at)
