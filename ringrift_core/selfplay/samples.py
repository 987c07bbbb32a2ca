"""Training rows of a shard: what a net sees at each choice with a policy target, and what it should say."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift_core.game import GameBatch
from ringrift_core.game.batch import Ragged
from ringrift_core.game.rules import jit
from ringrift_core.game.rules import layout as at
from ringrift_core.selfplay.columns import IntArray, restored
from ringrift_core.selfplay.kernels.replay import observe_rows
from ringrift_core.selfplay.played_game import FULL, Float32Array
from ringrift_core.selfplay.replay import Int16Array, Replayed, Replayer

Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Samples:
    """B rows as arrays. Seats are relative to the mover of the row: seat r moves r seats after it.

    Results belong to agents: entry r is that of the agent that sits on relative seat r at the row, wherever it sits
    at the end of the game.
    """

    cells: Int8Array  # [B, len(GameBatch.CELL_FIELDS), cells] as GameBatch.observe gives them
    globals: Int16Array  # [B, len(GameBatch.GLOBAL_FIELDS)]
    legal: Ragged  # B lists of ids, ascending
    policy: Float32Array  # [len(legal.ids)] targets over the legal ids, each row sums to one
    win: Float32Array  # [B, players] one-hot winner
    root_value: Float32Array  # [B, players] win probability found by the search
    ownership: Int8Array  # [B, cells] seat + 1 whose territory the cell is at the end, 0 = nobody's
    score: Float32Array  # [B, players, 2] at the end: rings eliminated / rings to win, territory / territory to win
    surprise: Float32Array  # [B] KL divergence of the target from the prior
    states: Int16Array  # [B, words] state rows
    row_of: IntArray  # [B, 2] number of the game in the shard, number of the choice in the game

    def __len__(self) -> int:
        return len(self.states)


def samples_of(replayer: Replayer, first: int, last: int) -> Samples:
    """The rows of the games first .. last - 1; StorageError when a game does not replay."""
    columns, replayed = replayer.columns, replayer.replay(first, last)
    rows = slice(replayer.row_offsets[first], replayer.row_offsets[last])
    game_of, choice_of = _origin(replayer, first, last)
    cells, values = _observed(replayer, replayed.rows)
    offsets = replayer.id_offsets[rows.start : rows.stop + 1]
    entries = slice(offsets[0], offsets[-1])
    offsets = offsets - offsets[0]
    agents = _agents(replayed.rows, replayer.seats)
    root_values = columns.root_values[rows].astype(np.float32)
    return Samples(
        cells=cells,
        globals=values,
        legal=Ragged(replayed.legal, offsets),
        policy=restored(columns.policy[entries], offsets),
        win=(agents == columns.winners[first:last][game_of, None] - 1).astype(np.float32),
        root_value=np.take_along_axis(root_values, agents, axis=1),
        ownership=_ownership(replayer, replayed, game_of, agents),
        score=_scores(replayer, replayed.finals)[game_of[:, None], agents],
        surprise=columns.surprise[rows].astype(np.float32),
        states=replayed.rows,
        row_of=np.stack([game_of + first, choice_of], axis=1),
    )


def _origin(replayer: Replayer, first: int, last: int) -> tuple[IntArray, IntArray]:
    """Game, counted from the first one, and choice within the game of each row."""
    offsets = replayer.choice_offsets
    flags = replayer.columns.flags[offsets[first] : offsets[last]]
    choices = np.flatnonzero(flags & FULL) + offsets[first]
    games = np.repeat(np.arange(last - first), np.diff(replayer.row_offsets[first : last + 1]))
    return games, choices - offsets[first + games]


def _observed(replayer: Replayer, states: Int16Array) -> tuple[Int8Array, Int16Array]:
    fields, cell_count = len(GameBatch.CELL_FIELDS), replayer.board.cell_count
    cells = np.zeros((len(states), fields * cell_count), np.int8)
    values = np.zeros((len(states), len(GameBatch.GLOBAL_FIELDS)), np.int16)
    observe_rows(
        jit.for_kernel(replayer.board.flat), jit.for_kernel(states), jit.for_kernel(cells), jit.for_kernel(values)
    )
    return cells.reshape(len(states), fields, cell_count), values


def _agents(states: Int16Array, seats: int) -> IntArray:
    """Agent, from 0, on each relative seat, [B, players]."""
    seat_of = (states[:, at.PLAYER, None] - 1 + np.arange(seats)) % seats
    agents: IntArray = np.take_along_axis(_seats(states, at.AGENT, seats), seat_of, axis=1) - 1
    return agents


def _seats(states: Int16Array, block: int, seats: int) -> IntArray:
    """A per-seat block, seat 1 first, [B, players]."""
    return states[:, block + 1 : block + 1 + seats].astype(np.int64)


def _ownership(replayer: Replayer, replayed: Replayed, game_of: IntArray, agents: IntArray) -> Int8Array:
    seats, finals = replayer.seats, replayed.finals
    owners = finals[:, at.CODE : at.CODE + replayer.board.cell_count].astype(np.int64) - at.COLLAPSED
    owners[owners < 0] = 0
    final_agents = _seats(finals, at.AGENT, seats) - 1
    relative = np.argsort(agents, axis=1)  # relative seat of each agent at the row
    seen = np.zeros((len(agents), seats + 1), np.int8)  # by final seat, 0 = nobody
    seen[:, 1:] = np.take_along_axis(relative, final_agents[game_of], axis=1) + 1
    ownership: Int8Array = np.take_along_axis(seen, owners[game_of], axis=1)
    return ownership


def _scores(replayer: Replayer, finals: Int16Array) -> Float32Array:
    """Rings eliminated and territory by agent, in units of what wins, [games, players, 2]."""
    board, seats = replayer.board, replayer.seats
    stalemate = finals[:, at.REASON, None] >= at.STALEMATE_TERRITORY
    rings = _seats(finals, at.ELIMINATED, seats) + stalemate * _seats(finals, at.HAND, seats)  # R176
    territory = _seats(finals, at.TERRITORY, seats)
    by_seat = np.stack([rings / board.rings_to_win(seats), territory / board.territory_to_win(seats)], axis=2)
    seat_of = np.argsort(_seats(finals, at.AGENT, seats), axis=1)
    scores: Float32Array = np.take_along_axis(by_seat, seat_of[:, :, None], axis=1).astype(np.float32)
    return scores
