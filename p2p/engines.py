"""What the state of a node can run over: its own log, a Raft group, the voters of others. Made from what a node is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from managers.node_folder import NodeFolder
from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings
from managers.state.cluster_state import ClusterState, Result
from managers.state.log_files import InUseError
from managers.state.machine import StateMachine
from managers.state.replica import Listener
from p2p.consensus.raft_consensus import RaftConsensus, Voter
from p2p.consensus.store import RaftStore
from p2p.voting import ClusterEngine

ReadBack = Listener[ClusterState, Result]


@dataclass(frozen=True, slots=True)
class RaftPlace:
    """Where a voter listens to the others."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class NodeEngines:
    """Makes the engines of one node (p2p/voting.py says which when)."""

    node: str
    folder: NodeFolder
    log: LogSettings
    place: RaftPlace
    read_back: ReadBack
    following: Callable[[ClusterState | None], ClusterEngine]  # makes what follows voters: those of a state, if any
    cluster_id: Callable[[], str]
    moved: Callable[[], None]  # called when the group of a voter has moved, such as to another leader

    def alone(self) -> LocalConsensus[ClusterState, Result]:
        """A cluster of one."""
        return LocalConsensus(
            StateMachine(), DurableLog(DiskFiles(self.folder.log)), self.log, read_back=self.read_back
        )

    def voter(self) -> ClusterEngine:
        """A voter that goes on with the log that it has."""
        return self._raft((), None)

    def founder(self, version: int, state: ClusterState) -> ClusterEngine:
        """A group of this node alone, from what a cluster of one has."""
        return self._raft((self.node,), (version, partial(StateMachine().dump, state)))

    def joiner(self, _version: int, state: ClusterState) -> ClusterEngine:
        """A voter with an empty log, which the leader lets in."""
        return self._raft(tuple(sorted({*state.voters, self.node})), None)

    def follower(self, _version: int = 0, state: ClusterState | None = None) -> ClusterEngine:
        """Whoever is no voter."""
        return self.following(state)

    def _raft(
        self, voters: tuple[str, ...], base: tuple[int, Callable[[], bytes]] | None
    ) -> RaftConsensus[ClusterState, Result]:
        voter = Voter(
            cluster_id=self.cluster_id(),
            node=self.node,
            key_path=self.folder.key,
            store=self.folder.group,
            host=self.place.host,
            port=self.place.port,
            voters=voters,
        )
        consensus = RaftConsensus(StateMachine(), voter, base=base, read_back=self.read_back)
        consensus.on_standing(lambda _: self.moved())
        return consensus


def has_group(folder: NodeFolder) -> bool:
    """Whether a folder holds the log of a voter that has ever heard of its group; works on the disk.

    A raft process of an earlier life that has not ended yet has it, too.
    """
    if not folder.group.exists():
        return False
    store = RaftStore(DiskFiles(folder.group))
    try:
        store.open()
    except InUseError:
        return True
    try:
        return not store.blank
    finally:
        store.close()


def has_local_log(folder: NodeFolder) -> bool:
    """Whether a folder holds the log of a cluster of one; works on the disk."""
    return folder.log.exists() and any(path.is_file() and path.name != "lock" for path in folder.log.iterdir())
