"""Rows as tensors: under the identity as the encoder gives them, under a symmetry as the same row turned."""

import numpy as np
import pytest
import torch

from ringrift_core.game import Board, GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import jit
from ringrift_core.nn.net_evaluator import Encoder
from ringrift_core.search.evaluator import Positions
from ringrift_core.training.batches import Assembler
from ringrift_core.training.stream import Rows
from tests.training_shards import all_rows, games, shard

CPU = torch.device("cpu")
CONFIGS = ["hex8_2p", "square8_3p", "hex8_4p"]


@pytest.fixture(scope="module", params=CONFIGS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Rows]:
    """Rows of a configuration; the last ones of a game have stacks, markers, territory."""
    key, folder = request.param, tmp_path_factory.mktemp("data")
    shard(folder, games(key, 6), key=key)
    rows = all_rows(folder, key=key)
    return key, rows.take(np.arange(0, len(rows), max(1, len(rows) // 60)))


def assembler_of(key: str) -> Assembler:
    return Assembler(ConfigKey.parse(key), CPU)


def test_under_the_identity_rows_are_as_the_encoder_gives_them(made):
    key, rows = made
    inputs, targets = assembler_of(key).assemble(rows, np.zeros(len(rows), np.int64))
    start = GameBatch.start(key, 1)
    positions = Positions(start.board, start.variant.players, rows.states, np.arange(len(rows)), rows.legal)
    for name, array in Encoder(start.board).encode(positions).items():
        np.testing.assert_array_equal(getattr(inputs, name).numpy(), array)
    np.testing.assert_array_equal(targets.policy, rows.policy)
    np.testing.assert_array_equal(targets.value, rows.value)
    np.testing.assert_array_equal(targets.ownership, rows.ownership)
    np.testing.assert_array_equal(targets.score, rows.score)
    assert (targets.ownership.dtype, targets.policy.dtype) == (torch.int64, torch.float32)


def test_kernels_get_arrays_of_the_types_that_they_are_compiled_for(made):
    """Read-only ones would be compiled for anew, in the first step of every machine."""
    key, rows = made
    assembler_of(key).assemble(rows, np.zeros(len(rows), np.int64))
    for name, entry in jit.ENTRIES.items():
        assert set(entry.compiled.signatures) <= {entry.arguments}, name


def test_ids_under_a_symmetry_are_the_legal_ones_of_the_turned_state_and_keep_their_targets(made):
    key, rows = made
    start = GameBatch.start(key, 1)
    batch = GameBatch(start.board, start.variant, rows.states)
    for symmetry in start.board.exact_symmetries:
        which = np.full(len(rows), symmetry)
        inputs, targets = assembler_of(key).assemble(rows, which)
        turned = batch.mapped(which)
        legal, back = turned.legal(), list(start.board.exact_symmetries)
        offsets = rows.legal.offsets
        for i in range(len(rows)):
            ids = inputs.ids[offsets[i] : offsets[i + 1]].numpy()
            assert sorted(ids.tolist()) == legal[i].tolist()
        assert inputs.counts.tolist() == np.diff(offsets).tolist()
        # turned back, an id is the one that had this target
        inverse = inverse_of(start.board, symmetry)
        assert inverse in back
        again = turned.map_ids(np.full(len(rows), inverse), as_ragged(inputs.ids.numpy(), offsets))
        np.testing.assert_array_equal(again, rows.legal.ids)
        np.testing.assert_array_equal(targets.policy, rows.policy)


def as_ragged(ids: np.ndarray, offsets: np.ndarray):
    from ringrift_core.game.batch import Ragged

    return Ragged(ids.astype(np.uint16), offsets)


def inverse_of(board: Board, symmetry: int) -> int:
    image = board.symmetries[symmetry]
    (found,) = [i for i, other in enumerate(board.symmetries) if (other[image] == np.arange(board.cell_count)).all()]
    return found


def test_cells_and_ownership_move_together(made):
    """An owned cell of the image is the image of an owned cell, and so is every field of it."""
    key, rows = made
    board = GameBatch.start(key, 1).board
    assembler = assembler_of(key)
    plain_inputs, plain = assembler.assemble(rows, np.zeros(len(rows), np.int64))
    assert (plain.ownership > 0).any()
    for symmetry in board.exact_symmetries[1:]:
        inputs, targets = assembler.assemble(rows, np.full(len(rows), symmetry))
        for cell, to in enumerate(board.symmetries[symmetry]):
            assert torch.equal(targets.ownership[:, to], plain.ownership[:, cell])
            assert torch.equal(inputs.cells[:, :, to], plain_inputs.cells[:, :, cell])
        assert torch.equal(inputs.globals, plain_inputs.globals)
        assert torch.equal(targets.value, plain.value)
        assert torch.equal(targets.score, plain.score)


def test_each_row_has_a_symmetry_of_its_own(made):
    key, rows = made
    board = GameBatch.start(key, 1).board
    assembler = assembler_of(key)
    mixed = np.array([board.exact_symmetries[i % len(board.exact_symmetries)] for i in range(len(rows))])
    inputs, targets = assembler.assemble(rows, mixed)
    for i in range(0, len(rows), 7):
        one, wanted = assembler.assemble(rows.take(np.array([i])), mixed[[i]])
        first, last = rows.legal.offsets[i : i + 2]
        assert torch.equal(inputs.cells[i], one.cells[0])
        assert torch.equal(inputs.ids[first:last], one.ids)
        assert torch.equal(targets.ownership[i], wanted.ownership[0])


@pytest.mark.parametrize("board_type", ["hex8", "square8", "hexagonal"])
def test_only_symmetries_that_keep_every_rule_are_drawn_and_all_of_them(board_type):
    drawn = assembler_of(f"{board_type}_2p").symmetries(2000, np.random.default_rng(1))
    assert set(drawn.tolist()) == set(Board.of(board_type).exact_symmetries)
    assert len(Board.of("hex8").exact_symmetries) < len(Board.of("hex8").symmetries)
    counts = np.bincount(drawn, minlength=12)[list(Board.of(board_type).exact_symmetries)]
    assert counts.min() > 0.7 * 2000 / len(counts)
