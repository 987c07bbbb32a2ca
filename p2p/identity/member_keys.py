"""Whose envelopes a node takes: those of the other members whose keys it knows from the replicated state."""

from collections.abc import Callable

from managers.state.cluster_state import ClusterState
from managers.state.members import LEADER
from p2p.identity.envelope import Known
from p2p.identity.node_key import bytes_of
from p2p.identity.principals import Principal


class MemberKeys:
    """The keys of the member records, as they are now. A node never calls itself, so its own key is none here."""

    def __init__(self, state: Callable[[], ClusterState], own: str) -> None:
        self._state = state
        self._own = own

    def known(self, node_id: str) -> Known | None:
        """A member with a key; None for anybody else."""
        state = self._state()
        member = state.members.get(node_id)
        if member is None or node_id == self._own or not member.public_key:
            return None
        return Known(bytes_of(member.public_key), Principal.VOTER if votes(state, node_id) else Principal.WORKER)


def votes(state: ClusterState, node: str) -> bool:
    """Whether a node agrees on the state with others, or alone: the leader of a cluster without voters."""
    if state.voters:
        return node in state.voters
    office = state.roles.get(LEADER)
    return office is not None and office.node == node
