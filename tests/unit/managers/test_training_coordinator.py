"""When a candidate is trained, and what people read where none is."""

import pytest

from managers.state.commands import AddNet, Enqueue, Promote
from managers.state.learners import NetStatus
from managers.state.tasks import GateForm, TrainingTask
from managers.training_coordinator import TrainingCoordinator, gate_form
from ringrift_core.errors import RulesError
from tests.unit.managers.deciding import BEGAN, GAME, OTHER, A, B, Cluster, settings_of, training

QUICK = {"trigger_threshold_games": 100, "bootstrap_steps": 20, "steps": 10, "batch_size": 128}
FIRST = {"bootstrap_games": 200}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def coordinator(*games: str, selfplay: dict[str, object] | None = None, **changes: object) -> TrainingCoordinator:
    return TrainingCoordinator(settings_of(*games, training=QUICK | changes, selfplay=FIRST | (selfplay or {})))


def why(cluster: Cluster, decider: TrainingCoordinator, game: str = GAME) -> str:
    """The reason for no training."""
    decision = decider.decide(cluster.state, cluster.now)
    found = [wait for wait in decision.waits if wait.game == game]
    assert [wait.what for wait in found] == ["training"]
    return found[0].why


def runs(cluster: Cluster, decider: TrainingCoordinator) -> list[tuple[Enqueue, TrainingTask]]:
    bodies = decider.decide(cluster.state, cluster.now).bodies
    return [(it, it.task) for it in bodies if isinstance(it, Enqueue) and isinstance(it.task, TrainingTask)]


def run_of(cluster: Cluster, decider: TrainingCoordinator) -> tuple[Enqueue, TrainingTask]:
    """The only run that is queued."""
    (found,) = runs(cluster, decider)
    return found


def asked(cluster: Cluster, decider: TrainingCoordinator) -> list[str]:
    return [task.game for _, task in runs(cluster, decider)]


def test_a_gauntlet_is_tried_as_often_as_any_job(cluster: Cluster):
    for attempts in (1, 5):
        form = gate_form(settings_of(jobs={"attempts_max": attempts}))
        cluster.candidate(A if attempts == 1 else B, gate=form)
        assert cluster.gauntlet().attempts_max == attempts
        cluster.judged("failed")


# ---- the first run ----


def test_the_first_run_waits_for_the_games_of_the_heuristic(cluster: Cluster):
    cluster.data(199)
    assert why(cluster, coordinator()) == "199 of 200 new games"
    cluster.data(200)
    body, task = run_of(cluster, coordinator())
    assert (task.parent, task.size, task.steps) == (None, "nano", 20)
    assert (task.rows_made, task.games_made) == (6000, 200)
    assert (body.priority, body.cores, body.attempts_max) == (70, 1, 3)


def test_without_the_heuristic_the_first_run_waits_for_as_many_games_as_any(cluster: Cluster):
    cluster.data(99)
    assert why(cluster, coordinator(selfplay={"bootstrap": "none"})) == "99 of 100 new games"


@pytest.mark.parametrize("bootstrap_games", [0, 1])
def test_no_run_begins_without_a_game(cluster: Cluster, bootstrap_games):
    decider = coordinator(selfplay={"bootstrap_games": bootstrap_games})
    assert why(cluster, decider) == "0 of 1 new games"


def test_a_net_that_a_person_brought_does_not_change_how_many_games_the_first_run_needs(cluster: Cluster):
    """The heuristic stops at its games; a run that waited for more would wait for ever."""
    cluster.do(AddNet(game=GAME, sha256=A, size_bytes=1, version=1, parent=None))
    assert cluster.learner().current is None
    decider = coordinator(selfplay={"bootstrap_games": 60})
    assert decider.games_wanted(cluster.learner()) == (60, 0)
    cluster.data(60)
    assert asked(cluster, decider) == [GAME]


# ---- later runs ----


def test_a_later_run_goes_on_from_the_current_net_and_counts_new_games_only(cluster: Cluster):
    cluster.candidate(A)  # of 100 games
    cluster.data(199)
    assert why(cluster, coordinator()) == "99 of 100 new games"
    cluster.data(200)
    _, task = run_of(cluster, coordinator())
    assert (task.parent, task.size, task.steps) == (A, None, 10)


def test_rows_that_were_passed_over_often_enough_are_waited_for(cluster: Cluster):
    cluster.candidate(A, samples=23_000)
    cluster.data(200)  # 6000 rows allow 24,000 samples
    assert why(cluster, coordinator()).startswith("6000 rows allow 7 steps of 128 after the 23000 samples")
    cluster.data(220)
    assert asked(cluster, coordinator()) == [GAME]


@pytest.mark.parametrize(("hours", "waits"), [(48.0, True), (0.0, False)])
def test_games_that_a_run_would_find_too_old_are_not_trained_on(cluster: Cluster, hours, waits):
    """The job would refuse them, attempt after attempt."""
    cluster.data(200)
    cluster.later(49 * 3600)
    decider = coordinator(max_age_hours=hours)
    if waits:
        assert why(cluster, decider).startswith("the newest games are 49 hours old")
    else:
        assert asked(cluster, decider) == [GAME]


