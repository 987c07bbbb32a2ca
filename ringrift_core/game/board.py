"""Board: the door to everything that depends on the board alone (geometry, action table, symmetries)."""

import re
from dataclasses import dataclass
from functools import cache

from ringrift_core.errors import RulesError
from ringrift_core.game import geometry as geo
from ringrift_core.game.actions import Action, ActionTable
from ringrift_core.game.geometry import Cell, Int32Array
from ringrift_core.game.rules import layout as at

CELL = re.compile(r"(0|-?[1-9][0-9]?),(0|-?[1-9][0-9]?)")  # one spelling for each cell


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """One board type. Cells are numbered in (x, y) order; get one with `Board.of("hex8")`.

    Arrays are int32, built once and read-only; the number `cell_count` stands for "off the board".
    """

    board_type: str
    shape: geo.Shape
    cells: tuple[Cell, ...]  # (x, y) of each cell; axial on hex boards
    index: dict[Cell, int]  # the inverse
    directions: tuple[Cell, ...]  # ray directions
    axes: tuple[Cell, ...]  # line axes, towards higher cell numbers
    ray_start: Int32Array  # [cells * directions + 1] first entry of each ray in ray_to
    ray_to: Int32Array  # [rays] destinations by (from, direction, distance): the order of the RAY ids
    ray_from: Int32Array  # [rays]
    ray_direction: Int32Array  # [rays]
    neighbours: Int32Array  # [cells, 4 or 6] territory neighbours (R140)
    axis_next: Int32Array  # [cells, axes]
    symmetries: Int32Array  # [8 or 12, cells] image of each cell, the identity first
    exact_symmetries: tuple[int, ...]  # those that keep every rule; on hex8 border growth (R145) breaks the others
    actions: ActionTable
    flat: Int32Array  # the same for the kernels, see rules/layout.py
    cell_text: tuple[str, ...]  # "x,y" of each cell

    @staticmethod
    def of(board_type: str) -> "Board":
        """The board of a type (square8, square19, hex8, hexagonal); RulesError for an unknown one."""
        if board_type not in geo.BOARD_TYPES:
            raise RulesError(f"there is no board type {board_type!r}; choose one of {', '.join(geo.BOARD_TYPES)}")
        return _build(board_type)

    @property
    def cell_count(self) -> int:
        """Number of cells."""
        return len(self.cells)

    def line_length(self, players: int) -> int:
        """Markers in a line that must be processed (R120)."""
        return self.shape.line_lengths[players - 2]

    def rings_to_win(self, players: int) -> int:
        """Eliminated rings that win (R061)."""
        return self.shape.rings_per_player * (players + 1) // 3

    def territory_to_win(self, players: int) -> int:
        """Collapsed cells that win, if they are also more than all opponents have together (R062)."""
        return self.cell_count // players + 1

    def parse_cell(self, text: str) -> int:
        """Number of the cell written "x,y"; RulesError when it is none of this board."""
        match = CELL.fullmatch(str(text))
        if match is None:
            raise RulesError(f"{text!r} is not a cell; write x,y such as {self.cell_text[0]}")
        cell = int(match[1]), int(match[2])
        if cell not in self.index:
            raise RulesError(f"{text} is not on {self.board_type} (R001)")
        return self.index[cell]

    def encode(self, action: Action) -> int:
        """Id of an action; RulesError when the table has none for it."""
        return self.actions.encode(action)

    def decode(self, action_id: int) -> Action:
        """Action of an id; RulesError when it is outside the table."""
        return self.actions.decode(action_id)


@cache
def _build(board_type: str) -> Board:
    shape = geo.SHAPES[board_type]
    cells = geo.cells_of(shape)
    index = {cell: i for i, cell in enumerate(cells)}
    dirs = geo.HEX_DIRS if shape.hexagonal else geo.SQUARE_DIRS
    axes = geo.HEX_AXES if shape.hexagonal else geo.SQUARE_AXES
    rays = geo.rays(cells, index, dirs)
    sides = geo.neighbours(cells, index, geo.HEX_DIRS if shape.hexagonal else geo.SQUARE_SIDES)
    axis_next = geo.neighbours(cells, index, axes)
    axis_prev = geo.neighbours(cells, index, tuple((-x, -y) for x, y in axes))
    matrices = geo.symmetry_matrices(shape)
    symmetries = geo.symmetry_cells(shape, cells, index, matrices)
    tables = {
        **dict(zip((at.RAY_START, at.RAY_TO, at.RAY_FROM, at.RAY_DIR), rays, strict=True)),
        at.SIDE: sides,
        at.KING: geo.neighbours(cells, index, geo.SQUARE_DIRS),
        at.AXIS_NEXT: axis_next,
        at.AXIS_PREV: axis_prev,
        at.SYM_CELL: symmetries,
        at.SYM_DIR: geo.images(matrices, dirs, signed=True),
        at.SYM_AXIS: geo.images(matrices, axes, signed=False),
    }
    blocks = geo.action_blocks(len(cells), len(axes), len(rays[1]))
    sizes = {
        at.CELLS: len(cells),
        at.DIRS: len(dirs),
        at.AXES: len(axes),
        at.SIDES: sides.shape[1],
        at.RINGS_PER_PLAYER: shape.rings_per_player,
        at.BORDER_GROWS: int(shape.border_grows),
        at.SYMMETRIES: len(matrices),
        **blocks,
    }
    arrays = (*rays, sides, axis_next, symmetries)
    for array in arrays:
        array.flags.writeable = False
    exact = geo.keeping(matrices, geo.SQUARE_DIRS if shape.border_grows else dirs)
    table = ActionTable(blocks, len(axes), rays[0], rays[2], rays[1])
    text = tuple(f"{x},{y}" for x, y in cells)
    flat = geo.flatten(sizes, tables)
    return Board(board_type, shape, cells, index, dirs, axes, *arrays, exact, table, flat, text)
