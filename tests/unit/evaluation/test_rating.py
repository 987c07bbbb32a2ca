"""Ratings: agreement with an independent library, errors that mean what they say, seats, anchor, links."""

from collections import Counter
from itertools import permutations

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.odds import ELO_PER_UNIT
from ringrift_core.evaluation.plackett_luce import Orders, fit
from ringrift_core.evaluation.rating import ANCHOR, Link, Ratings, rate
from ringrift_core.evaluation.tally import Finish, Tally
from ringrift_core.game.config_key import ConfigKey
from tests.unit.evaluation.tournaments import name, round_robin, simulate, tally

NO_PRIOR = 1e-7


def elos(ratings: Ratings) -> dict[str, float]:
    return {row.agent: row.elo for row in ratings.ratings()}


def without_seats(games: Counter[Finish]) -> Counter[Finish]:
    """Every game in every seating, so that no seat has an advantage and nothing else changes."""
    turned: Counter[Finish] = Counter()
    for finish, number in games.items():
        for seats in permutations(range(len(finish.agents))):
            turned[Finish(tuple(finish.agents[s] for s in seats), tuple(finish.places[s] for s in seats))] += number
    return turned


def finishing(games: Counter[Finish]) -> list[list[int]]:
    """The orders as choix takes them, of agents by number."""
    number = {name(agent): agent for agent in range(9)}
    return [
        [number[finish.agents[seat]] for seat in sorted(range(len(finish.places)), key=finish.places.__getitem__)]
        for finish, count in games.items()
        for _ in range(count)
    ]


def test_two_players_agree_with_choix():
    games = simulate(round_robin(5, 80), [1200, 1350, 1100, 1500, 1250], [0, 0], 1)
    oracle = choix.ilsr_pairwise(5, [(order[0], order[1]) for order in finishing(games)])
    found = elos(rate(tally(without_seats(games)), NO_PRIOR))
    for agent in range(5):
        assert found[name(agent)] == pytest.approx(1200 + ELO_PER_UNIT * (oracle[agent] - oracle[0]), abs=1)


@pytest.mark.parametrize("players", [3, 4])
def test_orders_of_several_agree_with_choix(players):
    lineups = [lineup for _ in range(4) for lineup in permutations(range(5), players)]
    games = simulate(lineups, [1200, 1350, 1100, 1500, 1250], [0] * players, players)
    oracle = choix.ilsr_rankings(5, [tuple(order) for order in finishing(games)])
    found = elos(rate(tally(without_seats(games)), NO_PRIOR))
    for agent in range(5):
        assert found[name(agent)] == pytest.approx(1200 + ELO_PER_UNIT * (oracle[agent] - oracle[0]), abs=1)


def test_the_prior_is_that_of_choix():
    games = simulate(round_robin(3, 10), [1200, 1600, 900], [0, 0], 4)
    oracle = choix.opt_pairwise(3, [(order[0], order[1]) for order in finishing(games)], alpha=0.25, tol=1e-9)
    orders = finishing(games)
    rows = Orders(np.array(orders), np.tile([0, 1], (len(orders), 1)), np.ones(len(orders)))
    turned = Orders(rows.agents, rows.seats[:, ::-1], rows.weights)
    both = Orders(
        np.concatenate([rows.agents, turned.agents]),
        np.concatenate([rows.seats, turned.seats]),
        np.full(2 * len(orders), 0.5),
    )
    assert fit(both, 3, 0.5).agents == pytest.approx(oracle, abs=1e-6)


def test_nine_of_ten_games_are_382_elo():
    games = {Finish((name(1), name(0)), (1, 2)): 450, Finish((name(0), name(1)), (2, 1)): 450}
    games |= {Finish((name(1), name(0)), (2, 1)): 50, Finish((name(0), name(1)), (1, 2)): 50}
    assert elos(rate(tally(games), NO_PRIOR)) == pytest.approx({ANCHOR: 1200, name(1): 1200 + 381.7}, abs=0.1)


def test_one_win_of_three_against_two_copies_is_equality():
    seatings = set(permutations([name(1), name(0), name(0)]))
    games = {Finish(agents, places): 10 for agents in seatings for places in permutations((1, 2, 3))}
    found = rate(tally(games))
    assert found.difference(name(1), ANCHOR)[0] == pytest.approx(0, abs=1e-6)


