"""When the production net is taken back: a sequential test that may be looked at every hour (docs/design/registry.md).

H0: the net lost no more than the thresholds allow. It is rejected by wagers (wager.py), so all looks together are wrong
with a probability of at most 1 % in 30 days, also when the loss is exactly at a threshold. Two tests share that: one
over the whole reign, which also asks that the last window is bad, and one over every window of
`elo_drop_window_hours`, begun every half window. Evidence of a window ends with it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.odds import share_after_drop
from ringrift_core.registry.canary import (
    HOUR_S,
    Baseline,
    CanaryBlock,
    JobReport,
    Observations,
    Scores,
    estimated_drop_elo,
    job_scores,
    strength_scores,
)
from ringrift_core.registry.wager import HALVINGS, FloatArray, log_capital, log_evidence

__all__ = [
    "Action", "Baseline", "CanaryBlock", "JobReport", "Observations", "RollbackDecision", "RollbackPolicy",
    "RollbackStatistics", "RollbackThresholds", "Trigger",
]  # fmt: skip

MONTH_H = 720.0  # the time in which at most 1 % of sound nets are taken back
ROLLBACKS_MAX = 2  # automatic ones in DAY; then a person is called
DAY = timedelta(hours=24)
ELO_MOST = 2000.0  # drops are looked for between minus and plus this
CLAIM_LEAST = 1e-9  # claims stay within (0, 1)


@dataclass(frozen=True, slots=True)
class Budget:
    """Probabilities of a false trigger: over the whole reign, and over all windows begun in a month."""

    reign: float
    month: float


STRENGTH = Budget(reign=0.005, month=0.003)
ERRORS = Budget(reign=0.001, month=0.0005)
ALPHA_BASELINES = 0.0005  # that a baseline's lower bound is wrong; with the others 1 %


@dataclass(frozen=True, slots=True)
class RollbackThresholds:
    """What a net may lose; RulesError for values that mean nothing."""

    elo_drop_threshold: float = 50.0  # Elo points
    elo_drop_window_hours: float = 24.0
    win_rate_drop_threshold: float = 0.10  # of the share of first places; with 50 Elo it never speaks first
    error_rate_threshold: float = 0.05  # of the games
    min_games_for_evaluation: int = 50
    settling_seconds: float = 120.0  # after an install nothing is decided: caches and jobs are still those of before

    def __post_init__(self) -> None:
        if not 0 <= self.elo_drop_threshold <= ELO_MOST / 2:
            raise RulesError(f"elo_drop_threshold must be 0 .. {ELO_MOST / 2:.0f}")
        if not 1 <= self.elo_drop_window_hours <= MONTH_H:
            raise RulesError(f"elo_drop_window_hours must be 1 .. {MONTH_H:.0f}")
        if not (0 < self.win_rate_drop_threshold < 1 and 0 < self.error_rate_threshold < 1):
            raise RulesError("win_rate_drop_threshold and error_rate_threshold must be between 0 and 1")
        if not 0 <= self.settling_seconds <= DAY.total_seconds():
            raise RulesError("settling_seconds must be 0 .. 86400")
        if self.min_games_for_evaluation < 1:
            raise RulesError("min_games_for_evaluation must be at least 1: nothing is decided without games")

    def claimed_share(self, expected: FloatArray) -> FloatArray:
        """The lowest share [n] at which no threshold is exceeded, for baseline shares [n]."""
        by_elo = share_after_drop(expected, self.elo_drop_threshold)
        return np.maximum(by_elo, expected - self.win_rate_drop_threshold)

    def claimed_success(self, expected: FloatArray) -> FloatArray:
        """The lowest share [n] of games that do not fail, where `expected` [n] do not."""
        return expected - self.error_rate_threshold


class Trigger(StrEnum):
    """What called for a rollback; the label of the metric."""

    MANUAL = "manual"
    AUTO_ELO = "auto_elo"
    AUTO_ERROR = "auto_error"


class Action(Enum):
    """What to do now."""

    KEEP = "keep"
    ROLL_BACK = "roll_back"
    HALT = "halt"  # a rollback is called for and cannot help: stop automatic ones, alert a person


@dataclass(frozen=True, slots=True)
class RollbackStatistics:
    """What was seen; bounds are lower ones of the test that says most, None before it has its least games."""

    games: int = 0
    share: float | None = None
    expected_share: float | None = None  # mean of the baselines
    drop_elo: float | None = None  # the estimate
    drop_bound_elo: float | None = None
    drop_bound_share: float | None = None
    error_games: int = 0
    error_rate: float | None = None
    error_bound: float | None = None


@dataclass(frozen=True, slots=True)
class RollbackDecision:
    """What to do, why, and what it rests on."""

    action: Action
    trigger: Trigger | None
    reason: str
    bound: float | None  # of what triggered: Elo points or share of failed games
    statistics: RollbackStatistics

    @property
    def should(self) -> bool:
        """Whether to roll back now."""
        return self.action is Action.ROLL_BACK


@dataclass(frozen=True, slots=True)
class Span:
    """One of the tests that run at a moment."""

    name: str
    start_h: float  # hours since the install
    alpha: float
    recent: bool  # the last window must be bad too


def spans_at(now_h: float, window_h: float, budget: Budget) -> Iterator[Span]:
    """The tests so many hours after the install: the reign, and the one or two windows that are open."""
    yield Span("since the install", -math.inf, budget.reign, recent=True)
    step_h = window_h / 2
    alpha = budget.month * step_h / MONTH_H
    last = math.floor(now_h / step_h)
    for number in (last - 1, last):
        if number >= 1 and number * step_h < now_h:  # the window from the install on is part of the reign
            yield Span(f"of a window of {window_h:g} h", number * step_h, alpha, recent=False)


class RollbackPolicy:
    """Decides about rollbacks; pure: the same observations at the same moment give the same decision."""

    def __init__(self, thresholds: RollbackThresholds | None = None) -> None:
        self.thresholds = RollbackThresholds() if thresholds is None else thresholds

    def should_rollback(self, seen: Observations, now: datetime) -> RollbackDecision:
        """The decision at `now`. Give every observation since the install; later ones than `now` do not count yet."""
        if now.tzinfo is None:
            raise RulesError("a time needs a time zone")
        if (now - seen.installed_at).total_seconds() < self.thresholds.settling_seconds:
            why = f"installed less than {self.thresholds.settling_seconds:g} seconds ago"
            return RollbackDecision(Action.KEEP, None, why, None, RollbackStatistics())
        now_h = (now - seen.installed_at).total_seconds() / HOUR_S
        limits = self.thresholds
        strength = _Evidence.of(strength_scores(seen, ALPHA_BASELINES), now_h, limits, STRENGTH, limits.claimed_share)
        errors = _Evidence.of(job_scores(seen), now_h, limits, ERRORS, limits.claimed_success)
        found = _statistics(strength, errors)
        if errors.rejecting:
            trigger, bound = Trigger.AUTO_ERROR, found.error_bound
            reason = (
                f"{found.error_rate:.1%} of {found.error_games} games failed, surely more than "
                f"{limits.error_rate_threshold:.1%} by the test {errors.rejecting}"
            )
        elif strength.rejecting:
            trigger, bound = Trigger.AUTO_ELO, found.drop_bound_elo
            reason = (
                f"about {found.drop_elo:.0f} Elo lost by {found.games} games, surely more than "
                f"{limits.elo_drop_threshold:g} Elo or {limits.win_rate_drop_threshold:.1%} of the games by the test "
                f"{strength.rejecting}"
            )
        else:
            return RollbackDecision(Action.KEEP, None, self._why_kept(found), None, found)
        return _restrained(seen, now, RollbackDecision(Action.ROLL_BACK, trigger, reason, bound, found))

    def manual(self, reason: str) -> RollbackDecision:
        """A rollback that a person asks for; nothing restrains it. RulesError without a reason."""
        if not reason.strip():
            raise RulesError("a manual rollback needs a reason")
        return RollbackDecision(Action.ROLL_BACK, Trigger.MANUAL, reason, None, RollbackStatistics())

    def _why_kept(self, found: RollbackStatistics) -> str:
        least = self.thresholds.min_games_for_evaluation
        if found.games < least and found.error_games < least:
            return f"{found.games} canary games and {found.error_games} games of jobs, {least} are needed"
        return "no threshold is exceeded beyond doubt"


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Observations up to a moment, the tests over them, the claim that they test."""

    seen: Scores
    now_h: float
    window_h: float
    claim: Callable[[FloatArray], FloatArray]  # the least mean [n] that the thresholds allow, for baselines [n]
    spans: tuple[Span, ...]  # those with their least number of games

    @staticmethod
    def of(
        scores: Scores,
        now_h: float,
        thresholds: RollbackThresholds,
        budget: Budget,
        claim: Callable[[FloatArray], FloatArray],
    ) -> "_Evidence":
        seen = scores.between(0.0, now_h)
        spans = tuple(
            span
            for span in spans_at(now_h, thresholds.elo_drop_window_hours, budget)
            if seen.between(span.start_h, now_h).games.sum() >= thresholds.min_games_for_evaluation
        )
        return _Evidence(seen, now_h, thresholds.elo_drop_window_hours, claim, spans)

    @property
    def rejecting(self) -> str:
        """The names of the tests that reject the claim, "" for none."""
        return " and ".join(span.name for span in self.spans if self._rejects(span))

    def _rejects(self, span: Span) -> bool:
        if span.recent:
            last = self.seen.between(self.now_h - self.window_h, self.now_h)
            above = last.scores - self.claim(last.expected)
            if above.sum() >= 0 and (above * (1 - last.measured)).sum() >= 0:
                return False
        return _Kinds.of(self._of(span)).log_evidence(self.claim) >= -math.log(span.alpha)

    def bound(self, after: Callable[[FloatArray, float], FloatArray], most: float) -> float | None:
        """The largest drop, within -most .. most, that a test rejects; None without a test or any rejected drop."""
        found = [_bound(self._of(span), span.alpha, after, most) for span in self.spans]
        return max((bound for bound in found if bound is not None), default=None)

    def _of(self, span: Span) -> Scores:
        return self.seen.between(span.start_h, self.now_h)


