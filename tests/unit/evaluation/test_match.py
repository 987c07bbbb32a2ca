"""Matches: blocks of rotations over one opening, every game counted once and replayable."""

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.match import MatchResult, play_match, wilson
from ringrift_core.evaluation.openings import random_openings
from ringrift_core.game import Game, GameBatch
from ringrift_core.players.player import GreedyPlayer, RandomPlayer


def match(key: str, games: int, seed: int = 3, opening: int = 4) -> MatchResult:
    """A greedy player among random ones."""
    n = int(key[-2])
    randoms = [RandomPlayer(np.random.default_rng(i)) for i in range(1, n)]
    openings = random_openings(key, -(-games // n), seed, opening)
    return play_match(key, [GreedyPlayer(np.random.default_rng(0)), *randoms], openings)


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "hex8_4p"])
def test_every_game_is_counted_once(key):
    result = match(key, 12)
    n = len(result.names)
    assert len(result.games) == 12
    assert sum(result.wins) == 12
    for game in result.games:
        assert len(game.ranks) == n
        assert game.ranks[game.winner] == 1
        assert game.reason != "active"
    assert all(1 <= rank <= n for rank in result.mean_ranks)


def test_a_block_is_one_opening_in_every_rotation():
    result = match("hex8_3p", 7)
    assert len(result.games) == 9, "rounded up to whole blocks"
    for first in range(0, 9, 3):
        block = result.games[first : first + 3]
        assert [game.rotation for game in block] == [0, 1, 2]
        assert len({game.opening for game in block}) == 1
    assert len({game.opening for game in result.games}) == 3


def choices(key: str, decisions: tuple[int, ...], many: int) -> list[int]:
    """The first decisions of a game that were not forced."""
    batch = GameBatch.start(key, 1)
    found: list[int] = []
    for decision in decisions:
        if len(batch.legal()[0]) > 1:
            found.append(decision)
        if len(found) == many:
            break
        batch.apply([decision])
    return found


def test_the_games_of_a_block_begin_alike():
    result = match("square8_2p", 8, opening=6)
    begins = [choices("square8_2p", game.decisions, 6) for game in result.games]
    assert begins[0::2] == begins[1::2]
    assert len({tuple(begin) for begin in begins}) > 1


@pytest.mark.parametrize("key", ["square8_2p", "hex8_4p"])
def test_a_recorded_game_can_be_replayed(key):
    for game in match(key, 8).games:
        replay = Game.start(key)
        for decision in game.decisions:
            replay.decide(decision)
        outcome = replay.outcome
        assert outcome is not None
        assert (outcome.winner_agent - 1 + game.rotation) % int(key[-2]) == game.winner
        assert outcome.reason == game.reason
        assert len(replay.plies) == game.plies


def test_the_same_seeds_play_the_same_match():
    assert match("hex8_2p", 8) == match("hex8_2p", 8)
    assert match("hex8_2p", 8) != match("hex8_2p", 8, seed=4)


def test_a_match_needs_games_and_as_many_players_as_seats():
    with pytest.raises(RulesError):
        match("hex8_2p", 0)
    with pytest.raises(RulesError):
        play_match("hex8_3p", [RandomPlayer(np.random.default_rng(1))] * 2, random_openings("hex8_3p", 2, 1))
    with pytest.raises(RulesError, match="at least one game"):
        play_match("hex8_2p", [RandomPlayer(np.random.default_rng(1))] * 2, [])


def test_the_wilson_interval_is_that_of_the_literature():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 20)[0] == 0
    assert wilson(20, 20)[1] == pytest.approx(1)
