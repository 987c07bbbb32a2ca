"""The state row as Python sees it: making one, reading and writing its JSON form (docs/formats/game-record.md).

The row itself is one flat int16 array (rules/layout.py). Everything read from a file passes `write_state`, which
refuses what is not a position of the game and says where.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import RulesError
from ringrift_core.game.board import Board
from ringrift_core.game.rules import layout as at

Row = npt.NDArray[np.int16]

PHASE_CODES = ("rp", "mv", "cp", "cc", "lp", "tp", "fe")
PHASE_NAMES = (
    "ring_placement",
    "movement",
    "capture",
    "chain_capture",
    "line_processing",
    "territory_processing",
    "forced_elimination",
)
REASONS = (
    "active",
    "ring",
    "territory",
    "lps_rounds",
    "lps_early",
    "stalemate_territory",
    "stalemate_rings",
    "stalemate_markers",
    "stalemate_last_actor",
)
STATE_KEYS = frozenset(["s", "m", "c", "h", "e", "t", "p", "f", "mm", "cc", "le", "rt"])
CELL_FIELDS = 5  # code, height, cap, top, bottom


@dataclass(frozen=True, slots=True)
class Variant:
    """What is agreed before the first ply."""

    players: int
    line_length: int
    swap: bool


def row_words(board: Board, players: int) -> int:
    """Length of a state row in int16 words."""
    return at.CODE + 1 + CELL_FIELDS * board.cell_count + 2 * players * board.shape.rings_per_player


def scratch_words(board: Board) -> int:
    """Length of the scratch array `w`: a queue and five label blocks (rules/territory.py)."""
    return 6 * (board.cell_count + 1)


def new_row(board: Board, variant: Variant) -> Row:
    """The empty board with all rings in hand; the first turn has not begun."""
    row = np.zeros(row_words(board, variant.players), np.int16)
    seats = slice(1, variant.players + 1)
    row[at.SEATS] = variant.players
    row[at.LINE_LENGTH] = variant.line_length
    row[at.SWAP_OPEN] = variant.swap
    row[at.PLAYER] = 1
    row[at.TURN] = 1
    row[[at.MUST_MOVE, at.ACTIVE, at.PENDING_FROM, at.PENDING_TO]] = at.NONE
    row[at.HAND :][seats] = board.shape.rings_per_player
    row[at.OUT_TURN :][seats] = at.NONE
    row[at.AGENT :][seats] = range(1, variant.players + 1)
    row[at.CODE + board.cell_count] = at.OUTSIDE
    return row


def per_seat(row: Row, block: int) -> list[int]:
    """A per-seat block as a list, seat 1 first."""
    values: list[int] = row[block + 1 : block + 1 + row[at.SEATS]].tolist()
    return values


def codes(board: Board, row: Row) -> list[int]:
    """The code of every cell."""
    values: list[int] = row[at.CODE : at.CODE + board.cell_count].tolist()
    return values


def rings_at(board: Board, row: Row, cell: int) -> str:
    """The rings on a cell as owner digits, bottom to top; "" where there is no stack."""
    n = board.cell_count
    base = at.CODE + 1
    if row[base + n + cell] == 0:
        return ""
    pool = base + CELL_FIELDS * n
    size = int(row[at.SEATS]) * board.shape.rings_per_player
    digits = []
    ring = int(row[base + 3 * n + cell])
    while ring != at.NONE:
        digits.append(str(row[pool + ring]))
        ring = int(row[pool + size + ring])
    return "".join(reversed(digits))


def state_json(board: Board, row: Row) -> dict[str, Any]:
    """The state in the form of the recorded games; flags that are off are absent, `p` and `f` not included."""
    stacks, markers, collapsed = {}, {}, {}
    for cell, code in enumerate(codes(board, row)):
        if code == at.EMPTY:
            continue
        if code <= at.MARKER_LAST:
            markers[board.cell_text[cell]] = code
        elif code <= at.STACK_LAST:
            stacks[board.cell_text[cell]] = rings_at(board, row, cell)
        else:
            collapsed[board.cell_text[cell]] = code - at.COLLAPSED
    state: dict[str, Any] = {
        "s": stacks,
        "m": markers,
        "c": collapsed,
        "h": per_seat(row, at.HAND),
        "e": per_seat(row, at.ELIMINATED),
        "t": per_seat(row, at.TERRITORY),
    }
    if row[at.LINE_DUE]:
        state["le"] = 1
    if row[at.MUST_MOVE] != at.NONE:
        state["mm"] = board.cell_text[row[at.MUST_MOVE]]
    if row[at.PHASE] == at.CHAIN:
        state["cc"] = board.cell_text[row[at.ACTIVE]]
    if row[at.RECOVERY_TURN]:
        state["rt"] = 1
    if row[at.LPS_COUNT] > 0:
        state["lp"] = [int(row[at.LPS_COUNT]), int(row[at.LPS_EXCLUSIVE])]
    return state


def write_state(board: Board, row: Row, state: dict[str, Any], *, complete: bool = True) -> None:
    """Put a JSON state onto a new row; RulesError names what is wrong with it.

    `complete`: the ring supply and the territory counts must add up (R052), as they do in every real position; without
    it the position is good for checking single plies, not for playing on.
    """
    unknown = sorted(map(str, set(state) - STATE_KEYS))
    if unknown:
        raise RulesError(f"state: unknown key {unknown[0]!r}; known are {' '.join(sorted(STATE_KEYS))}")
    players = int(row[at.SEATS])
    for key, block in (("h", at.HAND), ("e", at.ELIMINATED), ("t", at.TERRITORY)):
        row[block + 1 : block + 1 + players] = _counts(state, key, players)
    for text, rings in _cells(state, "s"):
        _write_stack(board, row, _free_cell(board, row, "s", text), text, rings)
    for text, owner in _cells(state, "m"):
        _write_owned(board, row, "m", text, owner)
    for text, owner in _cells(state, "c"):
        _write_owned(board, row, "c", text, owner)
    _write_turn(board, row, state)
    _check_supply(board, row, complete=complete)
    for seat in range(1, players + 1):
        if row[at.HAND + seat] == 0 and row[at.RINGS + seat] == 0:
            row[at.OUT_TURN + seat] = 0


def _counts(state: dict[str, Any], key: str, players: int) -> list[int]:
    values = state.get(key)
    if (
        not isinstance(values, list)
        or len(values) != players
        or not all(type(value) is int and 0 <= value < 1000 for value in values)
    ):
        raise RulesError(f"state: {key!r} must be a list of {players} counts, not {values!r}")
    return values


def _cells(state: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    cells = state.get(key, {})
    if not isinstance(cells, dict):
        raise RulesError(f"state: {key!r} must map cells to their content, not {cells!r}")
    return list(cells.items())


def _free_cell(board: Board, row: Row, key: str, text: str) -> int:
    try:
        cell = board.parse_cell(text)
    except RulesError as error:
        raise RulesError(f"state: {key!r}: {error}") from None
    if row[at.CODE + cell] != at.EMPTY:
        raise RulesError(f"state: cell {text} is in {key!r} and elsewhere; a cell is one thing only (R020)")
    return cell


def _write_stack(board: Board, row: Row, cell: int, text: str, rings: object) -> None:
    players = int(row[at.SEATS])
    if not isinstance(rings, str) or not re.fullmatch(f"[1-{players}]+", rings):
        raise RulesError(f"state: stack {text} must be owner digits 1..{players}, bottom to top, not {rings!r}")
    n = board.cell_count
    size = players * board.shape.rings_per_player
    pool = at.CODE + 1 + CELL_FIELDS * n
    first = int(row[at.RING_COUNT])
    if first + len(rings) > size:
        raise RulesError(f"state: more than {size} rings on the board (R020)")
    for i, owner in enumerate(rings):
        row[pool + first + i] = int(owner)
        row[pool + size + first + i] = first + i - 1 if i else at.NONE
        row[at.RINGS + int(owner)] += 1
    last = first + len(rings)
    row[at.RING_COUNT] = last
    controller = int(rings[-1])
    base = at.CODE + 1 + cell
    row[at.CODE + cell] = at.STACK + controller
    row[base + n] = len(rings)
    row[base + 2 * n] = len(rings) - len(rings.rstrip(rings[-1]))
    row[base + 3 * n] = last - 1
    row[base + 4 * n] = first
    row[at.STACKS + controller] += 1


def _write_owned(board: Board, row: Row, key: str, text: str, owner: object) -> None:
    cell = _free_cell(board, row, key, text)
    if type(owner) is not int or not 1 <= owner <= row[at.SEATS]:
        raise RulesError(f"state: {key!r}: {text} must belong to a seat 1..{row[at.SEATS]}, not {owner!r}")
    if key == "m":
        row[at.CODE + cell] = owner
        row[at.MARKERS + owner] += 1
    else:
        row[at.CODE + cell] = at.COLLAPSED + owner


def _write_turn(board: Board, row: Row, state: dict[str, Any]) -> None:
    player = state.get("p", 1)
    if type(player) is not int or not 1 <= player <= row[at.SEATS]:
        raise RulesError(f"state: 'p' must be a seat 1..{row[at.SEATS]}, not {player!r}")
    phase = state.get("f", "rp")
    if phase not in PHASE_CODES:
        raise RulesError(f"state: 'f' must be one of {' '.join(PHASE_CODES)}, not {phase!r}")
    row[at.PLAYER] = player
    row[at.PHASE] = PHASE_CODES.index(phase)
    row[at.ACTED] = phase not in {"rp", "fe"}
    row[at.LINE_DUE] = bool(state.get("le"))
    row[at.RECOVERY_TURN] = bool(state.get("rt"))
    for key, field in (("mm", at.MUST_MOVE), ("cc", at.ACTIVE)):
        if key in state:
            row[field] = board.parse_cell(str(state[key]))


def _check_supply(board: Board, row: Row, *, complete: bool) -> None:
    players = int(row[at.SEATS])
    supply = board.shape.rings_per_player
    if not complete:
        if row[at.RING_COUNT] + at.PLACE_MAX > players * supply:
            raise RulesError("state: the stacks leave no ring to place (R020)")
        return
    for seat in range(1, players + 1):
        owned = int(row[at.RINGS + seat] + row[at.HAND + seat])
        if owned > supply:
            raise RulesError(
                f"state: seat {seat} has {owned} rings on the board and in hand; there are {supply} (R020)"
            )
        given, counted = int(row[at.TERRITORY + seat]), codes(board, row).count(at.COLLAPSED + seat)
        if counted != given:
            raise RulesError(f"state: 't' gives seat {seat} {given} collapsed cells, 'c' has {counted}")
    on_board, in_hand, credited = (sum(per_seat(row, block)) for block in (at.RINGS, at.HAND, at.ELIMINATED))
    if on_board + in_hand + credited != players * supply:
        raise RulesError(
            f"state: {on_board} rings on the board + {in_hand} in hands + {credited} eliminated "
            f"are not {players} x {supply} (R052)"
        )
