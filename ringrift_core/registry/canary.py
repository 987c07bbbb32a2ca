"""What is observed of the production net: blocks of canary games, reports of jobs, baselines, and their sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.odds import share_after_drop
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.wager import FloatArray, lowest_credible_mean

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class CanaryBlock:
    """A block of games (one opening, every rotation) of the production net against copies of one opponent."""

    model: str  # sha256 of the net that was judged
    at: datetime  # when its last game ended
    opponent: str  # sha256, or the name that its baseline has
    won: int  # first places of the net among the block's games, one game a player


@dataclass(frozen=True, slots=True)
class JobReport:
    """Games of one job with the production net, how many failed. They may fail together: a job is one observation."""

    model: str
    at: datetime
    games: int
    failed: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was measured against an opponent when the net was promoted."""

    opponent: str
    blocks: tuple[int, ...]  # in how many blocks the net won 0, 1, .. P games, [P + 1]


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything the policy looks at. RulesError for what cannot be. What other nets did is left out of account."""

    key: ConfigKey
    production: str  # sha256
    previous: str | None  # sha256 of what a rollback would install; its baseline is the fair share, if none is given
    installed_at: datetime
    baselines: tuple[Baseline, ...] = ()
    blocks: tuple[CanaryBlock, ...] = ()
    jobs: tuple[JobReport, ...] = ()
    rollbacks: tuple[datetime, ...] = ()  # automatic ones of this configuration, in any order

    def __post_init__(self) -> None:
        seen = [block.at for block in self.blocks] + [job.at for job in self.jobs]
        times = (self.installed_at, *self.rollbacks, *seen)
        if any(at.tzinfo is None for at in times):
            raise RulesError("a time needs a time zone")
        known = {self.previous, *(baseline.opponent for baseline in self.baselines)}
        for block in self.blocks:
            if not 0 <= block.won <= self.key.players:
                raise RulesError(f"a block of {self.key} has 0 to {self.key.players} won games, not {block.won}")
            if block.opponent not in known:
                raise RulesError(f"there is no baseline for the opponent {block.opponent[:80]!r}")
        for baseline in self.baselines:
            if len(baseline.blocks) != self.key.players + 1 or min(baseline.blocks) < 0 or not any(baseline.blocks):
                raise RulesError(f"the baseline for {baseline.opponent[:80]!r} counts no blocks of {self.key}")
        if any(not 0 <= job.failed <= job.games or not job.games for job in self.jobs):
            raise RulesError("a job has at least one game, and 0 to all of them fail")


@dataclass(frozen=True, slots=True)
class Scores:
    """Observations as arrays [n]: when, how good, how good before and how that is known, of how many games."""

    hours: FloatArray  # since the install
    scores: FloatArray  # shares, 0 .. 1
    expected: FloatArray  # baseline shares
    measured: FloatArray  # 1 where the baseline is the lower bound of a measurement, 0 where it is exact
    games: FloatArray

    def between(self, start_h: float, end_h: float) -> "Scores":
        """What was seen in the hours after `start_h`, up to and with `end_h`."""
        chosen = (self.hours > start_h) & (self.hours <= end_h)
        return Scores(
            self.hours[chosen],
            self.scores[chosen],
            self.expected[chosen],
            self.measured[chosen],
            self.games[chosen],
        )


def strength_scores(seen: Observations, alpha: float) -> Scores:
    """Blocks as shares of won games; measured baselines count with their lower bounds, all right but with alpha."""
    expected = baseline_shares(seen, alpha)
    measured = {baseline.opponent for baseline in seen.baselines}
    players = seen.key.players
    blocks = [block for block in seen.blocks if block.model == seen.production]
    return Scores(
        _hours(seen, [block.at for block in blocks]),
        np.array([block.won / players for block in blocks], np.float64),
        np.array([expected[block.opponent] for block in blocks], np.float64),
        np.array([block.opponent in measured for block in blocks], np.float64),
        np.full(len(blocks), players, np.float64),
    )


def job_scores(seen: Observations) -> Scores:
    """Jobs as shares of games that did not fail; all of them are expected not to."""
    jobs = [job for job in seen.jobs if job.model == seen.production]
    return Scores(
        _hours(seen, [job.at for job in jobs]),
        np.array([1 - job.failed / job.games for job in jobs], np.float64),
        np.ones(len(jobs)),
        np.zeros(len(jobs)),
        np.array([job.games for job in jobs], np.float64),
    )


def baseline_shares(seen: Observations, alpha: float) -> Mapping[str, float]:
    """The share that the net is held to against each opponent."""
    shares = {} if seen.previous is None else {seen.previous: 1 / seen.key.players}
    for baseline in seen.baselines:
        shares[baseline.opponent] = float(lowest_credible_mean(baseline.blocks, alpha / len(seen.baselines)))
    return shares


def estimated_drop_elo(seen: Scores, most: float) -> float | None:
    """The drop that would explain the mean score, within -most .. most; None where nothing was seen."""
    if not len(seen.scores):
        return None
    low, high = -most, most
    while high - low > 0.1:
        middle = (low + high) / 2
        if share_after_drop(seen.expected, middle).mean() > seen.scores.mean():
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _hours(seen: Observations, times: Sequence[datetime]) -> FloatArray:
    return np.array([(at - seen.installed_at).total_seconds() / HOUR_S for at in times], np.float64)
