"""Enough selfplay for every core, each job with the net that should play now."""

from collections.abc import Mapping

import pytest

from managers.queue_populator import BOOTSTRAPPED, QueuePopulator
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.cluster_state import ClusterState
from managers.state.commands import Assign, Cancel, Drain, Enqueue, HaltAll
from managers.state.tasks import GateForm, SelfplayTask
from tests.unit.managers.deciding import GAME, OTHER, A, B, Cluster, selfplay, settings_of, training

SECTIONS: Mapping[str, Mapping[str, object]] = {
    "selfplay": {"bootstrap_games": 100},
    "training": {"bootstrap_steps": 10, "batch_size": 128},
}


def populator(*games: str, **sections: Mapping[str, object]) -> QueuePopulator:
    settings = settings_of(*games, **{**SECTIONS, **sections})
    return QueuePopulator(settings, SelfplayScheduler(settings))


def ends(cluster: Cluster, decider: QueuePopulator) -> dict[str, str]:
    """The jobs to end, and why."""
    decision = decider.decide(cluster.state, cluster.now)
    return {body.job: body.reason for body in decision.bodies if isinstance(body, Cancel)}


def queues(cluster: Cluster, decider: QueuePopulator) -> list[SelfplayTask]:
    decision = decider.decide(cluster.state, cluster.now)
    return [body.task for body in decision.bodies if isinstance(body, Enqueue) and isinstance(body.task, SelfplayTask)]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


# ---- how many ----


def test_a_job_for_every_core_and_then_no_more(cluster: Cluster):
    jobs = cluster.follow(populator().decide(cluster.state, cluster.now))
    assert [(job.kind, job.cores, job.priority) for job in jobs] == [("selfplay", 1, 50)] * 4
    assert populator().decide(cluster.state, cluster.now).bodies == ()


class CountingScheduler(SelfplayScheduler):
    """Counts how often configurations are scored."""

    scored = 0

    def parts(self, state: ClusterState, game: str, now: float) -> Mapping[str, float]:
        self.scored += 1
        return super().parts(state, game, now)


def test_a_decision_scores_each_configuration_once_however_many_jobs_it_ends_and_queues(cluster: Cluster):
    """It looks at thousands of nets and jobs, and the event loop waits meanwhile."""
    settings = settings_of(GAME, OTHER, **SECTIONS)
    scheduler = CountingScheduler(settings)
    decider = QueuePopulator(settings, scheduler)
    cluster.node("b", 64)
    for job in cluster.follow(decider.decide(cluster.state, cluster.now)):
        cluster.leased(job.id)
    cluster.later(3600)
    scheduler.scored = 0
    decider.decide(cluster.state, cluster.now)
    assert scheduler.scored == 2


def test_all_nodes_count_but_those_that_drain(cluster: Cluster):
    cluster.node("b", 2)
    cluster.node("c", 0)
    assert populator().wanted(cluster.state) == 6
    cluster.do(Drain(node="a"))
    assert populator().wanted(cluster.state) == 2


def test_jobs_on_a_node_that_drains_do_not_stand_for_those_of_other_nodes(cluster: Cluster):
    for _ in range(4):
        cluster.leased(cluster.queued(selfplay()))
    cluster.node("b", 2)
    cluster.do(Drain(node="a"))
    assert len(queues(cluster, populator())) == 2


@pytest.mark.parametrize(("others", "wanted"), [(0, 4), (1, 3), (2, 2), (3, 2), (4, 2)])
def test_cores_of_other_jobs_are_not_counted_on_down_to_the_share_of_selfplay(cluster: Cluster, others, wanted):
    for game in (GAME, OTHER, "hex8_3p", "hex8_4p")[:others]:
        cluster.leased(cluster.queued(training(game)))
    assert populator().wanted(cluster.state) == wanted


def test_a_job_that_waits_for_a_core_is_not_queued_again(cluster: Cluster):
    for _ in range(4):
        cluster.queued(selfplay())
    cluster.leased(cluster.queued(training()))
    assert queues(cluster, populator()) == []


# ---- of what ----


def test_jobs_are_shared_out_as_if_those_before_were_queued_already(cluster: Cluster):
    tasks = queues(cluster, populator(GAME, OTHER))
    assert sorted(task.game for task in tasks) == [GAME, GAME, OTHER, OTHER]


