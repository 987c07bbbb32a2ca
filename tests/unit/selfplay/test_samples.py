"""Training rows against a slow computation of the same by playing the games through `Game`."""

from typing import Any

import numpy as np
import pytest

from ringrift_core.errors import InvariantError
from ringrift_core.game import Game, GameBatch
from ringrift_core.selfplay.columns import quantised, restored
from ringrift_core.selfplay.played_game import FULL, PlayedGame
from ringrift_core.selfplay.shard import read_shard, write_shard
from tests.played_games import played_games, shard_head


def slow_rows(key: str, game: PlayedGame) -> list[dict[str, Any]]:
    """The training rows of one game, by `Game`; what belongs to the end is added when it is known."""
    board_game = Game.start(key)
    rows: list[dict[str, Any]] = []
    for number, (choice, flags) in enumerate(zip(game.choices, game.flags, strict=True)):
        board_game.advance()
        legal = board_game.legal_decisions()
        assert len(legal) >= 2
        if flags & FULL:
            cells, values = GameBatch.of(board_game).observe()
            n = board_game.variant.players
            seats = [(board_game.player - 1 + r) % n for r in range(n)]
            agents = [board_game.agent_of_seat[seat] for seat in seats]
            target = game.targets[len(rows)]
            rows.append(
                {
                    "cells": cells[0],
                    "globals": values[0],
                    "legal": legal,
                    "policy": restored(quantised(target), np.array([0, len(target)])),
                    "root_value": [game.root_values[len(rows)][agent - 1] for agent in agents],
                    "surprise": game.surprise[len(rows)],
                    "states": board_game.row,
                    "choice": number,
                    "agents": agents,
                }
            )
        board_game.decide(int(choice))
    board_game.advance()
    for row in rows:
        row.update(final_part(board_game, row.pop("agents")))
    return rows


def final_part(game: Game, agents: list[int]) -> dict[str, Any]:
    """Winner, ownership and score as seen by a row whose relative seats these agents sit on."""
    outcome, board, n = game.outcome, game.board, game.variant.players
    assert outcome is not None
    owners = game.state()["c"]
    seat_of = {agent: seat for seat, agent in enumerate(outcome.agents)}
    ownership = [0] * board.cell_count
    for text, seat in owners.items():
        ownership[board.cell_text.index(text)] = agents.index(outcome.agents[seat - 1]) + 1
    return {
        "win": [float(agent == outcome.winner_agent) for agent in agents],
        "ownership": ownership,
        "score": [
            [
                outcome.eliminated[seat_of[agent]] / board.rings_to_win(n),
                outcome.territory[seat_of[agent]] / board.territory_to_win(n),
            ]
            for agent in agents
        ],
    }


@pytest.mark.parametrize(
    ("key", "games", "seed"),
    [("hex8_2p", 6, 5), ("square8_2p", 4, 5), ("square8_3p", 4, 3), ("hex8_4p", 4, 0), ("square19_2p", 1, 5)],
)
def test_rows_equal_a_slow_computation(tmp_path, key, games, seed):
    played = played_games(key, games, seed)
    samples = read_shard(write_shard(tmp_path, played, shard_head(key))).samples()
    expected = [(i, row) for i, game in enumerate(played) for row in slow_rows(key, game)]
    assert len(samples) == len(expected)
    for at, (number, row) in enumerate(expected):
        assert samples.row_of[at].tolist() == [number, row["choice"]]
        assert samples.legal[at].tolist() == row["legal"]
        for name in ("cells", "globals", "states", "ownership", "win"):
            np.testing.assert_array_equal(getattr(samples, name)[at], row[name], err_msg=name)
        np.testing.assert_allclose(samples.root_value[at], row["root_value"], atol=2**-11)
        np.testing.assert_allclose(samples.score[at], row["score"], rtol=1e-6)
        np.testing.assert_allclose(samples.surprise[at], row["surprise"], rtol=1e-3)
        policy = samples.policy[samples.legal.offsets[at] : samples.legal.offsets[at + 1]]
        np.testing.assert_allclose(policy, row["policy"], rtol=1e-6)


def test_the_games_of_the_comparison_hold_swaps_and_stalemates():
    games = played_games("hex8_2p", 6, seed=5)
    swap = 2027 - 4
    assert 0 < sum(swap in game.choices for game in games) < 6
    for key, seed in (("square8_3p", 3), ("hex8_4p", 0)):
        assert "stalemate_territory" in {game.ending.reason for game in played_games(key, 4, seed)}


def test_types_and_shapes(tmp_path):
    samples = read_shard(write_shard(tmp_path, played_games("hex8_3p", 2), shard_head("hex8_3p"))).samples()
    rows = len(samples)
    found = {name: (array.dtype.name, array.shape) for name, array in arrays(samples).items()}
    assert found == {
        "cells": ("int8", (rows, 14, 61)),
        "globals": ("int16", (rows, 42)),
        "policy": ("float32", (len(samples.legal.ids),)),
        "win": ("float32", (rows, 3)),
        "root_value": ("float32", (rows, 3)),
        "ownership": ("int8", (rows, 61)),
        "score": ("float32", (rows, 3, 2)),
        "surprise": ("float32", (rows,)),
        "states": ("int16", samples.states.shape),
        "row_of": ("int64", (rows, 2)),
    }
    assert samples.legal.is_sound()
    np.testing.assert_allclose(np.add.reduceat(samples.policy, samples.legal.offsets[:-1]), 1, atol=1e-5)
    assert (samples.win.sum(axis=1) == 1).all()


def arrays(samples) -> dict[str, np.ndarray]:
    names = ["cells", "globals", "policy", "win", "root_value", "ownership", "score", "surprise", "states", "row_of"]
    return {name: getattr(samples, name) for name in names}


def test_batches_are_the_same_rows_in_parts(tmp_path):
    shard = read_shard(write_shard(tmp_path, played_games(count=5), shard_head()))
    whole, parts = shard.samples(), list(shard.batches(2))
    assert len(parts) == 3
    for name, array in arrays(whole).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), array)
    np.testing.assert_array_equal(np.concatenate([part.legal.ids for part in parts]), whole.legal.ids)
    with pytest.raises(InvariantError):
        next(shard.batches(0))
    with pytest.raises(InvariantError):
        shard.samples(0, 6)
