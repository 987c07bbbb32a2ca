"""Curriculum weights: a configuration that is learning gets more games, one that stands still fewer.

Derived from the state whenever somebody asks, so there is nothing to keep or to lose: every verdict of a gauntlet moves
the weight towards its largest (promoted, passed) or smallest value (not passed) by an exponential average.
"""

from collections.abc import Mapping

from config.schema import Settings
from managers.state.cluster_state import ClusterState
from managers.state.learners import Learner, NetStatus

GOOD = frozenset({NetStatus.PASSED, NetStatus.PROMOTED})
BAD = frozenset({NetStatus.NOT_PASSED, NetStatus.ROLLED_BACK})


def curriculum_weights(state: ClusterState, settings: Settings, now: float) -> Mapping[str, float]:
    """The weight of each configuration."""
    return {game: curriculum_weight(state.learner(game), settings, now) for game in settings.games}


def curriculum_weight(learner: Learner, settings: Settings, now: float) -> float:
    """The weight of one; what was judged of a net counts from the first rebalancing after the net was made."""
    form, weight = settings.curriculum, 1.0
    if not form.adaptive:
        return weight
    settled = now - now % form.rebalance_seconds
    for net in learner.nets.values():
        if net.at > settled or net.status not in GOOD | BAD:
            continue
        aim = form.weight_max if net.status in GOOD else form.weight_min
        weight += form.ema_alpha * (aim - weight)
    return weight
