"""Players: they choose what is legal, break ties by their generator, and are as strong as they should be."""

import numpy as np
import pytest

from ringrift_core.evaluation.match import MatchResult, play_match
from ringrift_core.evaluation.openings import random_openings
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import Ragged
from ringrift_core.players.heuristic import HeuristicEvaluator
from ringrift_core.players.player import (
    GreedyPlayer,
    HeuristicPlayer,
    Player,
    PolicyPlayer,
    RandomPlayer,
    best,
)
from tests.property.random_games import random_batch


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def match(key: str, seated: list[Player], games: int) -> MatchResult:
    return play_match(key, seated, random_openings(key, games // len(seated), 1))


def players() -> list[Player]:
    return [
        RandomPlayer(generator()),
        GreedyPlayer(generator()),
        HeuristicPlayer(generator()),
        HeuristicPlayer(generator(), epsilon=0.5),
        PolicyPlayer("policy", HeuristicEvaluator(), generator()),
    ]


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p"])
def test_every_choice_is_legal(key):
    batch = random_batch(key, 8, 1, 25)
    batch.advance()
    rows = np.flatnonzero(~batch.over)[::2]
    legal = batch.legal(rows)
    for player in players():
        chosen = player.choose(batch, rows)
        assert chosen.dtype == np.int64
        assert all(chosen[i] in legal[i] for i in range(len(rows)))


def test_the_best_of_each_list_is_found_and_ties_are_broken_evenly():
    legal = Ragged(np.array([5, 7, 9, 1, 2], np.uint16), np.array([0, 3, 5]))
    scores = np.array([3, 8, 8, 0, -1])
    rng = generator()
    seen = [best(legal, scores, rng).tolist() for _ in range(200)]
    assert {first for first, _ in seen} == {7, 9}
    assert 70 < sum(first == 7 for first, _ in seen) < 130
    assert {second for _, second in seen} == {1}


def test_the_policy_of_the_heuristic_evaluator_is_the_heuristic_player():
    batch = random_batch("hex8_2p", 16, 1, 40)
    batch.advance()
    rows = np.flatnonzero(~batch.over)
    np.testing.assert_array_equal(
        PolicyPlayer("policy", HeuristicEvaluator(), generator()).choose(batch, rows),
        HeuristicPlayer(generator()).choose(batch, rows),
    )


def test_epsilon_strays_that_often():
    batch = GameBatch.start("hex8_2p", 1000)
    rows = np.arange(1000)
    steady = HeuristicPlayer(generator()).choose(batch, rows)
    astray = HeuristicPlayer(generator(), epsilon=1.0).choose(batch, rows)
    favourites = set(steady.tolist())
    assert len(favourites) < 20
    assert len(set(astray.tolist())) > 100


@pytest.mark.parametrize(("board", "games"), [("square8", 40), ("hex8", 40), ("square19", 4), ("hexagonal", 4)])
def test_heuristic_beats_random(board, games):
    result = match(f"{board}_2p", [HeuristicPlayer(generator(1)), RandomPlayer(generator(2))], games)
    assert result.wins[0] >= 0.9 * games


@pytest.mark.parametrize(("players", "least"), [(3, 0.75), (4, 0.7)])
@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_heuristic_beats_several_randoms(board, players, least):
    randoms = [RandomPlayer(generator(seed)) for seed in range(2, players + 1)]
    result = match(f"{board}_{players}p", [HeuristicPlayer(generator(1)), *randoms], 60)
    assert result.wins[0] >= least * len(result.games)


@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_heuristic_beats_greedy_beats_random(board):
    result = match(f"{board}_2p", [HeuristicPlayer(generator(1)), GreedyPlayer(generator(2))], 40)
    assert result.wins[0] >= 28
    result = match(f"{board}_2p", [GreedyPlayer(generator(1)), RandomPlayer(generator(2))], 40)
    assert result.wins[0] >= 24
