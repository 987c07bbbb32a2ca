"""The sequential test: evidence to the digit, error rates for games that depend on one another."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import clopper_pearson
from ringrift_core.evaluation.sprt import Outcome, Sprt, _factors
from ringrift_core.evaluation.thresholds import Role, gate_rows

BLOCKS_MAX = 20_000
shares = (
    st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)).map(sorted).filter(lambda pair: pair[1] - pair[0] > 0.01)
)
tests = shares.map(lambda pair: Sprt(*pair))
counts = st.integers(1, 4).flatmap(lambda games: st.lists(st.integers(0, 60), min_size=games + 1, max_size=games + 1))


def test_single_games_are_walds_ratio_but_for_a_tenth():
    """0.9 * 1.2^3 * 0.8 + 0.1 * (18/13)^3 * (8/13): at odds 1.5 and 2.25 the best fractions are 0.2 and 5/13."""
    assert exp(Sprt(0.5, 0.6).llr([1, 3])) == pytest.approx(1.4075156, abs=1e-6)


def test_pairs_to_the_digit():
    """At h0 = 0.5 a split pair changes nothing; fractions are 0.2 / 0.52, 0.2 / 0.712, 0.2 and 65 / 97."""
    stakes = [(0.6, 5 / 13), (0.2, 25 / 89), (0.1, 0.2), (0.1, 65 / 97)]
    wealth = sum(weight * (1 - stake) * (1 + stake) ** 5 for weight, stake in stakes)
    assert Sprt(0.5, 0.6).llr([1, 4, 5]) == pytest.approx(log(wealth), abs=1e-9)
    assert Sprt(0.5, 0.6).llr([1, 9, 5]) == pytest.approx(1.0995054, abs=1e-6)


def test_who_doubts_h1_is_paid_by_losses_and_counted_negative():
    assert Sprt(0.4, 0.5).llr([5, 4, 1]) == pytest.approx(-1.0995054, abs=1e-6)


def test_evidence_is_zero_while_neither_side_has_gained():
    assert Sprt(0.5, 0.55).llr([0, 0, 0]) == 0
    assert Sprt(0.5, 0.6).llr([4, 2, 5]) == 0


def test_bounds_are_one_over_the_error_rates():
    assert Sprt(0.5, 0.55).bounds == pytest.approx((-log(20), log(20)))
    assert Sprt(0.5, 0.55, alpha=0.001, beta=0.1).bounds == pytest.approx((-log(10), log(1000)))


def test_nothing_is_decided_without_a_block():
    assert Sprt(0.5, 0.55).outcome([0, 0, 0]) is Outcome.UNDECIDED


def test_outcomes_lie_where_the_evidence_crosses_a_bound():
    test = Sprt(0.5, 0.6)
    wins = [test.llr([0, 0, won]) for won in range(12)]
    ends = [test.outcome([0, 0, won]) for won in range(12)]
    assert [end is Outcome.PASSED for end in ends] == [llr >= log(20) for llr in wins]
    assert Outcome.PASSED in ends
    assert test.outcome([12, 0, 0]) is Outcome.FAILED


def test_a_smaller_alpha_asks_for_more_wins():
    wins = [[0, 0, 9], [0, 0, 40]]
    assert [Sprt(0.5, 0.6).outcome(blocks) for blocks in wins] == [Outcome.PASSED, Outcome.PASSED]
    assert [Sprt(0.5, 0.6, alpha=1e-4).outcome(blocks) for blocks in wins] == [Outcome.UNDECIDED, Outcome.PASSED]


def test_a_proven_loss_is_a_loss_even_where_some_evidence_speaks_for_the_candidate():
    """A mean between h0 and h1 disproves both in time; the nearer bound decides, not the larger evidence."""
    assert Sprt(0.4, 0.6, alpha=1e-9).outcome([22, 90, 27]) is Outcome.FAILED
    assert Sprt(0.4, 0.6).outcome([22, 90, 27]) is Outcome.PASSED


@given(tests, counts)
def test_exchanging_winners_and_hypotheses_turns_the_evidence_round(test, blocks):
    mirrored = Sprt(1 - test.h1, 1 - test.h0)
    assert mirrored.llr(blocks[::-1]) == pytest.approx(-test.llr(blocks), rel=1e-6, abs=1e-6)


@given(tests, counts, st.data())
def test_more_wins_never_lower_the_evidence(test, blocks, data):
    llr = test.llr(blocks)
    assert test.llr([*blocks[:-1], blocks[-1] + 1]) >= llr - 1e-9
    assert test.llr([blocks[0] + 1, *blocks[1:]]) <= llr + 1e-9
    worse = data.draw(st.integers(0, len(blocks) - 2))
    if blocks[worse]:
        better = list(blocks)
        better[worse] -= 1
        better[worse + 1] += 1
        assert test.llr(better) >= llr - 1e-9


@given(shares, st.integers(1, 4), st.data())
def test_no_stake_gains_on_average_at_h0_however_games_hang_together(pair, games, data):
    """This is what holds the size: two outcomes on either side of h0, mixed to a mean of h0, pay back the stake."""
    low, high = pair
    below = data.draw(st.integers(0, games).filter(lambda won: won / games < low))
    above = data.draw(st.integers(0, games).filter(lambda won: won / games > low))
    chance = (low - below / games) / (above / games - below / games)
    factors = _factors(low, high, games)
    assert (factors > 0).all()
    np.testing.assert_allclose(chance * factors[:, above] + (1 - chance) * factors[:, below], 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        (0.5, 0.5),
        (0.6, 0.5),
        (0.0, 0.5),
        (0.5, 1.0),
        (float("nan"), 0.5),
        (0.5, 0.6, 0.0),
        (0.5, 0.6, 0.5),
        (0.5, 0.6, 0.05, float("nan")),
        (1e-300, 0.5),
    ],
)
def test_hypotheses_and_rates_that_make_no_test_are_refused(wrong):
    with pytest.raises(RulesError, match="a test needs"):
        Sprt(*wrong)


@pytest.mark.parametrize("wrong", [[], [3], [1, 2, 3, 4, 5, 6], [1, -1, 2], [1.5, 0, 0], ["1", 0, 0]])
def test_malformed_counts_are_refused(wrong):
    with pytest.raises(RulesError, match="blocks"):
        Sprt(0.5, 0.55).llr(wrong)


def test_many_tests_at_once_are_the_single_ones():
    test, blocks = Sprt(0.6, 0.68), np.array([[3, 4, 9], [0, 0, 0], [12, 8, 2]])
    assert test.llrs(blocks).tolist() == pytest.approx([test.llr(row) for row in blocks.tolist()])


def passed(test: Sprt, chances: list[float], bounds: tuple[float, float], trials: int = 1200) -> int:
    """How many of seeded trials pass when every block is looked at; each ends."""
    rng, kinds = np.random.default_rng(5), np.eye(len(chances))
    totals, won = np.zeros((trials, 1, len(chances))), 0
    for _ in range(0, BLOCKS_MAX, 64):
        drawn = totals + np.cumsum(kinds[rng.choice(len(chances), (len(totals), 64), p=chances)], axis=1)
        llrs = test.llrs(drawn)
        over = (llrs >= bounds[1]) | (llrs <= bounds[0])
        ended = over.any(1)
        won += int((llrs[ended, over.argmax(1)[ended]] > 0).sum())
        totals = drawn[~ended, -1:]
        if not len(totals):
            return won
    raise AssertionError("a test did not end")


def independent(share: float, players: int) -> list[float]:
    chances = np.ones(1)
    for _ in range(players):
        chances = np.convolve(chances, [1 - share, share])
    return list(chances)


def alike(share: float, players: int) -> list[float]:
    return [1 - share, *[0.0] * (players - 1), share]


def errs_too_often(test: Sprt, model, players: int, scale: float) -> tuple[bool, bool]:
    """Is a size above alpha, or a power under 1 - beta, proven at 95 % (one-sided)?"""
    bounds = (scale * test.bounds[0], scale * test.bounds[1])
    null, real = (passed(test, model(share, players), bounds) for share in (test.h0, test.h1))
    return clopper_pearson(null, 1200, 0.9)[0] > test.alpha, clopper_pearson(real, 1200, 0.9)[1] < 1 - test.beta


CASES = [("random", 2), ("random", 4), ("heuristic", 3), ("champion", 2)]


@pytest.mark.parametrize("model", [independent, alike])
@pytest.mark.parametrize(("opponent", "players"), CASES)
def test_size_and_power_hold_without_a_cap(opponent, players, model):
    row = gate_rows(players)[opponent]
    assert errs_too_often(Sprt(row.h0, row.h1), model, players, 1.0) == (False, False)


def test_the_check_of_size_and_power_finds_halved_bounds():
    row = gate_rows(2)[Role.CHAMPION]
    assert errs_too_often(Sprt(row.h0, row.h1), independent, 2, 0.5) == (True, True)


def test_the_check_finds_a_test_that_takes_games_of_an_opening_for_independent():
    class PerGame(Sprt):
        def llrs(self, counts):
            wins = np.asarray(counts) @ np.arange(3)
            losses = np.asarray(counts) @ np.arange(2, -1, -1)
            return wins * log(self.h1 / self.h0) + losses * log((1 - self.h1) / (1 - self.h0))

    row = gate_rows(2)[Role.CHAMPION]
    assert errs_too_often(PerGame(row.h0, row.h1), independent, 2, 1.0) == (False, False)
    assert errs_too_often(PerGame(row.h0, row.h1), alike, 2, 1.0) == (True, True)
