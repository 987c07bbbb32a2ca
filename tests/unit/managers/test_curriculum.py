"""Weights that follow the verdicts."""

import pytest

from managers.curriculum import curriculum_weights
from managers.state.tasks import GateForm
from tests.unit.managers.deciding import GAME, OTHER, A, B, C, Cluster, settings_of

FORM = {"weight_max": 1.5, "weight_min": 0.7, "ema_alpha": 0.3, "rebalance_seconds": 3600}


def weight(cluster: Cluster, at: float, **changes: object) -> float:
    return curriculum_weights(cluster.state, settings_of(GAME, OTHER, curriculum=FORM | changes), at)[GAME]


def judged(*verdicts: str) -> Cluster:
    cluster = Cluster()
    cluster.node()
    for sha256, verdict in zip((A, B, C), verdicts, strict=False):
        cluster.candidate(sha256, gate=GateForm())
        cluster.judged(verdict)
    return cluster


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), 1.0),
        (("passed",), 1.0 + 0.3 * 0.5),
        (("failed",), 1.0 - 0.3 * 0.3),
        (("undecided",), 1.0 - 0.3 * 0.3),
        (("passed", "failed"), 1.15 + 0.3 * (0.7 - 1.15)),
    ],
)
def test_every_verdict_moves_the_weight_towards_its_end(verdicts, expected):
    cluster = judged(*verdicts)
    assert weight(cluster, cluster.now + 7200) == pytest.approx(expected)


def test_other_configurations_stay_where_they_are():
    cluster = judged("passed")
    weights = curriculum_weights(cluster.state, settings_of(GAME, OTHER, curriculum=FORM), cluster.now + 7200)
    assert weights[OTHER] == 1.0


def test_weights_stay_within_their_bounds():
    cluster = judged("passed", "passed", "passed")
    assert weight(cluster, cluster.now + 7200, ema_alpha=1.0) == 1.5
    cluster = judged("failed", "failed", "failed")
    assert weight(cluster, cluster.now + 7200, ema_alpha=1.0) == 0.7


def test_a_verdict_counts_from_the_next_rebalancing_on():
    cluster = judged("passed")
    begun = cluster.now - cluster.now % 3600
    assert begun < cluster.now
    assert weight(cluster, begun + 3599) == 1.0
    assert weight(cluster, begun + 3600) > 1.0


def test_who_waits_for_a_verdict_counts_for_nothing():
    cluster = Cluster()
    cluster.node()
    cluster.candidate(A, gate=GateForm())
    assert weight(cluster, cluster.now + 7200) == 1.0


def test_where_it_is_not_wished_every_weight_is_one():
    cluster = judged("passed")
    assert weight(cluster, cluster.now + 7200, adaptive=False) == 1.0
