"""Forced wins three decisions deep and more: the search finds them, the policy alone does not.

The positions come from the ends of random games, and for the swap from constructed ones; `forced_wins.py` proves each.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift_core.game import Game, GameBatch
from ringrift_core.game.rules import layout as at
from ringrift_core.players.heuristic import HeuristicEvaluator
from ringrift_core.search.evaluator import Evaluation, Evaluator, Positions
from ringrift_core.search.gumbel import GumbelSearch, Roots, SearchSettings
from tests.forced_wins import winning_decisions

PUZZLES = json.loads((Path(__file__).parent / "puzzles.json").read_text())
PLAYED = [puzzle for puzzle in PUZZLES if "choices" in puzzle and "unpicked" not in puzzle]
UNPICKED = [puzzle for puzzle in PUZZLES if "unpicked" in puzzle]  # the first that were found, solved or not
SWAPS = [puzzle for puzzle in PUZZLES if "state" in puzzle]


class NoPolicy:
    """The values of the heuristic, and no idea which decision is good."""

    def evaluate(self, positions: Positions) -> Evaluation:
        evaluation = HeuristicEvaluator().evaluate(positions)
        return Evaluation(np.zeros_like(evaluation.logits), evaluation.values)


def position_of(puzzle: dict[str, Any]) -> GameBatch:
    """A batch of the one position, a choice."""
    if "state" in puzzle:
        row = GameBatch.of(Game.from_state(puzzle["game"], puzzle["state"]))
        states = row.states.copy()
        states[:, at.SWAP_OPEN] = 1
        return GameBatch(row.board, row.variant, states)
    batch = GameBatch.start(puzzle["game"], 1)
    batch.advance()
    for choice in puzzle["choices"]:
        batch.apply([choice])
        batch.advance()
    return batch


def search(batch: GameBatch, judge: Evaluator, sims: int, considered: int = 16) -> Roots:
    slots = np.zeros(1, np.int64)
    tree = GumbelSearch(batch.board, batch.variant.players, 1, SearchSettings(considered=considered))
    tree.begin(slots, batch.states, np.array([sims]), np.array([77]), noise=False)
    return tree.run(judge, slots)


def target_of(roots: Roots, decision: int) -> float:
    return float(roots.target[roots.legal[0].tolist().index(decision)])


def test_the_puzzles_are_for_two_three_and_four_seats_and_the_swap():
    assert {puzzle["game"][-2:] for puzzle in PLAYED} == {"2p", "3p", "4p"}
    assert SWAPS


@pytest.mark.parametrize("puzzle", PLAYED + SWAPS, ids=lambda puzzle: f"{puzzle['game']}-{puzzle['wins']}")
def test_one_decision_forces_the_win_and_no_shorter_way_does(puzzle):
    batch = position_of(puzzle)
    depth = 3 if "choices" in puzzle else 4
    assert winning_decisions(batch, 2) == []
    assert winning_decisions(batch, depth) == [puzzle["wins"]]


@pytest.mark.parametrize("puzzle", PLAYED, ids=lambda puzzle: f"{puzzle['game']}-{puzzle['wins']}")
def test_64_simulations_find_what_the_policy_does_not(puzzle):
    batch = position_of(puzzle)
    assert search(batch, HeuristicEvaluator(), 0).best[0] != puzzle["wins"]
    found = search(batch, HeuristicEvaluator(), 64)
    assert found.best[0] == puzzle["wins"]
    assert target_of(found, puzzle["wins"]) >= 0.9


@pytest.mark.parametrize("puzzle", SWAPS, ids=lambda puzzle: str(puzzle["state"]["e"]))
def test_64_simulations_find_that_the_seats_must_be_swapped(puzzle):
    """The heuristic's policy sees these at once, so the search has to do without one."""
    batch = position_of(puzzle)
    assert target_of(search(batch, NoPolicy(), 0), puzzle["wins"]) < 0.1
    found = search(batch, NoPolicy(), 64, considered=64)
    assert found.best[0] == puzzle["wins"] == batch.board.actions.size - at.SPECIALS + at.SWAP_SIDES
    assert target_of(found, puzzle["wins"]) >= 0.9
    assert search(batch, HeuristicEvaluator(), 64).best[0] == puzzle["wins"]


def test_of_forced_wins_that_nobody_picked_the_search_finds_more_than_the_policy():
    """Where it does not, the heuristic takes other decisions for as good as won (docs/design/search.md)."""
    found = {0: 0, 64: 0}
    for puzzle in UNPICKED:
        batch = position_of(puzzle)
        for sims in found:
            found[sims] += int(search(batch, HeuristicEvaluator(), sims).best[0] == puzzle["wins"])
    assert len(UNPICKED) == 60
    assert found[64] >= found[0] + 8
    assert found[64] >= 22
