"""Jobs: fences, the ways back to the queue, twins, what is remembered."""

import pytest

from managers.state import commands as asked
from managers.state import jobs as queue
from managers.state.cluster_state import What
from managers.state.jobs import JobStatus
from managers.state.tasks import GateForm
from tests.commanded import (
    GAME,
    OTHER_GAME,
    START,
    Commanded,
    canary,
    digest,
    gauntlet_outcome,
    selfplay,
    selfplay_outcome,
    training,
    training_outcome,
)


@pytest.fixture
def cluster() -> Commanded:
    return Commanded()


# ---- assignments and fences ----


def test_a_job_is_named_after_its_kind_its_configuration_and_the_seq(cluster: Commanded):
    assert cluster.queued(selfplay()) == "selfplay-hex8_2p-1"
    assert cluster.queued(training()) == "training-hex8_2p-2"
    assert cluster.job("training-hex8_2p-2").queued_at == START


def test_the_fence_of_an_assignment_is_its_seq(cluster: Commanded):
    cluster.join()
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    leased = cluster.job(job)
    assert (leased.status, leased.fence, leased.node, leased.session) == (JobStatus.LEASED, fence, "n1", 1)
    assert fence == cluster.state.seq == 3


def test_every_assignment_has_a_fence_of_its_own(cluster: Commanded):
    one, other = cluster.queued(selfplay()), cluster.queued(selfplay())
    first = cluster.leased(one)
    cluster.do(asked.Release(job=one, fence=first, reason=""))
    assert len({first, cluster.leased(one), cluster.leased(other)}) == 3


def test_only_a_queued_job_is_assigned(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    again = asked.Assign(job=job, node="n1", session=1)
    assert "leased, not queued" in cluster.refused(again)
    cluster.do(asked.Start(job=job, fence=fence))
    assert "running, not queued" in cluster.refused(again)
    cluster.do(asked.Complete(job=job, fence=fence, outcome=selfplay_outcome()))
    assert "has ended: succeeded" in cluster.refused(again)
    assert "there is no job" in cluster.refused(asked.Assign(job="another", node="n1", session=1))


def test_a_job_is_assigned_to_a_member_in_its_present_session_only(cluster: Commanded):
    job = cluster.queued(selfplay())
    assert "n1 is no member" in cluster.refused(asked.Assign(job=job, node="n1", session=1))
    cluster.join(session=4)
    assert "session 4, not 3" in cluster.refused(asked.Assign(job=job, node="n1", session=3))
    cluster.do(asked.Assign(job=job, node="n1", session=4))


@pytest.mark.parametrize("status", [JobStatus.LEASED, JobStatus.RUNNING])
@pytest.mark.parametrize(
    "late",
    [
        lambda job, fence: asked.Start(job=job, fence=fence),
        lambda job, fence: asked.Complete(job=job, fence=fence, outcome=selfplay_outcome()),
        lambda job, fence: asked.Fail(job=job, fence=fence, reason="it broke"),
        lambda job, fence: asked.Release(job=job, fence=fence, reason="no time"),
    ],
)
def test_whoever_comes_with_another_fence_is_too_late(cluster: Commanded, status: JobStatus, late):
    job = cluster.queued(selfplay())
    old = cluster.leased(job)
    cluster.do(asked.Release(job=job, fence=old, reason=""))
    assert "assigned to nobody" in cluster.refused(late(job, old))
    new = cluster.leased(job, "n2")
    if status is JobStatus.RUNNING:
        cluster.do(asked.Start(job=job, fence=new))
    assert f"fence {new}, not {old}" in cluster.refused(late(job, old))
    assert "not" in cluster.refused(late(job, new + 1))
    assert cluster.job(job).status is status


def test_a_job_starts_once_per_assignment(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    cluster.at += 2
    cluster.do(asked.Start(job=job, fence=fence))
    assert (cluster.job(job).status, cluster.job(job).started_at) == (JobStatus.RUNNING, START + 2)
    assert "running, not leased" in cluster.refused(asked.Start(job=job, fence=fence))


def test_a_job_may_be_done_before_anybody_heard_that_it_started(cluster: Commanded):
    job = cluster.queued(selfplay())
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=selfplay_outcome()))
    assert cluster.job(job).status is JobStatus.SUCCEEDED


