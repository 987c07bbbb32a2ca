"""UnifiedSignalComputer: how a configuration is doing, in a few numbers that decisions and people read."""

from dataclasses import dataclass
from enum import StrEnum

from config.schema import Settings
from managers.state.cluster_state import ClusterState
from managers.state.learners import Learner, NetStatus
from managers.training_coordinator import TrainingCoordinator

STALE_H = 24.0  # of the newest games: nobody plays any more
REGRESSION_ELO = 35.0  # below its predecessor
CANDIDATES_STUCK = 5  # not passed in a row


class Urgency(StrEnum):
    """How much a configuration needs the next training."""

    NONE = "none"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


INTENSITY = {
    Urgency.NONE: 0.5, Urgency.LOW: 0.75, Urgency.NORMAL: 1.0, Urgency.HIGH: 1.5, Urgency.CRITICAL: 2.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a configuration."""

    game: str
    elo: float | None  # of the champion
    elo_margin: float | None  # 95 %
    elo_per_h: float
    freshness_h: float | None  # age of the newest games
    new_games: int
    games_wanted: int
    rows_per_new_row: float  # samples drawn for each row ever made
    stuck: int  # candidates in a row that did not pass
    regression: bool
    urgency: Urgency
    should_train: bool
    reason: str


class UnifiedSignalComputer:
    """Makes signals from the state; pure."""

    def __init__(self, settings: Settings) -> None:
        self._training = TrainingCoordinator(settings)

    def compute_signals(self, state: ClusterState, game: str, now: float) -> Signals:
        """The signals of a configuration."""
        learner = state.learner(game)
        total = learner.total
        least, since = self._training.games_wanted(learner)
        reason = self._training.obstacle(state, game, now)
        rating = rating_of(learner, learner.champion)
        current = learner.nets.get(learner.current or "")
        return Signals(
            game=game,
            elo=None if rating is None else rating[0],
            elo_margin=None if rating is None else rating[1],
            elo_per_h=elo_velocity(learner),
            freshness_h=max(0.0, now - total.newest_at) / 3600 if total.newest_at else None,
            new_games=since,
            games_wanted=least,
            rows_per_new_row=current.samples_total / total.rows if current is not None and total.rows else 0.0,
            stuck=stuck_of(learner),
            regression=_regressed(learner),
            urgency=_urgency(learner, since / least, now),
            should_train=reason is None,
            reason=reason or "enough new games",
        )


def rating_of(learner: Learner, sha256: str | None) -> tuple[float, float] | None:
    """Elo and its 95 % margin as a net is judged, with the gate's search."""
    best = learner.rating(sha256)
    return None if best is None else (best.elo, best.margin)


def elo_velocity(learner: Learner) -> float:
    """Elo per hour between the first and the present champion by their latest ratings; 0 where that is not known."""
    rated = [(reign.at, rating_of(learner, reign.sha256)) for reign in learner.reigns]
    known = [(at, rating[0]) for at, rating in rated if rating is not None]
    if len(known) < 2 or known[-1][0] <= known[0][0]:
        return 0.0
    return (known[-1][1] - known[0][1]) / ((known[-1][0] - known[0][0]) / 3600)


def stuck_of(learner: Learner) -> int:
    """How many candidates in a row did not pass, the latest ones."""
    count = 0
    for net in reversed(learner.nets.values()):
        if net.status is NetStatus.NOT_PASSED:
            count += 1
        elif net.status in {NetStatus.PASSED, NetStatus.PROMOTED}:
            break
    return count


def _regressed(learner: Learner) -> bool:
    """Whether the champion is rated surely below the one before."""
    mine, before = rating_of(learner, learner.champion), rating_of(learner, learner.previous)
    return mine is not None and before is not None and mine[0] + mine[1] + REGRESSION_ELO < before[0] - before[1]


def _urgency(learner: Learner, ready: float, now: float) -> Urgency:
    newest = learner.total.newest_at
    if newest and (now - newest) / 3600 > STALE_H:
        return Urgency.CRITICAL
    if _regressed(learner) or stuck_of(learner) >= CANDIDATES_STUCK:
        return Urgency.HIGH
    if ready >= 1.0:
        return Urgency.NORMAL
    return Urgency.LOW if ready >= 0.5 else Urgency.NONE
