"""How a configuration is doing, in a few numbers."""

import pytest

from managers.signal_computer import (
    INTENSITY,
    Signals,
    UnifiedSignalComputer,
    Urgency,
    elo_velocity,
    rating_of,
    stuck_of,
)
from managers.state.tasks import GateForm, Rating
from tests.unit.managers.deciding import GAME, A, B, C, Cluster, settings_of

NETS = tuple(f"{number:064x}" for number in range(1, 9))


def signals(cluster: Cluster, at: float | None = None) -> Signals:
    settings = settings_of(training={"trigger_threshold_games": 100, "steps": 1, "batch_size": 2})
    return UnifiedSignalComputer(settings).compute_signals(cluster.state, GAME, cluster.now if at is None else at)


def rated(sha256: str, elo: float, margin: float = 10.0, sims: int | None = 64) -> Rating:
    return Rating(sha256=sha256, sims=sims, elo=elo, margin=margin)


def reign(cluster: Cluster, sha256: str, *ratings: Rating) -> None:
    """Train, judge (with ratings) and promote."""
    cluster.candidate(sha256, gate=GateForm())
    cluster.judged(ratings=ratings)
    cluster.promoted(sha256)


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def test_of_nothing_nothing_is_known(cluster: Cluster):
    found = signals(cluster)
    assert (found.elo, found.elo_margin, found.elo_per_h, found.freshness_h) == (None, None, 0.0, None)
    assert (found.new_games, found.games_wanted, found.rows_per_new_row, found.stuck) == (0, 8000, 0.0, 0)
    assert (found.regression, found.urgency, found.should_train) == (False, Urgency.NONE, False)
    assert found.reason == "0 of 8000 new games"


def test_freshness_is_the_age_of_the_newest_games_and_never_negative(cluster: Cluster):
    cluster.data(10)
    assert signals(cluster, cluster.now + 7200).freshness_h == 2.0
    cluster.data(11, newest_at=cluster.now + 5000)
    assert signals(cluster).freshness_h == 0.0


def test_the_rating_of_the_champion_is_that_with_the_search_of_the_gate(cluster: Cluster):
    reign(cluster, A, rated(A, 1300, sims=0), rated(A, 1500, 12, sims=64), rated(B, 1700))
    assert (signals(cluster).elo, signals(cluster).elo_margin) == (1500, 12)
    assert rating_of(cluster.learner(), C) is None
    assert rating_of(cluster.learner(), None) is None


def test_velocity_is_the_gain_from_the_first_to_the_present_champion_per_hour(cluster: Cluster):
    reign(cluster, A, rated(A, 1300))
    assert elo_velocity(cluster.learner()) == 0.0
    cluster.later(7200)
    reign(cluster, B, rated(A, 1300), rated(B, 1500))
    assert elo_velocity(cluster.learner()) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("verdicts", "stuck"),
    [
        ("", 0),
        ("n", 1),
        ("nnn", 3),
        ("nnp", 0),
        ("npn", 1),
        ("nnu", 2),
    ],
)
def test_stuck_counts_the_latest_candidates_that_did_not_pass(cluster: Cluster, verdicts, stuck):
    for sha256, letter in zip(NETS, verdicts, strict=False):
        cluster.candidate(sha256, gate=None if letter == "u" else GateForm())
        if letter != "u":
            cluster.judged("passed" if letter == "p" else "failed")
    assert stuck_of(cluster.learner()) == stuck


@pytest.mark.parametrize(
    ("games", "urgency"), [(49, Urgency.NONE), (50, Urgency.LOW), (99, Urgency.LOW), (100, Urgency.NORMAL)]
)
def test_urgency_grows_with_the_games_that_wait(cluster: Cluster, games, urgency):
    cluster.candidate(A)
    cluster.data(100 + games)
    assert signals(cluster).urgency is urgency
    assert signals(cluster).should_train is (games >= 100)


def test_five_candidates_without_success_are_urgent(cluster: Cluster):
    cluster.data(1)
    for sha256 in NETS[:5]:
        assert signals(cluster).urgency is not Urgency.HIGH
        cluster.candidate(sha256, gate=GateForm())
        cluster.judged("failed")
    assert (signals(cluster).stuck, signals(cluster).urgency) == (5, Urgency.HIGH)


def test_a_configuration_that_nobody_plays_any_more_is_critical(cluster: Cluster):
    cluster.data(1)
    assert signals(cluster, cluster.now + 24 * 3600).urgency is Urgency.NONE
    assert signals(cluster, cluster.now + 25 * 3600).urgency is Urgency.CRITICAL


@pytest.mark.parametrize(("elo", "regression"), [(1500, False), (1450, False), (1400, True)])
def test_a_champion_that_is_surely_below_the_one_before_has_regressed(cluster: Cluster, elo, regression):
    reign(cluster, A, rated(A, 1500))
    reign(cluster, B, rated(A, 1500), rated(B, elo))
    assert signals(cluster).regression is regression
    assert (signals(cluster).urgency is Urgency.HIGH) is regression


def test_the_samples_of_the_current_net_are_set_against_the_rows(cluster: Cluster):
    cluster.candidate(A, samples=3000)
    cluster.data(50)  # 1500 rows
    assert signals(cluster).rows_per_new_row == 2.0


def test_the_more_urgent_the_more_intense():
    values = [INTENSITY[urgency] for urgency in Urgency]
    assert values == sorted(values)