def test_a_configuration_whose_jobs_fail_rests_and_says_so(cluster: Cluster):
    cluster.failed(cluster.queued(selfplay()), "no such file")
    decision = populator(GAME, OTHER).decide(cluster.state, cluster.now)
    assert {task.game for task in queues(cluster, populator(GAME, OTHER))} == {OTHER}
    assert [(wait.game, wait.what, wait.why) for wait in decision.waits] == [
        (GAME, "selfplay", "failed (no such file); tried again in 60 s")
    ]
    cluster.later(60)
    assert {task.game for task in queues(cluster, populator(GAME, OTHER))} == {GAME, OTHER}


def test_the_heuristic_rests_when_its_games_are_played_and_says_so(cluster: Cluster):
    cluster.data(100)
    decision = populator(GAME, OTHER).decide(cluster.state, cluster.now)
    assert {task.game for task in queues(cluster, populator(GAME, OTHER))} == {OTHER}
    assert [(wait.game, wait.why) for wait in decision.waits] == [(GAME, BOOTSTRAPPED)]


def test_where_the_first_training_fails_the_heuristic_rests_and_says_why(cluster: Cluster):
    cluster.data(100)
    cluster.failed(cluster.queued(training()), "torch is not installed")
    (wait,) = populator().decide(cluster.state, cluster.now).waits
    assert wait.why == f"{BOOTSTRAPPED}: failed (torch is not installed); tried again in 60 s"


def test_nothing_is_queued_where_everybody_rests(cluster: Cluster):
    cluster.data(100)
    assert queues(cluster, populator()) == []


# ---- what ends ----


def test_jobs_of_another_net_end(cluster: Cluster):
    name = cluster.queued(selfplay())
    assert ends(cluster, populator()) == {}
    cluster.candidate(A)
    assert ends(cluster, populator()) == {name: "another net is current"}
    assert {task.model for task in queues(cluster, populator())} == {A}


def test_games_of_the_champion_do_not_end_while_it_is_current(cluster: Cluster):
    cluster.crowned(A)
    cluster.queued(selfplay(model=A))
    cluster.candidate(B, gate=GateForm())
    assert ends(cluster, populator()) == {}


def test_jobs_of_a_configuration_that_is_not_learned_any_more_end(cluster: Cluster):
    name = cluster.queued(selfplay(OTHER))
    assert ends(cluster, populator()) == {name: "square8_2p is not learned any more"}


def test_the_heuristics_jobs_end_with_its_games(cluster: Cluster):
    name = cluster.queued(selfplay())
    cluster.data(100)
    assert ends(cluster, populator()) == {name: BOOTSTRAPPED}


def test_a_job_whose_time_is_over_ends_for_another_configuration(cluster: Cluster):
    cluster.state = Cluster().state
    cluster.node(cores=1)
    name = cluster.queued(selfplay())
    cluster.leased(name)
    assert ends(cluster, populator(GAME, OTHER)) == {}
    cluster.later(599)
    assert ends(cluster, populator(GAME, OTHER)) == {}
    cluster.later(1)
    assert ends(cluster, populator(GAME, OTHER)) == {name: "its time is over and another configuration waits"}
    assert [task.game for task in queues(cluster, populator(GAME, OTHER))] == [OTHER]


def test_a_job_whose_time_is_over_plays_on_where_nobody_else_waits(cluster: Cluster):
    cluster.leased(cluster.queued(selfplay()))
    cluster.later(6000)
    assert ends(cluster, populator()) == {}


@pytest.mark.parametrize("rest", ["paused", "bootstrapped"])
def test_a_configuration_that_rests_is_nobody_to_end_for(cluster: Cluster, rest):
    cluster.leased(cluster.queued(selfplay()))
    if rest == "bootstrapped":
        cluster.data(100, game=OTHER)
    cluster.later(30_000)
    cluster.data(1)
    if rest == "paused":
        cluster.failed(cluster.queued(selfplay(OTHER)))
    assert ends(cluster, populator(GAME, OTHER)) == {}


def test_nothing_is_decided_while_all_is_halted(cluster: Cluster):
    cluster.do(HaltAll(by="people", reason="a look"))
    assert populator().decide(cluster.state, cluster.now).bodies == ()


def test_a_job_that_has_not_begun_is_not_over(cluster: Cluster):
    name = cluster.queued(selfplay())
    cluster.do(Assign(job=name, node="a", session=1))
    cluster.later(1e5)
    assert ends(cluster, populator(GAME, OTHER)) == {}
