"""What the engines of a node tell it."""

from pathlib import Path

from managers.node_folder import NodeFolder
from managers.state import LogSettings
from p2p.consensus.effects import Role, Standing
from p2p.consensus.raft_consensus import RaftConsensus
from p2p.engines import NodeEngines, RaftPlace


def test_a_voter_tells_its_node_when_it_may_lead_which_no_change_of_the_state_does(tmp_path: Path):
    moved = list[str]()
    engines = NodeEngines(
        node="a",
        folder=NodeFolder(tmp_path),
        log=LogSettings(),
        place=RaftPlace("127.0.0.1", 0),
        read_back=lambda *_: None,
        following=lambda _: engines.alone(),
        cluster_id=lambda: "c",
        moved=lambda: moved.append("moved"),
    )
    voter = engines.voter()
    assert isinstance(voter, RaftConsensus)
    voter._tell_standing(Standing(Role.LEADER, "a", 3, quorum=True, voters=("a", "b", "c"), applied_version=7))
    voter._tell_standing(None)
    assert moved == ["moved", "moved"]
