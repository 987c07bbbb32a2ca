"""A node runs what the voters of the state ask of it, and the leader brings the group in line with them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from managers.node_folder import NodeFolder
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Join, SetVoters
from managers.state.machine import StateMachine
from p2p.consensus.effects import Role, Standing
from p2p.consensus.pipe import Peer
from p2p.consensus.raft_consensus import RaftConsensus
from p2p.identity.node_key import NodeKey
from p2p.voting import Voting, peers_of, remove_group, remove_local_log
from ringrift_core.errors import RulesError
from tests.commanded import Commanded

KEYS = {node: NodeKey(node.encode() * 32) for node in "abcd"}


class Raft(RaftConsensus[ClusterState, Result]):
    """A voter that notes what it is asked."""

    def __init__(self, voters: str, connected: str = "", refusal: str = "") -> None:
        self.stands = Standing(Role.LEADER, "a", 3, True, tuple(voters), 1)
        self.reached = tuple(connected)
        self.refusal = refusal
        self.asked: list[str] = []
        self.told: list[tuple[Peer, ...]] = []

    @property
    def standing(self) -> Standing | None:
        return self.stands

    @property
    def connected(self) -> tuple[str, ...]:
        return self.reached

    def peers(self, peers: tuple[Peer, ...]) -> None:
        self.told.append(peers)

    async def add_voter(self, node: str) -> None:
        self.asked.append(f"+{node}")
        if self.refusal:
            raise RulesError(self.refusal)

    async def remove_voter(self, node: str) -> None:
        self.asked.append(f"-{node}")

    async def transfer(self, node: str | None = None) -> None:
        self.asked.append(f"transfer {node}")


@dataclass
class FakeSeat:
    """A seat that goes over at once."""

    state: ClusterState
    engine: Any
    remark: str = ""
    changes: list[str] = field(default_factory=list)

    async def change(self, make: Callable[[int, ClusterState], Any], ready: Callable[[], Awaitable[None]]) -> None:
        self.changes.append(make(7, self.state))
        await ready()


class Made:
    """Engines by name."""

    def founder(self, version: int, state: ClusterState) -> Any:
        return f"founder of {version} {len(state.members)}"

    def joiner(self, version: int, state: ClusterState) -> Any:
        return f"joiner of {version} {len(state.members)}"

    def follower(self, version: int, state: ClusterState) -> Any:
        return f"follower of {version} {','.join(state.voters)}"


def state_of(voters: str) -> ClusterState:
    """Four members, some of them voters."""
    cluster = Commanded()
    for node, key in KEYS.items():
        cluster.do(Join(node=node, session=1, cores=1, public_key=key.text, raft_address=f"127.0.0.1:{ord(node)}"))
    if voters:
        cluster.do(SetVoters(voters=tuple(voters)))
    return cluster.state


@dataclass
class Removed:
    """What other members are said to have said."""

    removed: bool
    remark: str

    async def look(self, state: ClusterState, *, lonely: bool) -> bool:
        return self.removed and lonely and bool(state.voters)


def looked(
    folder: Path, state: ClusterState, engine: object, *, node: str = "a", leads: bool = True, removed: bool = False
) -> list[str]:
    """What one look changes of the seat; `follows` where it was kept."""
    seat, kept = FakeSeat(state, engine), list[str]()

    async def follows() -> None:
        kept.append("follows")

    removal = Removed(removed, "they have gone on")
    voting = Voting(seat, node, Made(), NodeFolder(folder), lambda: leads, follows, removal)  # type: ignore[arg-type]
    asyncio.run(voting.look())
    return seat.changes + kept


def test_a_cluster_of_one_that_is_to_vote_founds_a_group_and_its_log_does_not_come_back(tmp_path: Path):
    folder = NodeFolder(tmp_path)
    folder.group.mkdir(parents=True)
    (folder.group / "log-1").write_bytes(b"of an earlier try")
    (folder.log / "log-1").write_bytes(b"of the cluster of one")
    assert looked(tmp_path, state_of("abc"), LocalConsensus(StateMachine(), None)) == ["founder of 7 4"]
    assert list(folder.log.iterdir()) == []


def test_a_cluster_of_one_that_is_not_to_vote_stays_one(tmp_path: Path):
    assert looked(tmp_path, state_of(""), LocalConsensus(StateMachine(), None)) == []
    assert looked(tmp_path, state_of("bcd"), LocalConsensus(StateMachine(), None)) == []


def test_a_follower_that_is_to_vote_joins_with_an_empty_log(tmp_path: Path):
    assert looked(tmp_path, state_of("abc"), object(), node="c", leads=False) == ["joiner of 7 4"]
    assert looked(tmp_path, state_of("abc"), object(), node="d", leads=False) == []


def test_a_voter_that_is_none_any_more_follows_the_others_and_keeps_that_it_does(tmp_path: Path):
    folder = NodeFolder(tmp_path)
    folder.group.mkdir(parents=True)
    changed = looked(tmp_path, state_of("abc"), Raft("abc"), node="d", leads=False)
    assert changed == ["follower of 7 a,b,c", "follows"]
    assert not folder.group.exists()


def test_a_voter_without_a_leader_follows_when_the_others_have_gone_on_without_it(tmp_path: Path):
    engine = Raft("abc")
    assert looked(tmp_path, state_of("abc"), engine, node="c", leads=False, removed=True) == []
    engine.stands = replace(engine.stands, leader=None)
    assert looked(tmp_path, state_of("abc"), engine, node="c", leads=False) == []
    changed = looked(tmp_path, state_of("abc"), engine, node="c", leads=False, removed=True)
    assert changed == ["follower of 7 a,b,c", "follows"]


def test_a_voter_that_the_group_still_has_goes_on(tmp_path: Path):
    assert looked(tmp_path, state_of("abc"), Raft("abcd"), node="d", leads=False) == []


@pytest.mark.parametrize(
    ("wanted", "present", "connected", "asked"),
    [
        ("abc", "a", "bc", ["+b"]),  # one after the other
        ("abc", "a", "c", ["+c"]),  # who is not there yet is waited for
        ("abc", "a", "", []),
        ("abc", "abc", "bc", []),
        ("abd", "abc", "bd", ["+d"]),  # the substitute first
        ("abd", "abc", "b", []),  # the one that is gone stays until there is one
        ("abd", "abcd", "bd", ["-c"]),
        ("bcd", "abcd", "bcd", ["transfer None"]),  # nobody leaves itself out
    ],
)
def test_the_leader_lets_in_and_leaves_out_one_at_a_time(
    tmp_path: Path, wanted: str, present: str, connected: str, asked: list[str]
):
    engine = Raft(present, connected)
    looked(tmp_path, state_of(wanted), engine)
    assert engine.asked == asked
    other = Raft(present, connected)
    looked(tmp_path, state_of(wanted), other, leads=False)
    assert other.asked == []


def test_what_cannot_be_now_is_tried_again(tmp_path: Path):
    engine = Raft("a", "bc", refusal="another change is under way")
    assert looked(tmp_path, state_of("abc"), engine) == []
    assert engine.asked == ["+b"]


def test_the_raft_process_hears_of_voters_and_of_those_that_should_be(tmp_path: Path):
    engine = Raft("abd", "b")
    looked(tmp_path, state_of("abc"), engine)
    assert [[peer.node for peer in told] for told in engine.told] == [["b", "c", "d"]]
    assert engine.told[0][0] == Peer("b", "127.0.0.1", ord("b"), KEYS["b"].public)


def test_who_has_no_raft_address_or_no_key_is_no_peer():
    cluster = Commanded()
    cluster.do(Join(node="a", session=1, cores=1, public_key=KEYS["a"].text))
    cluster.do(Join(node="b", session=1, cores=1, raft_address="h:1"))
    cluster.do(Join(node="c", session=1, cores=1, public_key=KEYS["c"].text, raft_address="[::1]:5"))
    found = peers_of(cluster.state, {"a", "b", "c", "x"})
    assert [(peer.node, peer.host, peer.port) for peer in found] == [("c", "::1", 5)]


def test_what_is_removed_may_be_gone_already(tmp_path: Path):
    remove_group(NodeFolder(tmp_path))
    remove_local_log(NodeFolder(tmp_path))
