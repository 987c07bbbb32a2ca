"""heuristic-v1 and the greedy yardstick: one kernel, two sets of weights (docs/design/players.md).

Both see one ply ahead. heuristic-v1 is frozen: gauntlets measure against it at Elo 1200, so its weights and kernels
never change; HEURISTIC_V1_DIGEST says what it does, and tests/unit/players/test_heuristic.py computes it anew.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from ringrift_core.game.batch import IntArray
from ringrift_core.game.rules import jit
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import scratch_words
from ringrift_core.players.kernels import features, heuristic
from ringrift_core.search.evaluator import Evaluation, Positions


@dataclass(frozen=True, slots=True)
class Weights:
    """What features weigh: for two players, whose game is a duel, and for more, where most regions may be claimed."""

    by_feature: dict[int, tuple[int, int]]  # (two players, more) by place in kernels/features.py; absent: 0

    def table(self, players: int) -> IntArray:
        """The weights as the kernels take them, [features]."""
        column = 0 if players == 2 else 1
        return np.array([self.by_feature.get(place, (0, 0))[column] for place in range(features.WEIGHTS)], np.int64)


GREEDY = Weights({features.ELIMINATED: (10, 10), features.TERRITORY: (5, 5), features.CAP: (1, 1)})
"""What one can count on the board after one ply, and nothing that takes a thought."""

# Set by hand, then climbed on square8 and hex8: a mutation of some weights stays if it wins more, on fresh openings,
# against random and greedy players and against the weights before it. The large boards were not looked at.
HEURISTIC_V1 = Weights(
    {
        features.ELIMINATED: (104, 5),
        features.ELIMINATED_NEAR: (111, 12),
        features.TERRITORY: (39, 27),
        features.TERRITORY_NEAR: (31, 11),
        features.MARKER: (3, 12),
        features.PAIR: (2, 6),
        features.TRIPLE: (3, -7),
        features.STACK: (43, 50),
        features.CAP: (9, 3),
        features.HEIGHT: (6, 0),
        features.HAND: (11, 20),
        features.BURIED: (2, 0),
        features.OPEN_RAY: (8, 2),
        features.HIT_NEXT: (18, 110),
        features.HIT_LATER: (5, 1),
        features.STUCK: (-13, -9),
        features.LAST_ROUND: (4, 93),
        features.BARE: (-30, -21),
        features.FROZEN: (-140, -485),
        features.CLAIM_NEXT: (31, 20),
        features.CLAIM_LATER: (8, 8),
        features.WALLS: (4, 2),
        features.SNARE_NEXT: (650, 650),
        features.SNARE_LATER: (18, 300),
        features.NEAR_NEXT: (174, 174),
        features.NEAR_LATER: (81, 131),
        features.CUT_NEXT: (0, 60),
    }
)

# Temperatures are in units of judgement and were chosen by the strength of the search on them (docs/design/players.md):
# sharper values overrule the policy too soon, softer ones never do. Judgements grow with the number of rings.
VALUE_TEMPERATURE = 250
RINGS_OF_TEMPERATURE = 18
POLICY_TEMPERATURE = 150
LOGIT_MIN = -12.0  # what loses at once keeps a chance of some millionths: a search needs finite logits
GAIN_MAX = 20_000  # a decision that wins at once counts no more than this


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules of thumb say of k positions, in whole numbers."""

    scores: IntArray  # [legal ids] for the agent that decides, in the order of `Positions.legal`
    values: IntArray  # [k, players] for each seat


def judge(weights: Weights, positions: Positions) -> Judgement:
    """Judge positions and every decision in them."""
    ids = positions.legal.ids
    scores = np.zeros(len(ids), np.int64)
    values = np.zeros((len(positions), 4), np.int64)
    board = positions.board
    states = np.require(positions.states, np.int16, ("C", "W"))
    table = weights.table(positions.players)
    heuristic.judge_decisions(
        jit.for_kernel(board.flat),
        jit.for_kernel(states),
        jit.for_kernel(positions.rows),
        jit.for_kernel(table),
        jit.for_kernel(np.zeros(scratch_words(board), np.int16)),
        jit.for_kernel(np.zeros(states.shape[1], np.int16)),
        jit.for_kernel(np.zeros(board.actions.size, np.uint16)),
        jit.for_kernel(ids),
        jit.for_kernel(positions.legal.offsets),
        jit.for_kernel(scores),
        jit.for_kernel(values),
        jit.for_kernel(np.zeros((3, 4), np.int64)),
    )
    return Judgement(scores, values[:, : positions.players])


class HeuristicEvaluator:
    """heuristic-v1 as a judge for the search: scores and judgements, softened by fixed temperatures."""

    def evaluate(self, positions: Positions) -> Evaluation:
        """Logits from the scores; values from the judgements after the best decision, a softmax over the seats."""
        judgement = judge(HEURISTIC_V1, positions)
        scores = judgement.scores.astype(np.float64)
        highest = np.maximum.reduceat(scores, positions.legal.offsets[:-1]) if len(positions) else scores
        logits = (scores - np.repeat(highest, np.diff(positions.legal.offsets))) / POLICY_TEMPERATURE
        rings = positions.board.shape.rings_per_player
        worth = after_best(positions, judgement.values, highest) / (
            VALUE_TEMPERATURE * sqrt(rings / RINGS_OF_TEMPERATURE)
        )
        odds = np.exp(worth - worth.max(axis=1, keepdims=True)) if len(positions) else worth
        values = odds / odds.sum(axis=1, keepdims=True)
        return Evaluation(np.maximum(logits, LOGIT_MIN).astype(np.float32), values.astype(np.float32))


def after_best(positions: Positions, values: IntArray, highest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Judgements [k, players], the mover's raised by what its best decision gains.

    A score is twice the own judgement less the opponents' best and mean (kernels/heuristic.py), so half of what it
    gains is the mover's.
    """
    worth = values.astype(np.float64)
    rows = np.arange(len(worth))
    mover = positions.states[positions.rows, at.PLAYER].astype(np.int64) - 1
    others = worth.copy()
    others[rows, mover] = 0
    mean = others.sum(axis=1) / (positions.players - 1)
    others[rows, mover] = -np.inf
    standing = 2 * worth[rows, mover] - others.max(axis=1, initial=-np.inf) - mean
    worth[rows, mover] += np.clip(highest - standing, -GAIN_MAX, GAIN_MAX) / 2
    return worth
