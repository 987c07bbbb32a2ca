"""Office: whether this node is the one that decides.

Whoever leads the consensus takes the role of LEADER by a command that names its term. Only when that command has come
back applied does the node decide anything, and all that it decides bears the seq of its taking, the epoch: what it has
not got into the log when somebody else takes over is refused.
"""

from managers.ports import LedConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import TakeRole
from managers.state.members import LEADER

LEASE_S = 86_400.0  # elections end offices; the lease alone ends that of a cluster of one that moved away


class Office:
    """The office of leader, as one life of one node sees it."""

    def __init__(self, consensus: LedConsensus[ClusterState, Result], node: str, session: int) -> None:
        self._consensus = consensus
        self._node = node
        self._session = session

    @property
    def held(self) -> bool:
        """Whether this node decides now."""
        return self.epoch is not None

    @property
    def epoch(self) -> int | None:
        """The epoch in which this node decides; None while it does not."""
        term, role = self._consensus.term_led, self._consensus.state.roles.get(LEADER)
        if term is None or role is None or (role.node, role.session, role.term) != (self._node, self._session, term):
            return None
        return role.seq

    def wanted(self, now: float) -> TakeRole | None:
        """What has to be asked for, if anything: the office of an election that was won, or more time in it."""
        term, role = self._consensus.term_led, self._consensus.state.roles.get(LEADER)
        if term is None:
            return None
        if self.held and role is not None and role.until - now > LEASE_S / 2:
            return None
        return TakeRole(role=LEADER, node=self._node, session=self._session, lease_s=LEASE_S, term=term)
