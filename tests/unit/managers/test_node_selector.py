"""Which node a job should go to, and why."""

import pytest

from managers.node_selector import NodeSelector, rate_of
from managers.state.commands import Complete, CountData, Drain, Fail
from managers.state.jobs import Job
from managers.state.learners import DataCount
from managers.state.tasks import GateForm, Outcome, SelfplayOutcome, TrainingOutcome
from tests.unit.managers.deciding import GAME, OTHER, A, B, Cluster, selfplay, training, verdict_of
from tests.unit.managers.splitting import PLAYED, Splitting


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for node in "abc":
        made.node(node, 4)
    return made


def job(cluster: Cluster, name: str) -> Job:
    return cluster.state.jobs.active[name]


def played(cluster: Cluster, node: str, games: int, seconds: float) -> None:
    """A selfplay job that a node has finished."""
    name = cluster.queued(selfplay())
    fence = cluster.leased(name, node)
    cluster.later(seconds)
    complete(cluster, name, fence, SelfplayOutcome(games=games, rows=10 * games))


def failed(cluster: Cluster, node: str) -> None:
    name = cluster.queued(selfplay())
    cluster.do(Fail(job=name, fence=cluster.leased(name, node), reason="it broke", retry_after_s=None))


def complete(cluster: Cluster, name: str, fence: int, outcome: Outcome) -> None:
    cluster.do(Complete(job=name, fence=fence, outcome=outcome))


def ranked(cluster: Cluster, name: str, unfit: dict[str, str] | None = None) -> list[str]:
    return [it.node for it in NodeSelector(cluster.state, unfit or {}).rank_nodes(job(cluster, name)) if not it.unfit]


def test_equal_nodes_stand_in_the_order_of_their_names(cluster: Cluster):
    assert ranked(cluster, cluster.queued(selfplay())) == ["a", "b", "c"]


def test_the_fastest_at_such_jobs_comes_first_and_the_unmeasured_count_as_fast(cluster: Cluster):
    played(cluster, "a", 50, 100)
    played(cluster, "b", 100, 100)
    wanted = cluster.queued(selfplay())
    assert ranked(cluster, wanted) == ["b", "c", "a"]
    parts = {it.node: it.parts["throughput"] for it in NodeSelector(cluster.state).rank_nodes(job(cluster, wanted))}
    assert parts == {"a": 0.5, "b": 1.0, "c": 1.0}
    other = job(cluster, cluster.queued(selfplay(OTHER)))
    assert all(it.parts["throughput"] == 1 for it in NodeSelector(cluster.state).rank_nodes(other))


def test_a_node_that_was_slow_at_a_part_comes_later_for_a_gauntlet_and_help_speeds_up_nobody():
    cluster = Splitting("b", "c")
    whole, part = cluster.gauntlet(), cluster.part()
    fence = cluster.leased(part, "b")
    cluster.later(160)
    complete(cluster, part, fence, PLAYED)  # 64 games
    outcome = verdict_of("failed", A)
    outcome = outcome.model_copy(update={"rows": (outcome.rows[0].model_copy(update={"games": 224}),)})
    cluster.later(40)
    complete(cluster, whole.id, cluster.fence, outcome)
    selector = NodeSelector(cluster.state)
    assert [selector.speed_of(node) for node in "abc"] == [1.0, pytest.approx(0.5), None]
    cluster.candidate(B, gate=GateForm())
    wanted = cluster.gauntlet()
    parts = {it.node: it.parts["throughput"] for it in NodeSelector(cluster.state).rank_nodes(wanted)}
    assert parts == {"a": 1.0, "b": pytest.approx(0.5), "c": 1.0}


def test_the_median_of_the_latest_jobs_counts(cluster: Cluster):
    for games in (1000, 10, 10, 10, 10, 10):
        played(cluster, "a", games, 10)
    played(cluster, "b", 10, 10)
    found = NodeSelector(cluster.state).rank_nodes(job(cluster, cluster.queued(selfplay())))
    assert {it.parts["throughput"] for it in found} == {1.0}


def test_who_fails_comes_last_but_one_failure_is_no_verdict(cluster: Cluster):
    failed(cluster, "a")
    found = {it.node: it for it in NodeSelector(cluster.state).rank_nodes(job(cluster, cluster.queued(selfplay())))}
    assert found["a"].parts["reliability"] == 0.8
    assert found["b"].parts["reliability"] == 1.0
    assert ranked(cluster, cluster.queued(selfplay()))[-1] == "a"


def test_what_is_busy_with_more_than_selfplay_comes_later(cluster: Cluster):
    cluster.leased(cluster.queued(training(), cores=2), "a")
    cluster.leased(cluster.queued(selfplay()), "b")
    assert ranked(cluster, cluster.queued(training(OTHER))) == ["b", "c", "a"]
    selector = NodeSelector(cluster.state)
    assert selector.select_best_node(job(cluster, cluster.queued(selfplay())), {"b": 4}) == "c"


def test_a_training_goes_where_its_games_are(cluster: Cluster):
    cluster.data(100)
    cluster.do(CountData(game=GAME, node="b", count=DataCount(games=300, rows=3000)))
    wanted = cluster.queued(training())
    assert ranked(cluster, wanted) == ["b", "a", "c"]


def test_selfplay_goes_where_its_net_was_made(cluster: Cluster):
    name = cluster.queued(training())
    fence = cluster.leased(name, "c")
    outcome = TrainingOutcome(candidate=A, size_bytes=1, version=1, steps=1, samples_total=1, rows=1, evaluations=1)
    complete(cluster, name, fence, outcome)
    assert ranked(cluster, cluster.queued(selfplay(model=A)))[0] == "c"
    assert ranked(cluster, cluster.queued(selfplay(model=B)))[0] == "a"


def test_nodes_that_cannot_have_it_stand_last_with_the_reason(cluster: Cluster):
    cluster.node("d", 0)
    cluster.do(Drain(node="a"))
    wanted = cluster.queued(selfplay())
    found = NodeSelector(cluster.state, {"b": "silent for 40 s"}).rank_nodes(job(cluster, wanted))
    assert [(it.node, it.unfit) for it in found] == [
        ("c", ""), ("a", "draining"), ("b", "silent for 40 s"), ("d", "it has no cores for jobs"),
    ]  # fmt: skip
    assert all(not it.score and not it.parts for it in found[1:])


def test_without_a_node_nobody_is_selected():
    cluster = Cluster()
    name = cluster.queued(selfplay())
    assert NodeSelector(cluster.state).select_best_node(job(cluster, name)) is None


def test_a_job_that_was_over_at_once_says_nothing_about_speed(cluster: Cluster):
    played(cluster, "a", 50, 0.5)
    assert rate_of(next(iter(cluster.state.jobs.finished.values()))) is None
