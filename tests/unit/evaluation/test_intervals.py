"""Intervals for reports: exact ones for games, honest ones for blocks."""

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import block_interval, clopper_pearson


def test_clopper_pearson_to_the_digit():
    """Won all: 0.025^(1/n); the middle one is R's binom.test(47, 50)."""
    assert clopper_pearson(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert clopper_pearson(47, 50) == pytest.approx((0.8345, 0.9875), abs=1e-4)
    assert clopper_pearson(0, 20, 0.9) == pytest.approx((0.0, 1 - 0.05**0.05))


@pytest.mark.parametrize("wrong", [(0, 0), (3, 2), (-1, 5), (1, 2, 1.0), (1, 2, float("nan"))])
def test_no_interval_without_games(wrong):
    with pytest.raises(RulesError):
        clopper_pearson(*wrong)


@pytest.mark.parametrize("wrong", [[], [5], [0, 0, 0], [1, -1, 3]])
def test_no_interval_without_blocks(wrong):
    with pytest.raises(RulesError):
        block_interval(wrong)


def test_all_wins_leave_a_doubt_that_shrinks():
    lows = [block_interval([0, 0, blocks])[0] for blocks in (1, 5, 25, 500)]
    assert lows == sorted(lows)
    assert lows[0] < 0.05
    assert [round(low, 3) for low in lows[2:]] == [0.854, 0.992]
    assert block_interval([0, 0, 25])[1] == 1.0


def test_games_decided_alike_are_worth_one_a_block():
    low, high = block_interval([100, 0, 100])
    free_low, free_high = block_interval([50, 100, 50])
    assert (high - low) / (free_high - free_low) == pytest.approx(2**0.5, rel=0.01)
    assert low + high == pytest.approx(1.0)


def test_split_blocks_leave_the_doubt_of_independent_games():
    low, high = block_interval([0, 100, 0])
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 200) ** 0.5, rel=0.03)


@pytest.mark.parametrize(
    "chances", [[0.25, 0.5, 0.25], [0.5, 0, 0.5], [0.02, 0.26, 0.72], [0.15, 0, 0.85], [0.1, 0.1, 0.1, 0.1, 0.6]]
)
def test_intervals_hold_the_truth_19_times_of_20(chances):
    share = np.array(chances) @ np.arange(len(chances)) / (len(chances) - 1)
    drawn = np.random.default_rng(2).multinomial(60, chances, 1000)
    held = sum(bool(low <= share <= high) for low, high in map(block_interval, drawn.tolist()))
    assert clopper_pearson(held, 1000, 0.98)[1] >= 0.95