def test_the_odds_of_a_share_against_copies_are_the_elo():
    # 0.6 of the first places against two copies is odds 3 to 1 against each, 190.8 Elo; the copies share the rest
    seatings = sorted(set(permutations([name(1), name(0), name(0)])))
    games = {}
    for agents in seatings:
        seat = agents.index(name(1))
        for places in permutations((1, 2, 3)):
            games[Finish(agents, places)] = {1: 600, 2: 300, 3: 100}[places[seat]]
    assert rate(tally(games), NO_PRIOR).difference(name(1), ANCHOR)[0] == pytest.approx(190.8, abs=0.1)


def test_a_tie_is_half_of_each_order():
    agents = (name(0), name(1), name(2))
    tied = {Finish(agents, (1, 2, 2)): 4, Finish(agents, (3, 1, 2)): 6, Finish(agents, (2, 2, 1)): 2}
    spread = {
        Finish(agents, (1, 2, 3)): 2,
        Finish(agents, (1, 3, 2)): 2,
        Finish(agents, (3, 1, 2)): 6,
        Finish(agents, (2, 3, 1)): 1,
        Finish(agents, (3, 2, 1)): 1,
    }
    assert elos(rate(tally(tied))) == pytest.approx(elos(rate(tally(spread))))


def test_intervals_cover_the_truth_about_95_times_in_100():
    elo, seats = [1200, 1260, 1130, 1300], [15, -15]
    lineups = round_robin(4, 50)
    inside = tests = 0
    for seed in range(250):
        ratings = rate(tally(simulate(lineups, elo, seats, seed)))
        for row in ratings.ratings():
            if row.agent != ANCHOR:
                truth = elo[[name(agent) for agent in range(4)].index(row.agent)]
                inside += abs(row.elo - truth) < row.margin
                tests += 1
        difference, se = ratings.difference(name(3), name(2))
        inside += abs(difference - 170) < 1.96 * se
        advantage, error = ratings.seats()[0]
        inside += abs(advantage - 15) < 1.96 * error
        tests += 2
    assert 0.92 < inside / tests < 0.98


def test_intervals_of_three_players_with_copies_cover_the_truth():
    elo, seats = [1200, 1290], [30, 0, -30]
    lineups = [row for _ in range(25) for row in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))]
    inside = 0
    for seed in range(300):
        difference, se = rate(tally(simulate(lineups, elo, seats, seed))).difference(name(1), name(0))
        inside += abs(difference - 90) < 1.96 * se
    assert 0.92 <= inside / 300 <= 0.98


def test_the_error_of_a_difference_takes_the_covariance():
    """Two agents that met only each other often are known well against each other, badly against the anchor."""
    games = simulate([(1, 2), (2, 1)] * 300 + [(0, 1), (1, 0)] * 5, [1200, 1200, 1200], [0, 0], 3)
    ratings = rate(tally(games))
    of_one = {row.agent: row.se for row in ratings.ratings()}
    se = ratings.difference(name(1), name(2))[1]
    assert se < 15
    assert min(of_one[name(1)], of_one[name(2)]) > 60


@pytest.mark.parametrize("seats", [[40.0, -40.0], [50.0, 0.0, -50.0], [60.0, 20.0, -20.0, -60.0]])
def test_the_advantage_of_seats_is_found_apart_from_strength(seats):
    players = len(seats)
    # agent 1 begins three times as often as anybody else
    lineups = [lineup for lineup in permutations(range(4), players) for _ in range(300 if lineup[0] == 1 else 100)]
    ratings = rate(tally(simulate(lineups, [1200, 1200, 1300, 1100], seats, 6)))
    for truth, (advantage, se) in zip(seats, ratings.seats(), strict=True):
        assert abs(advantage - truth) < 3.5 * se < 40
    assert sum(advantage for advantage, _ in ratings.seats()) == pytest.approx(0, abs=1e-6)
    assert abs(ratings.difference(name(2), name(1))[0] - 100) < 30


