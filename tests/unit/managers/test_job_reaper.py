"""Nodes that are silent lose their jobs."""

import pytest

from managers.job_reaper import JobReaper
from managers.state.commands import Expire
from tests.unit.managers.deciding import Cluster, selfplay, settings_of


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node("a")
    made.node("b")
    for node in "ab":
        made.leased(made.queued(selfplay()), node)
    return made


def reaper(cluster: Cluster, first_look: float = 0.0) -> JobReaper:
    made = JobReaper(settings_of(jobs={"lease_seconds": 30}))
    assert not made.decide(cluster.state, first_look).bodies
    return made


def lost(cluster: Cluster, decider: JobReaper, at: float) -> list[tuple[str, int]]:
    bodies = decider.decide(cluster.state, at).bodies
    return [(body.node, body.session) for body in bodies if isinstance(body, Expire)]


def test_a_new_leader_grants_everybody_a_whole_lease(cluster: Cluster):
    decider = reaper(cluster, 1000.0)
    assert lost(cluster, decider, 1030.0) == []
    assert lost(cluster, decider, 1030.1) == [("a", 1), ("b", 1)]


def test_a_leader_that_comes_back_to_office_grants_it_again(cluster: Cluster):
    decider = reaper(cluster)
    decider.forget()
    assert lost(cluster, decider, 1000.0) == []
    assert lost(cluster, decider, 1030.1) == [("a", 1), ("b", 1)]


def test_who_is_heard_keeps_its_jobs(cluster: Cluster):
    decider = reaper(cluster)
    decider.heard("a", 1, 25.0)
    assert lost(cluster, decider, 40.0) == [("b", 1)]
    assert lost(cluster, decider, 55.1) == [("a", 1), ("b", 1)]


def test_an_earlier_life_does_not_renew_the_lease_of_this_one(cluster: Cluster):
    cluster.node("a", session=2)
    cluster.leased(next(iter(cluster.state.jobs.active)), "a")
    decider = reaper(cluster)
    decider.heard("a", 1, 100.0)
    decider.heard("b", 1, 100.0)
    assert lost(cluster, decider, 100.0) == [("a", 2)]


def test_time_that_goes_back_takes_nothing(cluster: Cluster):
    decider = reaper(cluster)
    for at in (50.0, 10.0):
        decider.heard("a", 1, at)
        decider.heard("b", 1, at)
    assert lost(cluster, decider, 80.0) == []


def test_a_silent_node_without_jobs_loses_nothing(cluster: Cluster):
    made = Cluster()
    made.node()
    assert lost(made, reaper(made), 1e6) == []


def test_silent_nodes_are_told_to_who_assigns(cluster: Cluster):
    decider = reaper(cluster)
    decider.heard("a", 1, 90.0)
    assert decider.silent(cluster.state, 100.0) == {"b": "silent for 100 s"}


def test_who_joins_later_has_a_whole_lease_too(cluster: Cluster):
    decider = reaper(cluster)
    decider.heard("a", 1, 1000.0)
    decider.heard("b", 1, 1000.0)
    cluster.node("c")
    cluster.leased(cluster.queued(selfplay()), "c")
    assert decider.silent(cluster.state, 1000.0) == {}
    assert lost(cluster, decider, 1000.0) == []
    decider.heard("a", 1, 1030.1)
    decider.heard("b", 1, 1030.1)
    assert lost(cluster, decider, 1030.1) == [("c", 1)]


def test_after_the_loss_the_jobs_wait_again_and_are_lost_no_more(cluster: Cluster):
    decider = reaper(cluster)
    cluster.follow(decider.decide(cluster.state, 31.0))
    assert {job.status for job in cluster.state.jobs.active.values()} == {"queued"}
    assert lost(cluster, decider, 32.0) == []


def test_nodes_that_are_no_members_are_forgotten(cluster: Cluster):
    decider = reaper(cluster)
    for number in range(100):
        decider.heard(f"stranger-{number}", 1, 1.0)
    decider.decide(cluster.state, 2.0)
    assert {node for node, _ in decider._heard} == {"a", "b"}