def test_a_run_as_long_as_the_rows_allow_stays_within_the_passes(cluster: Cluster):
    cluster.data(200)
    _, task = run_of(cluster, coordinator(bootstrap_steps=0, passes=1))
    assert 0 < task.steps * task.batch <= 6000


def test_runs_keep_their_distance_where_one_is_wished(cluster: Cluster):
    cluster.candidate(A)
    cluster.data(300)
    cluster.later(100)
    assert why(cluster, coordinator(min_interval_seconds=300)) == "the next run may begin in 200 s"
    cluster.later(200)
    assert asked(cluster, coordinator(min_interval_seconds=300)) == [GAME]


def test_every_run_has_a_seed_of_its_own_and_the_same_state_gives_the_same_run(cluster: Cluster):
    cluster.data(300)
    first = coordinator().training_task(cluster.state, GAME)
    assert first == coordinator().training_task(cluster.state, GAME)
    cluster.candidate(A)
    assert coordinator().training_task(cluster.state, GAME).seed != first.seed


# ---- what else stands in the way ----


def test_one_run_of_a_configuration_at_a_time(cluster: Cluster):
    cluster.data(300)
    cluster.queued(training())
    assert why(cluster, coordinator()) == "a run is under way"


def test_runs_of_other_configurations_count_up_to_the_limit(cluster: Cluster):
    cluster.data(300)
    cluster.queued(training(OTHER))
    assert why(cluster, coordinator(GAME, OTHER)) == "1 runs of other configurations are under way"
    assert asked(cluster, coordinator(GAME, OTHER, max_concurrent_jobs=2)) == [GAME]


def test_two_configurations_that_are_ready_at_once_do_not_pass_the_limit_together(cluster: Cluster):
    cluster.data(300)
    cluster.data(300, game=OTHER)
    assert asked(cluster, coordinator(GAME, OTHER)) == [GAME]
    assert why(cluster, coordinator(GAME, OTHER), OTHER) == "1 runs of other configurations are under way"
    assert asked(cluster, coordinator(GAME, OTHER, max_concurrent_jobs=2)) == [GAME, OTHER]


def test_of_several_that_are_ready_the_one_that_was_trained_longest_ago_begins(cluster: Cluster):
    cluster.candidate(A)
    cluster.data(300)
    cluster.data(300, game=OTHER)
    assert asked(cluster, coordinator(GAME, OTHER)) == [OTHER]
    cluster.later(10)
    cluster.candidate(B, OTHER)
    cluster.data(600, game=OTHER)
    assert asked(cluster, coordinator(GAME, OTHER)) == [GAME]


def test_a_candidate_in_its_gauntlet_is_waited_for_and_a_given_up_one_is_not(cluster: Cluster):
    cluster.candidate(A, gate=GateForm())
    cluster.data(300)
    assert why(cluster, coordinator()) == "the last candidate is being judged"
    cluster.failed(cluster.gauntlet().id)
    assert cluster.learner().nets[A].status is NetStatus.UNJUDGED
    assert asked(cluster, coordinator()) == [GAME]


def test_a_failed_run_is_followed_by_a_pause_that_says_why(cluster: Cluster):
    cluster.data(300)
    cluster.failed(cluster.queued(training()), "no disk")
    assert why(cluster, coordinator()) == "failed (no disk); tried again in 60 s"
    cluster.later(60)
    assert asked(cluster, coordinator()) == [GAME]


# ---- the form of a run ----


def test_without_a_gauntlet_a_run_has_no_gate(cluster: Cluster):
    settings = settings_of(promotion={"skip_gauntlet": True})
    cluster.data(300_000)
    assert TrainingCoordinator(settings).training_task(cluster.state, GAME).gate is None
    rates = {"random_win_rate": 0.9, "heuristic_win_rate": 0.7, "vs_previous_win_rate": 0.52}
    settings = settings_of(promotion=rates, evaluation={"games": 80, "games_max": 200, "anchors_max": 1})
    gate = TrainingCoordinator(settings).training_task(cluster.state, GAME).gate
    assert gate == GateForm(
        games=80, games_max=200, random=0.9, heuristic=0.7, champion=0.52, anchors_max=1, priority=80
    )


def test_without_gauntlets_every_run_goes_on_from_the_newest_net(cluster: Cluster):
    """No first games qualify anybody then, and without this the first net would play and be trained from for ever."""
    cluster.candidate(A)
    cluster.do(Promote(game=GAME, candidate=A, expected=None, how="manual", reason="promotion.skip_gauntlet is set"))
    cluster.candidate(B)
    cluster.data(300)
    assert coordinator().training_task(cluster.state, GAME).parent == B


def test_a_run_asks_for_the_cores_that_it_may_use(cluster: Cluster):
    cluster.data(300)
    assert coordinator(threads=3).dispatch_training_job(cluster.state, GAME).cores == 3


def test_a_run_that_the_rows_do_not_allow_cannot_be_ordered_either(cluster: Cluster):
    with pytest.raises(RulesError, match="0 rows allow 0 steps"):
        coordinator().dispatch_training_job(cluster.state, GAME)


def test_the_time_of_the_state_is_no_obstacle(cluster: Cluster):
    cluster.data(300)
    assert coordinator().obstacle(cluster.state, GAME, BEGAN - 1000) is None