def test_heuristic_v1_has_1200_elo_exactly():
    ratings = rate(tally(simulate(round_robin(4, 20), [1200, 1500, 900, 1400], [0, 0], 8)))
    anchor = next(row for row in ratings.ratings() if row.agent == ANCHOR)
    assert (anchor.elo, anchor.se) == (1200.0, 0.0)
    assert ratings.anchored


def test_without_heuristic_v1_the_mean_is_1200_and_that_is_said():
    games = simulate([(1, 2), (2, 1), (2, 3), (3, 2)] * 20, [0, 1000, 1100, 1300], [0, 0], 8)
    ratings = rate(tally(games))
    assert not ratings.anchored
    assert np.mean([row.elo for row in ratings.ratings()]) == pytest.approx(1200)
    assert all(row.se > 10 for row in ratings.ratings())


def test_who_never_lost_has_a_finite_rating_and_is_named():
    always = {Finish((name(1), name(0)), (1, 2)): 100, Finish((name(0), name(1)), (2, 1)): 100}
    apart = {Finish((name(3), name(4)), (1, 2)): 5, Finish((name(3), name(4)), (2, 1)): 5}
    both = {Finish((name(2), name(0)), (1, 2)): 5, Finish((name(2), name(0)), (2, 1)): 5}
    rows = {row.agent: row for row in rate(tally(always | apart | both)).ratings()}
    assert {agent: row.link for agent, row in rows.items()} == {
        ANCHOR: Link.MEASURED,
        name(1): Link.ONE_SIDED,
        name(2): Link.MEASURED,
        name(3): Link.UNCONNECTED,
        name(4): Link.UNCONNECTED,
    }
    assert 1700 < rows[name(1)].elo < 2400
    assert rows[name(1)].se > 100
    assert (rows[name(1)].games, rows[name(1)].wins, rows[ANCHOR].wins) == (200, 200, 5)


def test_a_group_that_only_ever_wins_is_named_as_a_whole():
    group = {Finish((name(1), name(2)), (1, 2)): 5, Finish((name(1), name(2)), (2, 1)): 5}
    above = {Finish((name(1), name(0)), (1, 2)): 9}
    links = {row.agent: row.link for row in rate(tally(group | above)).ratings()}
    assert links == {ANCHOR: Link.MEASURED, name(1): Link.ONE_SIDED, name(2): Link.ONE_SIDED}


def test_one_game_is_enough_and_none_is_an_error():
    row = rate(tally({Finish((name(1), name(0)), (1, 2)): 1})).ratings()[0]
    assert row.agent == name(1)
    assert 1200 < row.elo < 1400
    assert row.margin > 300
    with pytest.raises(RulesError, match="no games of hex8_2p"):
        rate(Tally(ConfigKey("hex8", 2), {}, {}, 0))


def test_a_difference_to_a_stranger_is_an_error():
    ratings = rate(tally({Finish((name(1), name(0)), (1, 2)): 1}))
    with pytest.raises(RulesError, match="has no rating in hex8_2p"):
        ratings.difference(name(1), name(7))


def finishes(players: int) -> st.SearchStrategy[list[Finish]]:
    agents = st.tuples(*[st.integers(0, 4).map(name)] * players)
    ranks = st.tuples(*[st.integers(1, players)] * players)
    made = st.builds(Finish.of, agents, ranks, st.integers(0, players - 1))
    return st.lists(made, min_size=1, max_size=30)


@given(st.integers(2, 4).flatmap(finishes), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_games_nor_the_names_of_agents_matter(games, rng):
    before = elos(rate(tally(Counter(games))))
    rng.shuffle(games)
    assert elos(rate(tally(Counter(games)))) == pytest.approx(before, abs=1e-6)
    numbers = list(range(1, 5))
    rng.shuffle(numbers)
    other = {ANCHOR: ANCHOR, **{name(agent): name(number) for agent, number in enumerate(numbers, 1)}}
    renamed = Counter(Finish(tuple(other[agent] for agent in game.agents), game.places) for game in games)
    after = elos(rate(tally(renamed)))
    assert {agent: after[other[agent]] for agent in before} == pytest.approx(before, abs=1e-6)
