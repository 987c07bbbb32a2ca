"""Who chooses: one protocol, and the players that look at most one ply ahead.

All choose for many games at once. Randomness is the generator that a player is made with, so a match can be replayed.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ringrift_core.game.batch import GameBatch, IntArray, Ragged
from ringrift_core.game.rules import layout as at
from ringrift_core.players.heuristic import GREEDY, HEURISTIC_V1, Weights, judge
from ringrift_core.search.evaluator import Evaluator, Positions


class Player(Protocol):
    """Chooses decisions; plays any seat of any configuration."""

    name: str

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        """One legal decision id for each game of `rows` [k], which all have at least two."""


class RandomPlayer:
    """Uniform over the legal decisions."""

    name = "random"

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        """Any of the legal decisions."""
        return uniform(batch.legal(rows), self._rng)


class JudgingPlayer:
    """The best decision one ply ahead by a set of weights, any of the best where several are equal."""

    def __init__(self, name: str, weights: Weights, rng: np.random.Generator, epsilon: float = 0.0) -> None:
        """`epsilon` is the share of decisions that are taken at random."""
        self.name = name
        self._weights = weights
        self._rng = rng
        self._epsilon = epsilon

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        """The decisions with the highest scores."""
        positions = positions_of(batch, rows)
        chosen = best(positions.legal, judge(self._weights, positions).scores, self._rng)
        if self._epsilon > 0.0:
            stray = self._rng.random(len(rows)) < self._epsilon
            chosen = np.where(stray, uniform(positions.legal, self._rng), chosen)
        return chosen


class HeuristicPlayer(JudgingPlayer):
    """heuristic-v1, Elo 1200 by definition."""

    def __init__(self, rng: np.random.Generator, epsilon: float = 0.0) -> None:
        super().__init__("heuristic-v1", HEURISTIC_V1, rng, epsilon)


class GreedyPlayer(JudgingPlayer):
    """Eliminations, territory and caps one ply ahead: the yardstick between random and heuristic-v1."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__("greedy", GREEDY, rng)


class PolicyPlayer:
    """The decision with the highest logit of an evaluator, without search."""

    def __init__(self, name: str, evaluator: Evaluator, rng: np.random.Generator, drawn_turns: int = 0) -> None:
        """In the first `drawn_turns` turns of a game the decision is drawn by the policy instead."""
        self.name = name
        self._evaluator = evaluator
        self._rng = rng
        self._drawn_turns = drawn_turns

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        """The decisions with the highest logits."""
        positions = positions_of(batch, rows)
        logits = self._evaluator.evaluate(positions).logits
        if self._drawn_turns:
            early = np.repeat(in_first_turns(batch, rows, self._drawn_turns), np.diff(positions.legal.offsets))
            noise = self._rng.gumbel(size=len(logits)).astype(np.float32)
            logits = logits + np.where(early, noise, np.float32(0))  # the highest sum is a draw by the softmax
        return best(positions.legal, logits, self._rng)


def in_first_turns(batch: GameBatch, rows: IntArray, turns: int) -> npt.NDArray[np.bool_]:
    """Which games are in one of their first `turns` turns, [k]."""
    early: npt.NDArray[np.bool_] = batch.states[rows, at.TURN] <= turns
    return early


def positions_of(batch: GameBatch, rows: IntArray) -> Positions:
    """The games of `rows` as an evaluator takes them."""
    states = batch.states[rows]
    return Positions(batch.board, batch.variant.players, states, np.arange(len(rows)), batch.legal(rows))


def uniform(legal: Ragged, rng: np.random.Generator) -> IntArray:
    """One id of each list, all equally likely."""
    chosen: IntArray = legal.ids[legal.offsets[:-1] + rng.integers(np.diff(legal.offsets))].astype(np.int64)
    return chosen


def best(legal: Ragged, scores: npt.NDArray[np.int64] | npt.NDArray[np.float32], rng: np.random.Generator) -> IntArray:
    """The id with the highest score of each list, none of them empty; any of those that are equal."""
    starts = legal.offsets[:-1]
    sizes = np.diff(legal.offsets)
    highest = scores == np.repeat(np.maximum.reduceat(scores, starts), sizes)
    lots = np.where(highest, rng.random(len(scores)), -1.0)
    chosen = np.flatnonzero(lots == np.repeat(np.maximum.reduceat(lots, starts), sizes))
    # two equal lots in one list are not impossible: the first one counts
    return legal.ids[chosen[np.searchsorted(chosen, starts)]].astype(np.int64)
