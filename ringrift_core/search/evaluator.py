"""What judges positions: one protocol for nets, heuristics and the judge that knows nothing."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ringrift_core.game.batch import Int16Array, IntArray, Ragged
from ringrift_core.game.board import Board

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Positions:
    """k positions with a real choice: rows of an array of states, and their legal decisions.

    `states` belongs to the caller and may change after the call; an evaluator keeps nothing of it.
    """

    board: Board
    players: int
    states: Int16Array  # [many, words], see game/rules/layout.py
    rows: IntArray  # [k] the rows of `states` that are meant; may repeat
    legal: Ragged  # k ascending lists of ids

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluator says of k positions."""

    logits: Float32Array  # [legal ids] policy logits, in the order of `Positions.legal`
    values: Float32Array  # [k, players] probability that the seat wins, seat 1 first; rows sum to 1


class Evaluator(Protocol):
    """A judge of positions; the same position gets the same judgement, whatever it is batched with."""

    def evaluate(self, positions: Positions) -> Evaluation:
        """Judge the positions."""


class UniformEvaluator:
    """Knows nothing: every decision is as good as any other, every seat as likely to win."""

    def evaluate(self, positions: Positions) -> Evaluation:
        """Equal logits and equal values."""
        return Evaluation(
            np.zeros(len(positions.legal.ids), np.float32),
            np.full((len(positions), positions.players), 1 / positions.players, np.float32),
        )