def test_a_completed_job_has_its_outcome_and_where_it_was_made(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    cluster.at += 60
    cluster.do(asked.Complete(job=job, fence=fence, outcome=selfplay_outcome()))
    done = cluster.job(job)
    assert (done.outcome, done.ended_at, done.node) == (selfplay_outcome(), START + 60, "n1")
    assert job in cluster.state.jobs.finished
    assert job not in cluster.state.jobs.active


def test_the_outcome_is_that_of_the_kind_of_the_job(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    wrong = asked.Complete(job=job, fence=fence, outcome=training_outcome(digest(1)))
    assert "is a selfplay job" in cluster.refused(wrong)


# ---- the ways back ----


def test_a_failure_costs_an_attempt_and_waits(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    cluster.do(asked.Start(job=job, fence=fence))
    result = cluster.do(asked.Fail(job=job, fence=fence, reason="it broke", retry_after_s=30))
    back = cluster.job(job)
    assert (back.status, back.attempts, back.losses, back.reason) == (JobStatus.QUEUED, 1, 0, "it broke")
    assert (back.node, back.session, back.started_at, back.not_before) == (None, 0, None, START + 30)
    assert [it.what for it in result.transitions] == [What.JOB_RETRIED]
    cluster.at = START + 29
    assert "waits 1 s" in cluster.refused(asked.Assign(job=job, node="n1", session=1))
    cluster.at = START + 30
    cluster.do(asked.Assign(job=job, node="n1", session=1))


def test_the_last_attempt_ends_a_job(cluster: Commanded):
    job = cluster.queued(selfplay(), attempts_max=2)
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="one", retry_after_s=0))
    result = cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="two", retry_after_s=0))
    ended = cluster.job(job)
    assert (ended.status, ended.attempts, ended.reason, ended.ended_at) == (JobStatus.FAILED, 2, "two", START)
    assert [it.what for it in result.transitions] == [What.JOB_FAILED]


def test_a_failure_that_another_try_would_not_help_ends_a_job_at_once(cluster: Commanded):
    job = cluster.queued(selfplay())
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="no such board", retry_after_s=None))
    assert (cluster.job(job).status, cluster.job(job).attempts) == (JobStatus.FAILED, 1)


def test_a_release_costs_nothing_however_often(cluster: Commanded):
    job = cluster.queued(selfplay(), attempts_max=1)
    for _ in range(queue.LOSSES_MAX + 5):
        cluster.do(asked.Release(job=job, fence=cluster.leased(job), reason="drained"))
    back = cluster.job(job)
    assert (back.status, back.attempts, back.losses, back.not_before) == (JobStatus.QUEUED, 0, 0, 0)


def test_the_loss_of_the_node_costs_a_loss_and_no_attempt(cluster: Commanded):
    job = cluster.queued(selfplay(), attempts_max=1)
    cluster.leased(job)
    result = cluster.do(asked.Expire(node="n1", session=1))
    back = cluster.job(job)
    assert (back.status, back.attempts, back.losses, back.node) == (JobStatus.QUEUED, 0, 1, None)
    assert [it.what for it in result.transitions] == [What.JOB_LOST]


def test_a_job_under_which_too_many_nodes_vanished_is_given_up(cluster: Commanded):
    job = cluster.queued(selfplay())
    for _ in range(queue.LOSSES_MAX):
        cluster.leased(job)
        cluster.do(asked.Expire(node="n1", session=1))
    assert cluster.job(job).status is JobStatus.QUEUED
    cluster.leased(job)
    cluster.do(asked.Expire(node="n1", session=1))
    assert (cluster.job(job).status, cluster.job(job).losses) == (JobStatus.LOST, queue.LOSSES_MAX + 1)


def test_a_vanished_node_loses_its_own_jobs_only(cluster: Commanded):
    mine, other, waiting = (cluster.queued(selfplay()) for _ in range(3))
    cluster.leased(mine, "n1")
    cluster.leased(other, "n2")
    cluster.do(asked.Expire(node="n1", session=1))
    assert [cluster.job(it).status for it in (mine, other, waiting)] == ["queued", "leased", "queued"]


@pytest.mark.parametrize("assigned", [False, True])
def test_a_cancelled_job_has_ended(cluster: Commanded, assigned):
    job = cluster.queued(selfplay())
    if assigned:
        cluster.leased(job)
    cluster.do(asked.Cancel(job=job, reason="changed my mind"))
    assert (cluster.job(job).status, cluster.job(job).reason) == (JobStatus.CANCELLED, "changed my mind")
    assert "has ended: cancelled" in cluster.refused(asked.Cancel(job=job, reason=""))


