"""The champion meets those it is held to."""

import pytest

from managers.shadow_tournament import ShadowTournament, opponents_of
from managers.state.commands import AddNet, Cancel, Enqueue, Promote
from managers.state.tasks import CanaryTask
from tests.unit.managers.deciding import GAME, A, B, C, Cluster, blocks_of, settings_of

EVALUATION: dict[str, float] = {"shadow_games_per_config": 15, "proving_games": 64, "shadow_interval_seconds": 300}


def tournament(game: str = GAME, **evaluation: float) -> ShadowTournament:
    return ShadowTournament(settings_of(game, evaluation=EVALUATION | evaluation))


def due(cluster: Cluster, decider: ShadowTournament | None = None) -> CanaryTask | None:
    """The canary that is queued now."""
    tasks = [
        body.task
        for body in (decider or tournament()).decide(cluster.state, cluster.now).bodies
        if isinstance(body, Enqueue) and isinstance(body.task, CanaryTask)
    ]
    assert len(tasks) <= 1
    return tasks[0] if tasks else None


def played(cluster: Cluster, blocks: int) -> None:
    """Queue what is due and play it, with so many blocks."""
    cluster.follow(tournament().decide(cluster.state, cluster.now))
    (job,) = cluster.state.jobs.of(GAME, "canary")
    cluster.done(job.id, blocks_of((1,) * blocks))


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def test_without_a_champion_nobody_is_watched(cluster: Cluster):
    cluster.candidate(A)
    assert due(cluster) is None


def test_a_first_champion_is_held_to_the_heuristic(cluster: Cluster):
    cluster.crowned(A)
    task = due(cluster)
    assert task is not None
    assert (task.model, task.opponents, task.games, task.number) == (A, ("heuristic",), 64, 0)


def test_a_later_champion_is_held_to_the_one_before_and_to_the_heuristic(cluster: Cluster):
    cluster.crowned(A)
    cluster.crowned(B)
    assert opponents_of(cluster.learner()) == (A, "heuristic")


def test_a_champion_that_was_measured_against_nobody_is_held_to_nobody(cluster: Cluster):
    cluster.do(AddNet(game=GAME, sha256=C, size_bytes=1, version=1, parent=None))
    cluster.do(Promote(game=GAME, candidate=C, expected=None, how="manual", reason="a person"))
    assert due(cluster) is None


@pytest.mark.parametrize(("game", "proving", "later"), [("hex8_2p", 64, 16), ("hex8_3p", 66, 15), ("hex8_4p", 64, 16)])
def test_games_come_in_whole_blocks_first_all_that_prove_a_champion_then_those_of_a_tournament(
    cluster: Cluster, game, proving, later
):
    cluster.crowned(A, game)
    decider = tournament(game)
    (job,) = cluster.follow(decider.decide(cluster.state, cluster.now))
    assert isinstance(job.task, CanaryTask)
    assert job.task.games == proving
    cluster.done(job.id, blocks_of((1,) * 32))
    cluster.later(300)
    task = due(cluster, decider)
    assert task is not None
    assert task.games == later


def test_the_games_that_prove_a_champion_are_shared_by_its_opponents_and_what_is_missing_comes_next(cluster: Cluster):
    cluster.crowned(A)
    cluster.crowned(B)
    task = due(cluster)
    assert task is not None
    assert (len(task.opponents), task.games) == (2, 32)
    played(cluster, 10)  # 20 games of 64
    task = due(cluster)
    assert task is not None
    assert task.games == 22


def test_one_at_a_time(cluster: Cluster):
    cluster.crowned(A)
    cluster.follow(tournament().decide(cluster.state, cluster.now))
    assert due(cluster) is None


def test_a_new_champion_plays_on_until_it_has_proven_itself_then_at_intervals(cluster: Cluster):
    cluster.crowned(A)
    for _ in range(4):
        assert due(cluster) is not None
        played(cluster, 8)  # 16 games
    decision = tournament().decide(cluster.state, cluster.now + 100)
    assert decision.bodies == ()
    assert [wait.why for wait in decision.waits] == ["the next shadow tournament begins in 200 s"]
    cluster.later(300)
    assert due(cluster) is not None


def test_a_new_reign_begins_with_proving_again(cluster: Cluster):
    cluster.crowned(A)
    for _ in range(4):
        played(cluster, 8)
    cluster.crowned(B)
    assert due(cluster) is not None


def test_each_has_openings_of_its_own_and_a_reign_has_its_seed(cluster: Cluster):
    cluster.crowned(A)
    first = due(cluster)
    played(cluster, 8)
    second = due(cluster)
    assert first is not None
    assert second is not None
    assert (first.number, second.number, first.seed == second.seed) == (0, 1, True)
    cluster.crowned(B)
    third = due(cluster)
    assert third is not None
    assert (third.number, third.seed != first.seed) == (0, True)


def test_one_that_fails_is_followed_by_a_pause(cluster: Cluster):
    cluster.crowned(A)
    cluster.follow(tournament().decide(cluster.state, cluster.now))
    cluster.failed(cluster.state.jobs.of(GAME, "canary")[0].id, "no such net")
    decision = tournament().decide(cluster.state, cluster.now)
    assert [wait.why for wait in decision.waits] == ["failed (no such net); tried again in 60 s"]
    cluster.later(60)
    assert due(cluster) is not None


def test_one_of_a_former_champion_ends_and_makes_way_for_the_new_one(cluster: Cluster):
    cluster.crowned(A)
    cluster.follow(tournament().decide(cluster.state, cluster.now))
    (old,) = cluster.state.jobs.of(GAME, "canary")
    cluster.crowned(B)
    decision = tournament().decide(cluster.state, cluster.now)
    assert decision.bodies == (Cancel(job=old.id, reason="whom it watches is not champion any more"),)
    cluster.follow(decision)
    task = due(cluster)
    assert task is not None
    assert task.model == B
