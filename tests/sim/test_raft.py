"""Voters under kills, power cuts and a bad network, in virtual time; bugs planted in the shipped code are found.

RINGRIFT_TEST_SCALE multiplies the number of seeds.
"""

from collections import Counter

import pytest

from managers.state.durable_log import DurableLog
from p2p.consensus.core import Core
from p2p.consensus.effects import Effect, Role
from p2p.consensus.pre_vote import PreElection
from p2p.consensus.raft import Raft
from p2p.consensus.store import RaftStore
from tests.property import SCALE
from tests.sim.faulty_files import Disk
from tests.sim.raft_cluster import World, grown
from tests.sim.raft_runs import changing, chaos, cut_everywhere

COMPACTION = {"write .tmp-snapshot-", "sync .tmp-snapshot-", "rename snapshot-", "remove snapshot-", "remove log-"}
APPEND = {"write log-", "sync log-"}


def test_no_fault_loses_doubles_or_invents_a_body():
    for seed in range(8 * SCALE):
        chaos(seed, 3 + 2 * (seed % 2), 7)


def test_no_power_cut_at_any_call_of_the_file_layer_loses_a_body():
    died = Counter[str]()
    for seed in range(3 * SCALE):
        died += cut_everywhere(seed, 110).deaths
    assert died.total() >= 300
    assert died.keys() >= COMPACTION | APPEND


def test_voters_that_come_and_go_under_faults_lose_nothing():
    for seed in range(3 * SCALE):
        changing(seed, 7)


def test_an_isolated_leader_is_replaced_and_stands_down():
    world = grown(1, 3)
    one = world.voters["n1"]
    world.part(["n1"])
    assert world.run(3, lambda: world.leader() is not None and not one.leads)
    one.propose()
    assert not one.asked  # refused at once
    assert one.standing is not None
    assert (one.standing.role, one.standing.leader, one.standing.quorum) == (Role.FOLLOWER, None, False)
    world.voters["n2"].propose()
    world.run(1)
    assert len(world.ledger.acknowledged) == 1
    world.finish()


def test_a_leader_whom_nobody_hears_is_replaced():
    world = grown(2, 3)
    for name in ("n2", "n3"):
        world.stall("n1", name)
    assert world.run(4, lambda: world.leader() in {world.voters["n2"], world.voters["n3"]})
    world.run(0.1)
    world.voters["n3"].propose()
    world.run(1)
    assert len(world.ledger.acknowledged) == 1
    world.finish()


def test_a_flapping_link_leaves_the_leader_and_its_term():
    assert flap() == (True, 0)


def test_what_was_acknowledged_outlives_the_power_of_all():
    world = grown(4, 3)
    for _ in range(30):
        world.voters["n2"].propose()
    world.run(1)
    assert len(world.ledger.acknowledged) == 30
    for voter in world.voters.values():
        world.kill(voter)
    for voter in world.voters.values():
        voter.start(lost=True)
    world.finish()


def test_who_was_away_for_long_gets_a_dump():
    world = grown(5, 3)
    away = world.voters["n3"]
    world.kill(away)
    write(world, "n1", 60)
    away.start()
    world.finish()
    assert away.store is not None
    assert away.store.base is not None
    assert away.store.base.version > 12


def test_a_group_that_grew_to_five_survives_the_loss_of_two():
    world = grown(6, 5)
    for name in ("n1", "n4"):
        world.kill(world.voters[name])
    assert world.run(4, lambda: world.leader() is not None)
    write(world, "n2", 5)
    world.finish()


def test_leadership_goes_where_it_is_asked_to_go():
    world = grown(7, 3)
    one = world.voters["n1"]
    assert one.raft is not None
    one.raft.transfer("n3")
    one.tick()
    assert world.run(0.5, lambda: world.voters["n3"].leads)
    world.finish()


def test_a_voter_without_its_disk_votes_only_when_it_has_everything_again():
    world = emptied()
    assert not world.run(6, lambda: world.voters["n2"].leads or world.voters["n3"].leads)
    world.finish()
    world.kill(world.voters["n1"])
    assert world.run(4, lambda: world.leader() is not None)


BUGS: dict[str, tuple[type, str, object]] = {
    "nothing is synced": (DurableLog, "_sync", lambda log, sync: None),
    "the voters are what pysyncobj takes them for": (Core, "follow_configuration", lambda core: None),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug, monkeypatch):
    monkeypatch.setattr(*BUGS[bug])
    with pytest.raises(AssertionError):
        search()


def test_handing_out_before_the_sync_is_found(monkeypatch):
    tick, sync = Raft.tick, RaftStore.sync

    def early(raft: Raft) -> list[Effect]:
        sync(raft._store)  # of the tick before
        return tick(raft)

    monkeypatch.setattr(Raft, "tick", early)
    monkeypatch.setattr(RaftStore, "sync", lambda store: None if not store.blank else sync(store))
    with pytest.raises(AssertionError):
        search()


def test_an_election_without_asking_before_is_found(monkeypatch):
    def at_once(rounds: PreElection, _voters: object) -> int | None:
        asked, rounds._round = rounds._round, None
        return None if asked is None else 0

    monkeypatch.setattr(PreElection, "won", at_once)
    _, risen = flap()
    assert risen > 0


def test_an_emptied_voter_that_votes_at_once_is_found(monkeypatch):
    monkeypatch.setattr(RaftStore, "mute", property(lambda store: False))
    world = emptied()
    assert world.run(6, lambda: world.voters["n2"].leads)
    with pytest.raises(AssertionError, match="different bodies"):
        write(world, "n2", 3)


def search() -> None:
    """Runs as in the tests above until one fails."""
    for seed in range(20):
        cut_everywhere(seed, 20, count=1)
        changing(seed, 6)


def write(world: World, name: str, count: int) -> None:
    """Bodies one after the other, each acknowledged."""
    for _ in range(count):
        world.voters[name].propose()
        assert world.run(4, lambda: not world.voters[name].asked)
    assert not world.ledger.refused


def flap() -> tuple[bool, int]:
    """A voter comes and goes for 20 s; whether the leader is the same, and by how much its term has risen."""
    world = grown(3, 3)
    leader = world.leader()
    assert leader is not None
    assert leader.standing is not None
    term = leader.standing.term
    for _ in range(8):
        world.part(["n3"])
        world.run(2)
        world.heal()
        world.run(0.6)
    world.run(2)
    assert leader.standing is not None
    return world.leader() is leader, leader.standing.term - term


def emptied() -> World:
    """Of three voters two have a body; one of them is cut off, the other one has lost its disk."""
    world = grown(8, 3)
    world.kill(world.voters["n2"])
    write(world, "n1", 1)
    world.part(["n1"])
    world.kill(world.voters["n3"])
    world.voters["n3"].disk = Disk()
    world.voters["n2"].start()
    world.voters["n3"].start()
    return world
