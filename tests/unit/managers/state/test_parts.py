"""Parts of gauntlets as the state knows them."""

import pytest

from managers.state.commands import Complete, Enqueue, Fail
from managers.state.jobs import JobStatus
from tests.unit.managers.deciding import verdict_of
from tests.unit.managers.splitting import PLAYED, Splitting


def refused(cluster: Splitting, **changes: object) -> str:
    task = cluster.part_task().model_copy(update=changes)
    result = cluster.ask(Enqueue(task=task, priority=80, attempts_max=1))
    assert not result.accepted
    return result.reason


def test_a_part_belongs_to_a_gauntlet_that_a_node_has_as_that_one_is():
    cluster = Splitting("b")
    assert "is no gauntlet that is under way" in refused(cluster, gauntlet="gauntlet-1")
    other = cluster.task.model_copy(update={"seed": 5})
    assert "is no gauntlet that is under way" in refused(cluster, of=other)
    assert "no blocks" in refused(cluster, first=5, last=5)
    part = cluster.part()
    assert (cluster.job(part).kind, cluster.job(part).game) == ("part", cluster.gauntlet().game)
    assert "does that already" in refused(cluster)


def test_no_part_is_queued_once_its_gauntlet_has_ended():
    cluster = Splitting("b")
    task = cluster.part_task()
    outcome = verdict_of("failed", cluster.task.candidate)
    cluster.do(Complete(job=cluster.gauntlet().id, fence=cluster.fence, outcome=outcome))
    assert not cluster.ask(Enqueue(task=task, priority=80)).accepted


def test_a_played_part_changes_nothing_of_what_is_learned():
    cluster = Splitting("b")
    part, before = cluster.part(), cluster.learner()
    cluster.do(Complete(job=part, fence=cluster.leased(part, "b"), outcome=PLAYED))
    assert cluster.job(part).status is JobStatus.SUCCEEDED
    assert cluster.learner() == before


@pytest.mark.parametrize("session", [1, 2])
def test_a_part_is_not_tried_twice(session):
    cluster = Splitting("b")
    part, before = cluster.part(), cluster.learner()
    fence = cluster.leased(part, "b")
    if session == 1:
        cluster.do(Fail(job=part, fence=fence, reason="no"))
        assert cluster.job(part).status is JobStatus.FAILED
    else:
        cluster.node("b", 1, session=2)
        assert cluster.job(part).status is JobStatus.LOST
    assert cluster.learner() == before
