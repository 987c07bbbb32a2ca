"""Judges for tests of the search, and positions to search."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ringrift_core.game import Board, GameBatch
from ringrift_core.game.batch import Int16Array
from ringrift_core.game.rules import entries, jit
from ringrift_core.search.evaluator import Evaluation, Float32Array, Positions

LOGIT_STEPS = 1 << 18  # logits are whole numbers of these parts, so that float32 holds them
VALUE_STEPS = 1 << 16  # and values of these, so that sums of 64 of them are exact in float32

Judgement = Callable[[int, int, int], tuple[Float32Array, Float32Array]]


def random_judgement(state_hash: int, count: int, players: int) -> tuple[Float32Array, Float32Array]:
    """Logits and values by seat that are a function of the position alone; the values need not sum to one."""
    rng = np.random.default_rng(state_hash)
    logits = rng.integers(-4 * LOGIT_STEPS, 4 * LOGIT_STEPS, count) / LOGIT_STEPS
    values = rng.integers(0, VALUE_STEPS + 1, players) / VALUE_STEPS
    return logits.astype(np.float32), values.astype(np.float32)


def hash_of(board: Board, row: Int16Array) -> int:
    """State hash of a row."""
    return int(entries.hash_state(jit.for_kernel(board.flat), jit.for_kernel(np.ascontiguousarray(row))))


@dataclass
class HashJudge:
    """Judges every position by its hash, one at a time; keeps how many it was asked about, batch by batch."""

    judgement: Judgement = random_judgement
    asked: list[int] = field(default_factory=list)

    def evaluate(self, positions: Positions) -> Evaluation:
        self.asked.append(len(positions))
        judged = [
            self.judgement(hash_of(positions.board, positions.states[row]), len(positions.legal[i]), positions.players)
            for i, row in enumerate(positions.rows)
        ]
        return Evaluation(np.concatenate([logits for logits, _ in judged]), np.stack([values for _, values in judged]))


def choices_of(batch: GameBatch) -> Int16Array:
    """The states of a batch, each at its next real choice; finished games are left out."""
    batch.advance()
    return np.asarray(batch.states[~batch.over]).copy()


def middle_states(key: str, count: int, seed: int, plies: int) -> Int16Array:
    """States after so many plies of random games."""
    batch = GameBatch.start(key, count)
    batch.play_random(np.arange(seed, seed + count) * 7919 + 1, plies)
    return choices_of(batch)


def late_states(key: str, count: int, seed: int) -> Int16Array:
    """States from the last few plies of random games."""
    found = []
    for number in range(seed, seed + count):
        seeds = np.array([number * 104729 + 1])
        whole = GameBatch.start(key, 1)
        whole.play_random(seeds)
        game = GameBatch.start(key, 1)
        game.play_random(seeds, int(whole.plies[0]) - 4 - number % 9)
        found.append(choices_of(game))
    return np.concatenate(found)
