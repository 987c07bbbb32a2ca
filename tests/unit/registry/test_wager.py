"""Evidence that may be looked at at any time, and the shares and Elo differences that it is about."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.evaluation.odds import elo_of_share, share_after_drop, share_of_elo
from ringrift_core.registry.wager import STAKES, log_capital, log_evidence, log_factors, lowest_credible_mean

SHARES = st.floats(0.01, 0.99)


# ---- odds ----


@pytest.mark.parametrize(("elo", "players", "share"), [
    (0, 2, 0.5), (0, 3, 1 / 3), (0, 4, 0.25), (400, 2, 10 / 11), (400, 3, 10 / 12), (400, 4, 10 / 13), (-50, 2, 0.4285),
])  # fmt: skip
def test_a_share_is_odds_over_odds_and_opponents(elo, players, share):
    assert share_of_elo(elo, players) == pytest.approx(share, abs=5e-5)
    assert elo_of_share(share, players) == pytest.approx(elo, abs=0.05)


@given(st.floats(-800, 800), st.floats(-400, 400), st.sampled_from([2, 3, 4]))
def test_a_drop_lowers_the_elo_by_itself_for_any_number_of_players(elo, drop, players):
    left = float(share_after_drop(share_of_elo(elo, players), drop))
    assert elo_of_share(left, players) == pytest.approx(elo - drop, abs=1e-6)


# ---- wagers ----


@given(SHARES, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_no_stake_wins_on_average_while_the_claim_holds(claimed, scores):
    """For every distribution on the scores with a mean of at least the claim; two-point ones are the worst."""
    for low, high in product([0.0, *scores], [1.0, *scores]):
        if low <= claimed <= high and low < high:
            chance = (claimed - low) / (high - low)  # of the high score: the mean is the claim exactly
            factors = np.exp(log_factors(claimed, [low, high]))
            assert (chance * factors[1] + (1 - chance) * factors[0] <= 1 + 1e-9).all()


@given(st.lists(st.integers(0, 40), min_size=3, max_size=3), SHARES, SHARES)
def test_evidence_grows_with_the_claim(counts, a, b):
    found = [float(log_evidence(log_capital(claim, [0.0, 0.5, 1.0], counts))) for claim in sorted([a, b])]
    assert found[0] <= found[1] + 1e-9


def test_evidence_is_the_mean_of_the_capitals():
    capitals = [math.prod(1 + stake * (0.4 - score) / 0.6 for score in (0, 0, 0, 0.5, 0.5, 1)) for stake in STAKES]
    found = float(log_evidence(log_capital(0.4, [0.0, 0.5, 1.0], [3, 2, 1])))
    assert found == pytest.approx(math.log(np.mean(capitals)))


def test_no_scores_are_no_evidence():
    assert float(log_evidence(log_capital(0.4, [0.0, 1.0], [0, 0]))) == pytest.approx(0.0)


@given(st.lists(st.integers(0, 200), min_size=3, max_size=5).filter(any))
def test_the_lowest_credible_mean_is_below_the_mean_and_rises_with_alpha(counts):
    mean = float(np.average(np.arange(len(counts)) / (len(counts) - 1), weights=counts))
    strict, loose = float(lowest_credible_mean(counts, 1e-4)), float(lowest_credible_mean(counts, 0.05))
    assert 0 <= strict <= loose <= max(mean, 1e-9)


def test_the_lowest_credible_mean_comes_closer_with_more_blocks():
    found = lowest_credible_mean(np.array([[1, 2, 7], [10, 20, 70], [100, 200, 700]]), 0.01)
    assert 0 < found[0] < found[1] < found[2] < 0.8
    assert found[2] > 0.8 - math.sqrt(math.log(1 / 0.01) / (2 * 1000)), "closer than Hoeffding's, which allows one look"


def test_the_lowest_credible_mean_is_seldom_too_high():
    counts = np.random.default_rng(5).multinomial(40, [0.25, 0.5, 0.25], size=2000)
    assert float((lowest_credible_mean(counts, 0.05) > 0.5).mean()) < 0.05
