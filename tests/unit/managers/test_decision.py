"""Pauses after jobs that failed, and what people read of them."""

import pytest

from managers.decision import Decision, Setback, Wait, paused, setback_of
from managers.state.commands import Cancel, Fail, HaltAll
from managers.state.jobs import LOSSES_MAX
from tests.unit.managers.deciding import GAME, OTHER, A, Cluster, selfplay, training


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def test_decisions_add_up_in_order():
    one = Decision((HaltAll(by="a", reason="x"),), (Wait(GAME, "training", "x"),))
    two = Decision((HaltAll(by="b", reason="y"),))
    assert [body.by for body in (one + two).bodies if isinstance(body, HaltAll)] == ["a", "b"]
    assert (one + two).waits == one.waits


@pytest.mark.parametrize(
    ("count", "pause_s"), [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (100, 3600), (10**6, 3600)]
)
def test_the_pause_doubles_up_to_an_hour(count, pause_s):
    assert Setback(count, 1000.0, "").pause_left_s(1000.0, 100) == pause_s
    assert Setback(count, 1000.0, "").pause_left_s(1000.0 + pause_s, 100) == 0
    assert Setback(count, 1000.0, "").pause_left_s(1e9, 100) == 0


def test_after_so_many_failures_in_a_row_the_pause_is_the_longest():
    assert [Setback(count, 0.0, "").pause_left_s(0.0, 3) for count in (1, 2, 3)] == [60, 120, 3600]


def test_without_failures_nothing_pauses(cluster: Cluster):
    assert setback_of(cluster.state, GAME, "training").count == 0
    assert paused(cluster.state, GAME, "training", cluster.now, 100) is None


def test_failures_in_a_row_count_and_the_last_one_is_told(cluster: Cluster):
    for reason in ("first", "second", "third"):
        cluster.later(10)
        cluster.failed(cluster.queued(training()), reason)
    assert setback_of(cluster.state, GAME, "training") == Setback(3, cluster.now, "third")
    cluster.later(40)
    assert paused(cluster.state, GAME, "training", cluster.now, 100) == Wait(
        GAME, "training", "failed 3 times in a row (third); tried again in 200 s"
    )


def test_jobs_that_fail_side_by_side_are_one_failure(cluster: Cluster):
    """What all nodes lack for a moment ends a job of each: that is no row of tries that were in vain."""
    for _ in range(2):
        cluster.later(10)
        jobs = [cluster.queued(selfplay()) for _ in range(4)]
        for job in jobs:
            cluster.later(1)
            cluster.failed(job, "its net is nowhere")
    assert setback_of(cluster.state, GAME, "selfplay") == Setback(2, cluster.now, "its net is nowhere")


def test_a_job_that_was_there_all_the_while_hides_no_row(cluster: Cluster):
    long = cluster.queued(selfplay())
    for _ in range(3):
        cluster.later(10)
        cluster.failed(cluster.queued(selfplay()))
    cluster.later(10)
    cluster.failed(long, "the last one")
    assert setback_of(cluster.state, GAME, "selfplay") == Setback(3, cluster.now, "the last one")


def test_a_row_whose_pause_is_over_is_looked_for_no_further_than_the_longest_pause(cluster: Cluster):
    """Or every look would go through all the jobs that are remembered."""
    cluster.failed(cluster.queued(training()))
    cluster.later(3600)
    cluster.queued(selfplay())
    assert setback_of(cluster.state, GAME, "training").count == 1
    cluster.later(1)
    cluster.queued(selfplay())
    assert setback_of(cluster.state, GAME, "training").count == 0


def test_a_failure_within_the_longest_pause_counts_those_before_it(cluster: Cluster):
    for _ in range(3):
        cluster.failed(cluster.queued(training()))
        cluster.later(3000)
    assert setback_of(cluster.state, GAME, "training").count == 3


def test_a_success_ends_the_row(cluster: Cluster):
    cluster.failed(cluster.queued(training()))
    cluster.candidate(A)
    assert setback_of(cluster.state, GAME, "training").count == 0
    cluster.failed(cluster.queued(training()))
    assert setback_of(cluster.state, GAME, "training").count == 1


def test_other_kinds_and_configurations_do_not_count(cluster: Cluster):
    cluster.failed(cluster.queued(selfplay()))
    cluster.failed(cluster.queued(training(OTHER)))
    assert setback_of(cluster.state, GAME, "training").count == 0


def test_a_cancelled_job_says_nothing(cluster: Cluster):
    cluster.failed(cluster.queued(training()))
    cluster.do(Cancel(job=cluster.queued(training()), reason="not wanted"))
    assert setback_of(cluster.state, GAME, "training").count == 1


def test_an_attempt_that_is_tried_again_is_no_setback(cluster: Cluster):
    name = cluster.queued(training())
    cluster.do(Fail(job=name, fence=cluster.leased(name), reason="it broke", retry_after_s=5))
    assert setback_of(cluster.state, GAME, "training").count == 0


def test_a_job_under_which_node_after_node_vanished_counts_as_failed(cluster: Cluster):
    name = cluster.queued(training())
    for session in range(2, LOSSES_MAX + 3):
        cluster.leased(name)
        cluster.node(session=session)
    assert setback_of(cluster.state, GAME, "training").count == 1


def test_selfplay_that_was_ended_after_it_had_played_ends_the_row_too(cluster: Cluster):
    """Selfplay never ends by itself: without this its failures of weeks would be a row."""
    for _ in range(3):
        cluster.failed(cluster.queued(selfplay()))
        name = cluster.queued(selfplay())
        cluster.leased(name)
        cluster.later(600)
        cluster.do(Cancel(job=name, reason="its time is over"))
    assert setback_of(cluster.state, GAME, "selfplay").count == 0
    cluster.failed(cluster.queued(selfplay()))
    assert setback_of(cluster.state, GAME, "selfplay").count == 1


@pytest.mark.parametrize("played_s", [None, 1, 59])
def test_selfplay_that_was_ended_at_once_proves_nothing(cluster: Cluster, played_s):
    cluster.failed(cluster.queued(selfplay()))
    name = cluster.queued(selfplay())
    if played_s is not None:
        cluster.leased(name)
        cluster.later(played_s)
    cluster.do(Cancel(job=name, reason="another net is current"))
    assert setback_of(cluster.state, GAME, "selfplay").count == 1