def test_an_ended_job_takes_no_more_orders(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    cluster.do(asked.Cancel(job=job, reason=""))
    for body in (
        asked.Start(job=job, fence=fence),
        asked.Complete(job=job, fence=fence, outcome=selfplay_outcome()),
        asked.Fail(job=job, fence=fence, reason=""),
        asked.Release(job=job, fence=fence, reason=""),
    ):
        assert "has ended" in cluster.refused(body)


# ---- twins ----


def test_one_training_and_one_canary_per_configuration_at_once(cluster: Commanded):
    net = digest(1)
    cluster.sealed(net)
    first = cluster.queued(training())
    assert f"{first} does that already" in cluster.refused(asked.Enqueue(task=training(), priority=1))
    cluster.queued(training(OTHER_GAME))
    cluster.queued(canary(net))
    assert "does that already" in cluster.refused(asked.Enqueue(task=canary(net), priority=1))
    cluster.do(asked.Cancel(job=first, reason=""))
    cluster.queued(training())


def test_selfplay_jobs_are_as_many_as_wished(cluster: Commanded):
    assert len({cluster.queued(selfplay()) for _ in range(5)}) == 5


def test_one_gauntlet_per_candidate_at_once(cluster: Commanded):
    job = cluster.gauntlet(digest(1))
    judge = asked.Judge(game=GAME, candidate=digest(1), seed=5, form=GateForm())
    assert f"{job} does that already" in cluster.refused(judge)
    assert cluster.learner().judged == 1, "a refused gauntlet is not counted"
    cluster.gauntlet(digest(2))
    assert len(cluster.state.jobs.of(GAME, "gauntlet")) == 2


def test_a_gauntlet_is_queued_with_its_count_only(cluster: Commanded):
    job = cluster.gauntlet(digest(1))
    cluster.do(asked.Cancel(job=job, reason=""))
    bare = cluster.job(job).task
    assert "judge" in cluster.refused(asked.Enqueue(task=bare, priority=1))


# ---- what is remembered ----


def test_of_too_many_ended_jobs_the_oldest_are_forgotten(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    assert queue.FINISHED_MAX == 10_000
    monkeypatch.setattr(queue, "FINISHED_MAX", 3)
    names = [cluster.queued(selfplay()) for _ in range(5)]
    for name in reversed(names):
        cluster.do(asked.Cancel(job=name, reason=""))
    assert list(cluster.state.jobs.finished) == [names[2], names[1], names[0]]
    assert "there is no job" in cluster.refused(asked.Cancel(job=names[4], reason=""))


def test_too_many_waiting_jobs_are_refused(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "QUEUED_MAX", 2)
    first = cluster.queued(selfplay())
    cluster.queued(selfplay())
    assert "2 jobs wait" in cluster.refused(asked.Enqueue(task=selfplay(), priority=1))
    cluster.leased(first)
    assert "2 jobs wait or run" in cluster.refused(asked.Enqueue(task=selfplay(), priority=1))
    cluster.do(asked.Cancel(job=first, reason=""))
    cluster.queued(selfplay())


def test_a_full_queue_does_not_keep_a_training_from_its_gauntlet(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "QUEUED_MAX", 1)
    assert cluster.gauntlet(digest(1)) in cluster.state.jobs.active


def test_the_jobs_of_a_node_and_of_a_configuration(cluster: Commanded):
    mine, waiting, foreign = (
        cluster.queued(selfplay()),
        cluster.queued(training()),
        cluster.queued(selfplay(OTHER_GAME)),
    )
    cluster.leased(mine, "n1")
    cluster.leased(foreign, "n2")
    jobs = cluster.state.jobs
    assert [job.id for job in jobs.on("n1")] == [mine]
    assert [job.id for job in jobs.of(GAME)] == [mine, waiting]
    assert [job.id for job in jobs.of(GAME, "training")] == [waiting]
    assert queue.training_of(jobs, GAME) == training()
    assert queue.training_of(jobs, OTHER_GAME) is None


def test_a_verdict_belongs_to_the_assignment_that_counts(cluster: Commanded):
    job = cluster.gauntlet(digest(1))
    old = cluster.leased(job)
    cluster.do(asked.Expire(node="n1", session=1))
    new = cluster.leased(job, "n2")
    assert "assigned anew" in cluster.refused(asked.Complete(job=job, fence=old, outcome=gauntlet_outcome()))
    cluster.do(asked.Complete(job=job, fence=new, outcome=gauntlet_outcome("failed")))
    assert cluster.learner().nets[digest(1)].status == "not passed"
