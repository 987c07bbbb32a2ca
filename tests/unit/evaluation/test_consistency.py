"""Residuals and rings of rating fits."""

import numpy as np
import pytest

from ringrift_core.evaluation.consistency import check
from ringrift_core.evaluation.rating import rate
from ringrift_core.evaluation.tally import Finish
from tests.unit.evaluation.tournaments import name, round_robin, simulate, tally


def ring(won: int, lost: int) -> dict[Finish, int]:
    """0 beats 1, 1 beats 2, 2 beats 0, from either seat."""
    games = {}
    for winner, loser in ((0, 1), (1, 2), (2, 0)):
        for agents, places in (((winner, loser), (1, 2)), ((loser, winner), (2, 1))):
            games[Finish((name(agents[0]), name(agents[1])), places)] = won
            games[Finish((name(agents[0]), name(agents[1])), (places[1], places[0]))] = lost
    return games


def copies(agents: int) -> list[tuple[int, int, int]]:
    """Every ordered pair as one against two copies, in every seat."""
    return [
        row
        for one in range(agents)
        for other in range(agents)
        if one != other
        for row in ((one, other, other), (other, one, other), (other, other, one))
    ]


@pytest.mark.parametrize("players", [2, 3])
def test_p_values_of_games_that_follow_the_model_are_even(players):
    lineups = round_robin(5, 60) if players == 2 else copies(5) * 12
    seats = [20.0, -20.0] if players == 2 else [20.0, 0.0, -20.0]
    found = [check(rate(tally(simulate(lineups, [1200, 1250, 1150, 1300, 1100], seats, seed)))) for seed in range(60)]
    p_values = np.array([one.p_value for one in found], np.float64)
    freedom = {2: 10 - 4, 3: 8.5}[players]  # with three, lower places tell of the strengths too
    assert all(abs(one.freedom - freedom) < 0.7 for one in found)
    assert 0.38 < p_values.mean() < 0.62
    assert (p_values < 0.05).sum() <= 9


def test_agents_that_beat_each_other_in_a_ring_are_noticed():
    found = check(rate(tally(ring(won=80, lost=20))))
    assert (found.triads, found.sure_triads) == (1, 1)
    assert found.freedom == pytest.approx(1, abs=0.1)
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert len(found.worst) == 2


def test_a_ring_of_few_games_is_not_sure():
    found = check(rate(tally(ring(won=4, lost=3))))
    assert (found.triads, found.sure_triads) == (1, 0)
    assert found.p_value is not None
    assert found.p_value > 0.3


def test_the_pair_with_a_sick_game_source_is_named():
    games = simulate(round_robin(4, 200), [1200, 1220, 1180, 1200], [0, 0], 2)
    games.update({Finish((name(3), name(1)), (1, 2)): 100, Finish((name(1), name(3)), (2, 1)): 100})
    found = check(rate(tally(games)))
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert found.worst == (name(1), name(3))


def test_too_few_games_for_a_test_are_no_p_value():
    found = check(rate(tally({Finish((name(1), name(0)), (1, 2)): 30, Finish((name(0), name(1)), (1, 2)): 3})))
    assert (found.p_value, found.freedom, found.worst) == (None, 0.0, ())
    assert check(rate(tally({Finish((name(1), name(1)), (1, 2)): 9}))).p_value is None


def test_an_upset_between_unequal_agents_is_no_alarm():
    """The expected number of upsets is far below 5, where a chi-square would explode."""
    games = simulate(round_robin(3, 200), [1200, 1230, 1180], [0, 0], 5)
    games.update({Finish((name(1), name(4)), (1, 2)): 400, Finish((name(4), name(0)), (1, 2)): 1})
    found = check(rate(tally(games)))
    assert found.freedom == pytest.approx(1, abs=0.1)
    assert found.p_value is not None
    assert found.p_value > 0.01