def _statistics(strength: _Evidence, errors: _Evidence) -> RollbackStatistics:
    blocks, jobs = strength.seen, errors.seen
    any_blocks, any_jobs = len(blocks.scores) > 0, len(jobs.scores) > 0
    return RollbackStatistics(
        games=int(blocks.games.sum()),
        share=float(blocks.scores.mean()) if any_blocks else None,
        expected_share=float(blocks.expected.mean()) if any_blocks else None,
        drop_elo=estimated_drop_elo(blocks, ELO_MOST),
        drop_bound_elo=strength.bound(share_after_drop, ELO_MOST),
        drop_bound_share=strength.bound(np.subtract, 1.0),
        error_games=int(jobs.games.sum()),
        error_rate=float(((1 - jobs.scores) * jobs.games).sum() / jobs.games.sum()) if any_jobs else None,
        error_bound=errors.bound(np.subtract, 1.0),
    )


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The different scores of a test, [kinds], and how often each came."""

    expected: FloatArray
    scores: FloatArray
    measured: FloatArray
    counts: FloatArray

    @staticmethod
    def of(seen: Scores) -> "_Kinds":
        kinds, counts = np.unique(np.stack([seen.expected, seen.scores, seen.measured]), axis=1, return_counts=True)
        return _Kinds(kinds[0], kinds[1], kinds[2], counts.astype(np.float64))

    def log_evidence(self, claim: Callable[[FloatArray], FloatArray]) -> float:
        """Half of the money is staked on all scores, half on those whose baseline was not measured.

        A measured baseline counts with its lower bound, which may hide a drop; such games must not drown the others.
        """
        claimed = np.clip(claim(self.expected), CLAIM_LEAST, 1 - CLAIM_LEAST)
        exact = self.counts * (1 - self.measured)
        capitals = [log_capital(claimed, self.scores, chosen) for chosen in (self.counts, exact)]
        return float(log_evidence(np.concatenate(capitals, axis=-1)))


def _bound(seen: Scores, alpha: float, after: Callable[[FloatArray, float], FloatArray], most: float) -> float | None:
    """By halving: evidence falls as the claimed drop grows."""
    kinds = _Kinds.of(seen)

    def rejected(drop: float) -> bool:
        return kinds.log_evidence(lambda expected: after(expected, drop)) >= -math.log(alpha)

    low, high = -most, most
    if not rejected(low):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def _restrained(seen: Observations, now: datetime, wanted: RollbackDecision) -> RollbackDecision:
    """A wanted rollback, or a halt where it cannot help."""
    recent = sum(timedelta(0) <= now - at < DAY for at in seen.rollbacks)
    if recent >= ROLLBACKS_MAX:
        reason = f"{recent} rollbacks in the last 24 hours did not help; {wanted.reason}"
    elif seen.previous is None:
        reason = f"there is nothing to roll back to; {wanted.reason}"
    else:
        return wanted
    return RollbackDecision(Action.HALT, wanted.trigger, reason, wanted.bound, wanted.statistics)
