"""Board: cells, action table, symmetries."""

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Board
from ringrift_core.game.actions import Action, Kind
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey
from ringrift_core.game.geometry import BOARD_TYPES

BOARDS = [Board.of(board_type) for board_type in BOARD_TYPES]
boards = pytest.mark.parametrize("board", BOARDS, ids=BOARD_TYPES)


@boards
def test_cells_are_numbered_in_x_y_order(board):
    assert list(board.cells) == sorted(board.cells)
    assert [board.parse_cell(text) for text in board.cell_text] == list(range(board.cell_count))


@boards
def test_every_id_decodes_to_an_action_that_encodes_to_it(board):
    kinds = []
    for action_id in range(board.actions.size):
        action = board.decode(action_id)
        kinds.append(action.kind)
        spare = action.kind is Kind.SPECIAL and action.number > 5
        if not spare:
            assert board.encode(action) == action_id
    assert list(dict.fromkeys(kinds)) == list(Kind)


@boards
def test_rays_run_straight_in_id_order(board):
    for ray, (source, landing) in enumerate(zip(board.ray_from.tolist(), board.ray_to.tolist(), strict=True)):
        dx, dy = board.directions[int(board.ray_direction[ray])]
        between = board.actions.between(ray + board.actions.first[Kind.RAY])
        distance = len(between) + 1
        x, y = board.cells[source]
        assert board.cells[landing] == (x + dx * distance, y + dy * distance)
        assert [board.cells[cell] for cell in between] == [(x + dx * d, y + dy * d) for d in range(1, distance)]


@boards
def test_symmetries_form_a_group_that_keeps_neighbours(board):
    images = {tuple(row) for row in board.symmetries.tolist()}
    assert len(images) == len(board.symmetries) == (12 if board.shape.hexagonal else 8)
    assert tuple(range(board.cell_count)) in images
    for a in board.symmetries[1:3]:
        for b in board.symmetries:
            assert tuple(b[a].tolist()) in images
    padded = np.append(board.symmetries[-1], board.cell_count)
    for cell in range(board.cell_count):
        assert set(padded[board.neighbours[cell]]) == set(board.neighbours[board.symmetries[-1][cell]])


def test_only_hex8_has_symmetries_that_break_a_rule():
    assert [len(board.exact_symmetries) for board in BOARDS] == [8, 8, 4, 12]


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "8,0", "-1,0", "1.0,2"])
def test_a_cell_that_is_none_of_the_board_is_refused(text):
    with pytest.raises(RulesError):
        Board.of("square8").parse_cell(text)


@pytest.mark.parametrize(
    "action",
    [
        Action(Kind.PLACE, 0, 4),
        Action(Kind.PLACE, 0, 0),
        Action(Kind.PLACE, 64, 1),
        Action(Kind.RAY, 0, 10),
        Action(Kind.ELIM, -1, 0),
        Action(Kind.REGION, 3, 5),
        Action(Kind.SPECIAL, -1, 8),
        Action(Kind.LINE_ALL, 3, 4),
    ],
)
def test_an_action_outside_the_table_is_refused(action):
    with pytest.raises(RulesError):
        Board.of("square8").encode(action)


@pytest.mark.parametrize("action_id", [-1, 2552, 10**9])
def test_an_id_outside_the_table_is_refused(action_id):
    with pytest.raises(RulesError, match="outside the table"):
        Board.of("square8").decode(action_id)


def test_an_unknown_board_or_config_key_names_the_known_ones():
    with pytest.raises(RulesError, match="square8, square19, hex8, hexagonal"):
        Board.of("hex9")
    with pytest.raises(RulesError, match="hexagonal_4p"):
        ConfigKey.parse("hex8-2p")
    with pytest.raises(RulesError, match="2, 3 or 4"):
        ConfigKey("hex8", 5)
    assert [ConfigKey.parse(str(key)) for key in CONFIG_KEYS] == list(CONFIG_KEYS)
    assert len(CONFIG_KEYS) == 12


@boards
def test_what_a_board_hands_out_cannot_be_changed(board):
    with pytest.raises(ValueError, match="read-only"):
        board.ray_to[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        board.flat[0] = 1
