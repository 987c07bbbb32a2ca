"""How well a share of wins is known: intervals for reports, never for decisions (those are a test's, sprt.py).

An interval is for a number of games fixed beforehand; after a test that stopped early it is too narrow.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.stats import beta, t

from ringrift_core.errors import RulesError

CONFIDENCE = 0.95
Z = 1.959964  # quantile of the normal distribution for it, two-sided


def clopper_pearson(won: int, games: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a share, `won` of `games` independent games; RulesError without any game."""
    if not 0 <= won <= games or games < 1:
        raise RulesError(f"no share: {won} of {games} games")
    if not 0 < confidence < 1:
        raise RulesError(f"a confidence lies between 0 and 1, not {confidence}")
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, won, games - won + 1)) if won else 0.0
    high = float(beta.ppf(1 - tail, won + 1, games - won)) if won < games else 1.0
    return low, high


def block_interval(counts: Sequence[int]) -> tuple[float, float]:
    """95 % interval of the mean share of wins, two-sided, from counts[k] blocks with k of P games won, [P + 1].

    Wilson's interval for as many independent games as the blocks are worth: all of them divided by the design effect,
    the variance of the block shares over that of independent games. The effect is kept in 1..P, so that the interval is
    never narrower than for independent games nor of no width; where all games ended alike nothing tells how much those
    of a block depend on one another, and a block counts as one game. Student's quantile pays for the estimate.
    """
    blocks = np.array(counts, np.float64)
    games, number = len(blocks) - 1, float(blocks.sum())
    if games < 1 or number < 1 or blocks.min() < 0:
        raise RulesError(f"no share: counts of blocks {list(counts)}")
    shares = np.arange(games + 1) / games
    mean = float(blocks @ shares) / number
    effect = float(games)
    if number > 1 and 0 < mean < 1:
        variance = float(blocks @ (shares - mean) ** 2) / (number - 1)
        effect = min(max(1.0, variance / (mean * (1 - mean) / games)), games)
    worth = number * games / effect
    square = float(t.ppf((1 + CONFIDENCE) / 2, max(number - 1, 1))) ** 2
    middle = (mean + square / (2 * worth)) / (1 + square / worth)
    half = sqrt(square * (mean * (1 - mean) / worth + square / (4 * worth * worth))) / (1 + square / worth)
    return max(0.0, middle - half), min(1.0, middle + half)
