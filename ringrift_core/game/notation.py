"""Text notation of plies (docs/formats/notation.md) and the decisions they are made of.

A ply is one to three decisions, and the board stands still until the last of them, so the text of a ply and
all its ids can be read off the state before it.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ringrift_core.game.actions import Kind, Special
from ringrift_core.game.board import Board
from ringrift_core.game.rules import entries, jit
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import Row, scratch_words

Ids = tuple[int, ...]
Uint16Array = npt.NDArray[np.uint16]

SPECIAL_TEXT = {
    Special.SKIP_PLACEMENT: "SP",
    Special.SKIP_CAPTURE: "SC",
    Special.SKIP_TERRITORY: "ST",
    Special.SKIP_RECOVERY: "SR",
    Special.SWAP_SIDES: "SW",
}
NO_ACTION_TEXT = {at.PLACEMENT: "NP", at.MOVEMENT: "NM", at.LINES: "NL", at.TERRITORY_PHASE: "NT"}


class Position:
    """One state row with the scratch that the kernels need: what Game and the notation work on."""

    def __init__(self, board: Board, row: Row) -> None:
        self.board = board
        self.row = row
        self.read = memoryview(row.data)  # the same words as exact Python ints
        self.g = jit.for_kernel(board.flat)
        self.s = jit.for_kernel(row)
        self.w = jit.for_kernel(np.zeros(scratch_words(board), np.int16))
        self._list: Uint16Array = np.zeros(board.actions.size, np.uint16)
        self.out = jit.for_kernel(self._list)

    def legal(self) -> list[int]:
        """Ids of the legal decisions, ascending; empty when the game is over."""
        count = entries.legal_decisions(self.g, self.s, self.w, self.out)
        ids: list[int] = self._list[:count].tolist()
        return ids

    def apply(self, action_id: int) -> None:
        """Carry out a decision that is known to be legal."""
        entries.apply_decision(self.g, self.s, self.w, self.out, action_id)

    def region(self, action_id: int) -> list[int]:
        """Cells of a REGION id, ascending."""
        size = entries.region_cells(self.g, self.s, self.w, action_id)
        return sorted(self.w[:size].tolist())

    def line(self, cell: int, axis: int, *, whole: bool) -> list[int]:
        """Cells of a LINE_ALL (`whole`) or LINE_SEG decision of the line phase or of an open slide."""
        length = self.read[at.LINE_LENGTH]
        if whole:
            length = entries.run_length(self.g, self.s, cell, axis)
        cells = [cell]
        while len(cells) < length:
            cells.append(int(self.board.axis_next[cells[-1], axis]))
        return cells

    def target(self, action_id: int) -> int | None:
        """The stack that a capture of this RAY id passes over, None for a move."""
        for cell in self.board.actions.between(action_id):
            if self.read[at.CODE + cell] > at.MARKER_LAST:
                return cell
        return None

    def goes_on(self, action_id: int) -> bool:
        """True when this legal decision leaves its ply open: all but the last one of a recovery slide."""
        if self.read[at.PENDING]:
            return self.read[at.PENDING] == at.LINE_OPTION and self.board.actions.kind(action_id) is Kind.LINE_ALL
        actions = self.board.actions
        if actions.kind(action_id) is not Kind.RAY:
            return False
        source, _ = actions.ray(action_id)
        return self.read[at.CODE + source] <= at.MARKER_LAST  # a marker moves, not a stack

    def before_ply(self) -> "Position":
        """The position before the ply in hand: the same board, without the open decision."""
        row = self.row.copy()
        row[at.PENDING] = 0
        row[[at.PENDING_FROM, at.PENDING_TO]] = at.NONE
        return Position(self.board, row)


def sequences(position: Position) -> Iterator[Ids]:
    """The id sequence of every legal ply; after a first decision of a ply, of the ways to complete it."""
    for action_id in position.legal():
        if not position.goes_on(action_id):
            yield (action_id,)
            continue
        further = Position(position.board, position.row.copy())
        further.apply(action_id)
        for rest in sequences(further):
            yield (action_id, *rest)


def ply_text(position: Position, ids: Ids) -> str:
    """Text of a whole ply, read off the state before it."""
    if len(ids) > 1:
        return _slide_text(position, ids)
    return _WRITERS[position.board.actions.kind(ids[0])](position, ids[0])


def _cells_text(position: Position, cells: list[int]) -> str:
    return " ".join(position.board.cell_text[cell] for cell in cells)


def _place_text(position: Position, action_id: int) -> str:
    cell, rest = divmod(action_id, at.PLACE_MAX)
    return f"P {position.board.cell_text[cell]} {rest + 1}"


def _ray_text(position: Position, action_id: int) -> str:
    text = position.board.cell_text
    source, landing = position.board.actions.ray(action_id)
    target = position.target(action_id)
    if target is None:
        return f"M {text[source]}>{text[landing]}"
    letter = "K" if position.read[at.PHASE] == at.CHAIN else "C"
    return f"{letter} {text[source]}*{text[target]}>{text[landing]}"


def _line_text(position: Position, action_id: int) -> str:
    action = position.board.decode(action_id)
    whole = action.kind is Kind.LINE_ALL
    cells = position.line(action.cell, action.number, whole=whole)
    letter = "O2"
    if whole:
        letter = "L" if len(cells) == position.read[at.LINE_LENGTH] else "O1"
    return f"{letter} {_cells_text(position, cells)}"


def _elimination_text(position: Position, action_id: int) -> str:
    row = position.read
    if row[at.LINE_DUE]:
        letter = "EL"
    elif row[at.REGION_DUE]:
        letter = "ER" if row[at.RECOVERY_TURN] else "ET"
    else:
        letter = "F"
    return f"{letter} {position.board.cell_text[position.board.decode(action_id).cell]}"


def _region_text(position: Position, action_id: int) -> str:
    return f"T {_cells_text(position, position.region(action_id))}"


def _special_text(position: Position, action_id: int) -> str:
    special = list(Special)[position.board.decode(action_id).number]
    if special is Special.NO_ACTION:
        return NO_ACTION_TEXT[position.read[at.PHASE]]
    return SPECIAL_TEXT[special]


def _slide_text(position: Position, ids: Ids) -> str:
    board = position.board
    source, landing = board.actions.ray(ids[0])
    slide = f"{board.cell_text[source]}>{board.cell_text[landing]}"
    last = board.decode(ids[-1])
    if last.kind is Kind.LINE_SEG:
        return f"RL2 {slide} {_cells_text(position, position.line(last.cell, last.number, whole=False))}"
    letter = "RL1"
    if position.read[at.CODE + landing] != at.EMPTY:
        letter = "RS"
    elif len(ids) == 2 and not entries.slide_forms_line(position.g, position.s, source, landing):
        letter = "RF"
    return f"{letter} {slide} @{board.cell_text[last.cell]}"


_WRITERS: dict[Kind, Callable[[Position, int], str]] = {
    Kind.PLACE: _place_text,
    Kind.RAY: _ray_text,
    Kind.LINE_ALL: _line_text,
    Kind.LINE_SEG: _line_text,
    Kind.ELIM: _elimination_text,
    Kind.REGION: _region_text,
    Kind.SPECIAL: _special_text,
}
