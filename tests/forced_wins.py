"""Proof of a forced win by looking at everything: slow, and independent of the search."""

import numpy as np

from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray


def winning_decisions(batch: GameBatch, depth: int) -> list[int]:
    """Decisions of a batch of one game after which its mover's agent wins, within `depth`, whatever others do."""
    agent = int(batch.agent_of_seat[0, batch.mover[0] - 1])
    children, ids = expand(batch)
    return [int(i) for i, wins in zip(ids, is_won(children, agent, depth - 1), strict=True) if wins]


def is_won(batch: GameBatch, agent: int, depth: int) -> np.ndarray:
    """Whether an agent has won or can force it within so many decisions, game by game."""
    won = np.zeros(len(batch), bool)
    over = np.flatnonzero(batch.over)
    won[over] = batch.agent_of_seat[over, batch.winner[over] - 1] == agent
    for row in np.flatnonzero(~batch.over) if depth else []:
        children, _ = expand(batch.copy([int(row)]))
        results = is_won(children, agent, depth - 1)
        decides = batch.agent_of_seat[row, batch.mover[row] - 1] == agent
        won[row] = results.any() if decides else results.all()
    return won


def expand(batch: GameBatch) -> tuple[GameBatch, IntArray]:
    """Every decision of a batch of one game, played and advanced."""
    ids = batch.legal()[0].astype(np.int64)
    children = batch.copy(np.zeros(len(ids), np.int64))
    children.apply(ids)
    children.advance()
    return children, ids
