"""A sequential test of a candidate's share of wins, over blocks of games.

A block is one opening played once in every seat rotation; the candidate wins k of its P games. The games of a block
depend on one another in ways nobody knows, so the test asks of blocks only that their mean share k / P is at most h0
(H0) or at least h1 (H1), and holds its error rates for every distribution of k with such a mean.

Two gamblers play against the hypotheses. The one who doubts H0 stakes a fraction f of his wealth on each block: a block
of share x multiplies it by 1 - f + f * x / h0. While the mean is at most h0 no such factor has a mean above 1, so his
wealth is a non-negative supermartingale and ever reaches 1 / alpha with a probability of at most alpha (Ville 1939),
however often somebody looks and however few the losses are: no pseudo-counts, no least number of blocks. The one who
doubts H1 stakes on losses in the same way. For single games and f = (h1 - h0) / (1 - h0) the first is Wald's likelihood
ratio and the second its inverse; the generalised test of fishtest is the pair with f chosen in hindsight, whose error
rates only simulation vouches for, and in its normal approximation they do not hold where losses are few.

Each gambler divides his wealth among four fractions, each the best (Kelly) against one alternative of mean h1 or more:
games of an opening independent, some openings decided alike in all their games, all openings so, a candidate better by
the same odds again. The third makes the test end for certain: log is concave, so under any distribution of mean h1 its
wealth grows by at least kl(h1, h0) a block. What the test needs in games: docs/design/evaluation.md.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import comb, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ringrift_core.errors import RulesError

FloatArray = NDArray[np.float64]
WEIGHTS = np.array([0.6, 0.2, 0.1, 0.1])  # of the wealth: independent, some alike, all alike, better again
ALIKE = 0.4  # of the openings, where some are decided alike
FRACTION_MAX = 0.99  # a block without a win leaves one hundredth, so that no wealth is ever lost for good
HALVINGS = 50  # of [0, FRACTION_MAX] until rounding stops them
GAMES_MAX = 4  # of a block: one per seat rotation


class Outcome(StrEnum):
    """What a test says."""

    PASSED = "passed"  # a share of h0 or less is disproved
    FAILED = "failed"  # a share of h1 or more is disproved
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Sprt:
    """The test of a share of at most h0 against one of at least h1; RulesError for what is no test.

    At a share of h0 or less it ever says PASSED with a probability of at most alpha, at h1 or more FAILED with at most
    beta, whenever it is looked at.
    """

    h0: float  # share of its games that the candidate wins, mean of k / P over openings
    h1: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.h0 < self.h1 < 1 and 1 - self.h1 < 1 - self.h0 < 1):  # the second: as rounded
            raise RulesError(f"a test needs 0 < h0 < h1 < 1, not h0 = {self.h0} and h1 = {self.h1}")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise RulesError(f"a test needs error rates between 0 and 0.5, not {self.alpha} and {self.beta}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The log ratios at which the test ends: (log beta, log 1 / alpha)."""
        return log(self.beta), -log(self.alpha)

    def llr(self, counts: Sequence[int]) -> float:
        """Log of the wealth of the gambler nearer his end, negated where he doubts H1; 0 while neither has gained.

        counts[k]: blocks in which the candidate won k of P games, [P + 1], P = 1..4; RulesError for anything else.
        """
        return float(self.llrs(_checked(counts)))

    def llrs(self, counts: ArrayLike) -> FloatArray:
        """The same for many tests at once: counts [..., P + 1], unchecked, to [...]."""
        blocks = np.asarray(counts, np.float64)
        games = blocks.shape[-1] - 1
        won = _log_wealth(_factors(self.h0, self.h1, games), blocks)
        lost = _log_wealth(_factors(1 - self.h1, 1 - self.h0, games), blocks[..., ::-1])
        low, high = self.bounds
        llrs = np.where(won / high >= lost / -low, np.maximum(won, 0.0), np.minimum(-lost, 0.0))
        return np.asarray(llrs, np.float64)

    def outcome(self, counts: Sequence[int]) -> Outcome:
        """What the test says after these blocks (as in `llr`)."""
        low, high = self.bounds
        llr = self.llr(counts)
        if llr >= high:
            return Outcome.PASSED
        return Outcome.FAILED if llr <= low else Outcome.UNDECIDED


def _checked(counts: Sequence[int]) -> Sequence[int]:
    if not 2 <= len(counts) <= GAMES_MAX + 1:
        raise RulesError(f"blocks of 1 to {GAMES_MAX} games have 2 to {GAMES_MAX + 1} outcomes, not {len(counts)}")
    try:
        blocks = [operator.index(count) for count in counts]
    except TypeError:
        raise RulesError(f"counts of blocks are whole numbers, not {counts}") from None
    if min(blocks) < 0:
        raise RulesError(f"counts of blocks are not negative: {blocks}")
    return blocks


def _log_wealth(factors: FloatArray, blocks: FloatArray) -> FloatArray:
    """Log of the wealth after blocks [..., P + 1] with factors [fractions, P + 1]: [...]."""
    logs = np.stack([blocks @ row for row in np.log(factors)])
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.tensordot(WEIGHTS, np.exp(logs - top), axes=1)), np.float64)


@lru_cache(maxsize=256)
def _factors(h0: float, h1: float, games: int) -> FloatArray:
    """By how much a block of k wins multiplies what is staked at each fraction, [fractions, P + 1]."""
    wins = np.arange(games + 1)
    odds = h1 / (1 - h1)
    again = odds * odds * (1 - h0) / h0
    shares = (h1, again / (1 + again))
    ways = np.array([comb(games, count) for count in wins])
    free, better = (ways * share**wins * (1 - share) ** (games - wins) for share in shares)
    alike = np.where(wins == games, h1, 0.0) + np.where(wins == 0, 1 - h1, 0.0)
    gains = wins / (games * h0) - 1
    alternatives = (free, (1 - ALIKE) * free + ALIKE * alike, alike, better)
    return np.array([1 + _best_fraction(gains, chances) * gains for chances in alternatives])


def _best_fraction(gains: FloatArray, chances: FloatArray) -> float:
    """The fraction under which wealth grows fastest when a stake gains gains[k] with chances[k], [P + 1]."""

    def growth(fraction: float) -> float:
        return float((chances * gains / (1 + fraction * gains)).sum())

    if growth(FRACTION_MAX) >= 0:
        return FRACTION_MAX
    if growth(0.0) <= 0:  # shares that rounding cannot tell apart
        return 0.0
    low, high = 0.0, FRACTION_MAX
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) > 0 else (low, middle)
    return low
