"""The table of the gate: documented numbers, the same odds for more players, rates that sum to 5 %."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.odds import share_at
from ringrift_core.evaluation.sprt import Sprt
from ringrift_core.evaluation.thresholds import DOCUMENTED, GAMES_MIN, Needs, Role, Thresholds, alpha_of, gate_rows

SHARES = {
    2: {"random": (0.85, 0.92), "heuristic": (0.6, 0.68), "champion": (0.5, 0.55), "anchor": (0.4498, 0.5)},
    3: {
        "random": (0.7391, 0.8519),
        "heuristic": (0.4286, 0.5152),
        "champion": (0.3333, 0.3793),
        "anchor": (0.2902, 0.3333),
    },
    4: {
        "random": (0.6538, 0.7931),
        "heuristic": (0.3333, 0.4146),
        "champion": (0.25, 0.2895),
        "anchor": (0.2142, 0.25),
    },
}


@pytest.mark.parametrize("players", [2, 3, 4])
def test_shares_are_those_of_the_table_at_the_same_odds(players):
    rows = gate_rows(players)
    assert {name: (round(row.h0, 4), round(row.h1, 4)) for name, row in rows.items()} == SHARES[players]
    assert all(row.opponent == name for name, row in rows.items())


def test_caps_and_what_an_undecided_test_means():
    assert [(row.cap, row.needs) for row in gate_rows(3).values()] == [
        (300, Needs.PROOF),
        (400, Needs.PROOF),
        (2000, Needs.PROOF),
        (400, Needs.NO_DISPROOF),
    ]
    assert GAMES_MIN == 50


def test_h1_keeps_its_odds_ratio_under_an_override():
    """0.92 to 0.85 are odds 11.5 to 5.6667; at 0.9 that makes odds 9 * 2.02941."""
    rows = gate_rows(2, Thresholds(random=0.9, heuristic=0.5))
    assert (rows[Role.RANDOM].h0, round(rows[Role.RANDOM].h1, 4)) == (0.9, 0.9481)
    assert (rows[Role.HEURISTIC].h0, round(rows[Role.HEURISTIC].h1, 4)) == (0.5, 0.5862)
    assert rows[Role.CHAMPION] == gate_rows(2)[Role.CHAMPION]
    assert round(gate_rows(4, Thresholds(random=0.9))[Role.RANDOM].h0, 4) == 0.75


@given(st.floats(0.001, 0.999), st.sampled_from([2, 3, 4]))
def test_every_override_makes_a_test(share, players):
    for row in gate_rows(players, Thresholds(share, share, share)).values():
        Sprt(row.h0, row.h1)


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, 1.5, float("nan"), 1 - 1e-16])
def test_a_threshold_that_is_no_share_is_refused(wrong):
    with pytest.raises(RulesError, match="a threshold is a share"):
        gate_rows(2, Thresholds(heuristic=wrong))
    with pytest.raises(RulesError, match="no share can be told"):
        gate_rows(2, Thresholds(random=1 - 2e-16))


@pytest.mark.parametrize("players", [1, 5])
def test_other_numbers_of_players_are_refused(players):
    with pytest.raises(RulesError, match="2 to 4 players"):
        share_at(0.5, players)
    with pytest.raises(RulesError, match="2 to 4 players"):
        gate_rows(players, DOCUMENTED)


def test_error_rates_of_a_reign_sum_to_the_whole():
    assert [round(alpha_of(k), 6) for k in (1, 2, 20)] == [0.030396, 0.007599, 0.000076]
    total = sum(alpha_of(k) for k in range(1, 200_000))
    assert 0.04999 < total <= 0.05
    assert alpha_of(1, 0.1) == 2 * alpha_of(1)


def test_candidates_are_counted_from_one():
    with pytest.raises(RulesError, match="counted from 1"):
        alpha_of(0)
