"""Plies and id sequences: a bijection on every legal list of the recorded games and of random play."""

from pathlib import Path

import pytest

from ringrift_core.game import Game
from ringrift_core.game.notation import Position, ply_text, sequences
from ringrift_core.game.record import read_records
from tests.property.random_games import KEYS, random_game

PARITY = Path(__file__).parents[1] / "conformance" / "parity"
FILES = sorted(path for path in PARITY.glob("*.jsonl.gz") if "-raw" not in path.name)


def check_bijection(position: Position) -> None:
    """Every sequence has its own text, and playing it id by id is legal at each step and completes one ply."""
    ids_of: dict[str, tuple[int, ...]] = {}
    for ids in sequences(position):
        assert 1 <= len(ids) <= 3
        text = ply_text(position, ids)
        assert text not in ids_of
        ids_of[text] = ids
    assert len(set(ids_of.values())) == len(ids_of)
    for ids in ids_of.values():
        if len(ids) > 1:
            step = Position(position.board, position.row.copy())
            for number, action_id in enumerate(ids, 1):
                assert action_id in step.legal()
                assert step.goes_on(action_id) == (number < len(ids))
                step.apply(action_id)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_ply_and_ids_are_a_bijection_on_every_recorded_list(path):
    """That the texts are the recorded ones is tested in conformance; here, that no two share ids and back."""
    lists = 0
    for _, record in read_records(path):
        game = Game.from_json(record, plies=0)
        for ply in record["plies"]:
            legal = game.legal()
            assert len(set(legal.values())) == len(legal) == len(ply["l"])
            for action_id in legal[ply["l"][ply["i"]]]:
                game.decide(action_id)
            lists += 1
    assert lists > 2000


@pytest.mark.parametrize("key", KEYS)
def test_sequences_are_legal_step_by_step(key):
    for number, game in enumerate(random_game(key, 2, plies=300)):
        if number % 3 == 0:
            check_bijection(Position(game.board, game.row))
