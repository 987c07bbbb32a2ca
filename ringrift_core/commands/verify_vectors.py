"""`ringrift verify-vectors`: the reference's hand-made single-step vectors against the engine.

A vector is a state, a move, and assertions about the state after it. The states are sparse (rings need not add up), and
the reference applies many moves without testing their legality: captures that land too near, claims of cells that are
cut off by nothing, payments that nobody owes. Of such moves the effect is checked, and their number is reported.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift_core.commands.paths import files_below
from ringrift_core.commands.verify_traces import TRACE_REASONS, MismatchError
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.actions import Action, Kind, Special
from ringrift_core.game.board import Board
from ringrift_core.game.notation import Position, ply_text, sequences
from ringrift_core.game.rules import entries
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import (
    PHASE_CODES,
    PHASE_NAMES,
    REASONS,
    Row,
    Variant,
    codes,
    new_row,
    per_seat,
    rings_at,
    write_state,
)

STATUS_FILE = "ts-status.json"
SKIPPED_STATUS = ("rejected", "chain-illegal")
CHECKED = re.compile(
    r"current(Player|Phase)|gameStatus|(stack|marker|collapsed|extraction)Count|victory(Winner|Reason)|noLineCollapse"
    r"|player[1-4](RingsInHand|EliminatedRings|TerritorySpaces)|totalCapturesInChain|finalStack(Height|Controller)"
    r"|targetStacksRemaining|markersCreated"
)
NO_EFFECT = {"choose_territory_option": "disconnectedRegions", "choose_line_option": "formedLines"}
SIMPLE = {
    "skip_placement": "SP",
    "no_placement_action": "NP",
    "swap_sides": "SW",
    "no_movement_action": "NM",
    "skip_capture": "SC",
    "skip_recovery": "SR",
    "no_line_action": "NL",
    "skip_territory_processing": "ST",
    "no_territory_action": "NT",
}


class Skip(Exception):  # noqa: N818 - not an error: the vector is left out, the message says why
    """The vector cannot be an expectation."""


@dataclass(slots=True)
class Tally:
    """What became of the vectors."""

    vectors: int = 0
    passed: int = 0
    mismatches: int = 0
    effects: int = 0  # passed, but not legal by the rules page
    unchecked: Counter[str] = field(default_factory=Counter)  # assertions that are none of CHECKED
    skips: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.vectors += other.vectors
        self.passed += other.passed
        self.mismatches += other.mismatches
        self.effects += other.effects
        self.unchecked += other.unchecked
        self.skips += other.skips


def verify_vectors(paths: list[Path], write: Callable[[str], None]) -> int:
    """Check all vectors, one line per file, the first mismatch in full; return the exit code."""
    total = Tally()
    for path in files_below(paths, (".vectors.json",)):
        tally, first = verify_file(path)
        notes = "".join(f"; skipped {count}: {why}" for why, count in tally.skips.items())
        if tally.effects:
            notes = f"; {tally.effects} of the passed are effects of moves that are not legal{notes}"
        if tally.unchecked:
            notes += f"; not checked: {', '.join(sorted(tally.unchecked))}"
        write(f"{path.name}: vectors={tally.vectors} passed={tally.passed} mismatches={tally.mismatches}{notes}")
        if first and not total.mismatches:
            write(f"first mismatch: {first}")
        total.add(tally)
    write(f"vectors={total.vectors} passed={total.passed} skipped={total.skips.total()} mismatches={total.mismatches}")
    return 1 if total.mismatches else 0


def verify_file(path: Path) -> tuple[Tally, str]:
    """The tally of one file and its first mismatch."""
    statuses = _load(path.parent / STATUS_FILE) if (path.parent / STATUS_FILE).exists() else {}
    tally, first = Tally(), ""
    document = _load(path)
    if not isinstance(document.get("vectors"), list):
        raise StorageError(f"{path}: has no list 'vectors'")
    for vector in document["vectors"]:
        tally.vectors += 1
        name = str(vector.get("id")) if isinstance(vector, dict) else repr(vector)
        try:
            tally.effects += not verify_vector(vector, str(statuses.get(name, {}).get("ts", "")))
            tally.passed += 1
            tally.unchecked += Counter(
                key for key in vector["expectedOutput"]["assertions"] if not CHECKED.fullmatch(key)
            )
        except Skip as skip:
            tally.skips[str(skip)] += 1
        except (MismatchError, RulesError, KeyError, TypeError, AttributeError) as error:
            tally.mismatches += 1
            first = first or f"{path.name}: {name}: {type(error).__name__}: {error}"
    return tally, first


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise StorageError(f"{path}: must be a JSON object")
    return document


def verify_vector(vector: dict[str, Any], status: str) -> bool:
    """Check one vector; `status` is what the reference itself does with it ("" where unknown).

    True when all its moves are legal, False when only their effect could be checked.
    """
    if status.startswith(SKIPPED_STATUS):
        raise Skip(status.split(":", maxsplit=1)[0])
    move = vector["input"].get("move") or vector["input"]["initialMove"]
    try:
        position = read_position(vector["input"]["state"], move)
    except RulesError as error:
        if vector.get("skip"):
            raise Skip(f"not a position: {error}") from None
        raise
    before = position.row.copy()
    moves = [move] + [
        {**segment, "type": "continue_capture_segment", "to": segment["landing"]}
        for segment in vector["input"].get("expectedChainSequence", [])
        if segment["landing"] != move["to"] or segment["captureTarget"] != move.get("captureTarget")
    ]
    legal = [play_move(position, segment) for segment in moves]
    if status == "after-bookkeeping":
        finish_turn(position)
    wrong = differences(position, before, vector, moves)
    if wrong and not status and vector["expectedOutput"].get("status") == "complete":
        finish_turn(position)  # no word on when the assertions hold: after the turn will do
        wrong = differences(position, before, vector, moves)
    if wrong:
        raise MismatchError("; ".join(wrong))
    return all(legal)


def cell_of(board: Board, value: Any) -> int:  # noqa: ANN401 - a cell as the vectors write it, checked here
    """Cell of {"x", "y"[, "z"]} or of a key "x,y[,z]"."""
    if isinstance(value, str):
        return board.parse_cell(",".join(value.split(",")[:2]))
    return board.parse_cell(f"{value['x']},{value['y']}")


def read_position(state: dict[str, Any], move: dict[str, Any]) -> Position:
    """The state of a vector; a lone player gets an opponent without rings."""
    source = state["board"]
    board = Board.of(source["type"])
    seats = list(state["players"])
    players = max(2, len(seats))
    counts = {
        key: [int(seat.get(name, 0)) for seat in seats] + [0] * (players - len(seats))
        for key, name in (("h", "ringsInHand"), ("e", "eliminatedRings"), ("t", "territorySpaces"))
    }

    def text(key: str) -> str:
        return board.cell_text[cell_of(board, key)]

    row = new_row(board, Variant(players, board.line_length(players), swap=False))
    phase = PHASE_CODES[PHASE_NAMES.index(state["currentPhase"])]
    document = {
        **counts,
        "s": {text(key): "".join(map(str, reversed(stack["rings"]))) for key, stack in source["stacks"].items()},
        "m": {text(key): marker["player"] for key, marker in source["markers"].items()},
        "c": {text(key): owner for key, owner in source["collapsedSpaces"].items()},
        "p": state["currentPlayer"],
        "f": phase,
    }
    write_state(board, row, document, complete=False)
    if phase in {"cp", "cc"}:
        row[at.ACTIVE] = cell_of(board, move["from"])
    if move["type"] == "eliminate_rings_from_stack":  # the state does not say what is due, the move implies it
        row[at.LINE_DUE] = phase == "lp"
        row[at.REGION_DUE] = phase == "tp"
        row[at.RECOVERY_TURN] = move.get("eliminationContext") == "recovery"
    shift_thresholds(board, row, state)
    return Position(board, row)


def shift_thresholds(board: Board, row: Row, state: dict[str, Any], sign: int = 1) -> None:
    """Move the counters that victory is tested on, so that a threshold given in the state stands in for the normal one.

    Territory is compared between seats as well, where an equal shift cancels out with two seats only.
    """
    players = int(row[at.SEATS])
    seats = slice(1, players + 1)
    rings, territory = board.rings_to_win(players), board.territory_to_win(players)
    row[at.ELIMINATED :][seats] += sign * (rings - int(state.get("victoryThreshold", rings)))
    if players == 2:
        row[at.TERRITORY :][seats] += sign * (territory - int(state.get("territoryVictoryThreshold", territory)))


def play_move(position: Position, move: dict[str, Any]) -> bool:
    """Carry out a move: True for a legal ply, False where only the effect could be had."""
    kind = move["type"]
    if kind in NO_EFFECT and not move.get(NO_EFFECT[kind]):
        return False
    wanted = tuple(f"{prefix} " for prefix in _ply_prefixes(position, move))
    for ids in sequences(position):
        if f"{ply_text(position, ids)} ".startswith(wanted):
            for action_id in ids:
                position.apply(action_id)
            return True
    if kind not in _EFFECTS:
        raise MismatchError(f"no legal ply begins with {' or '.join(wanted)}")
    _EFFECTS[kind](position, move)
    return False


def _claim(position: Position, move: dict[str, Any]) -> None:
    cells = [cell_of(position.board, cell) for cell in move["disconnectedRegions"][0]["spaces"]]
    for i, cell in enumerate(cells):
        position.w[i] = cell
    entries.claim_cells(position.g, position.s, position.w, len(cells))


def _pay(position: Position, move: dict[str, Any]) -> None:
    cell = cell_of(position.board, move["to"])
    if position.read[at.CODE + cell] != at.STACK + position.read[at.PLAYER]:
        raise MismatchError(f"the mover controls no stack on {position.board.cell_text[cell]}")
    position.apply(position.board.encode(Action(Kind.ELIM, cell, 0)))


def _capture(position: Position, move: dict[str, Any]) -> None:
    board = position.board
    source, target, landing = (cell_of(board, move[key]) for key in ("from", "captureTarget", "to"))
    ray = board.actions.ray_number(source, landing)
    controlled = position.read[at.CODE + source] == at.STACK + position.read[at.PLAYER]
    if ray is None or not controlled or position.target(ray) != target:
        raise MismatchError("the capture has no stack of the mover to start from, or another target on its ray")
    position.apply(ray)


_EFFECTS: dict[str, Callable[[Position, dict[str, Any]], None]] = {
    "choose_territory_option": _claim,
    "eliminate_rings_from_stack": _pay,
    "overtaking_capture": _capture,
    "continue_capture_segment": _capture,
}


def _ply_prefixes(position: Position, move: dict[str, Any]) -> tuple[str, ...]:
    """The texts that a move may begin with."""
    board, kind = position.board, move["type"]
    if kind in SIMPLE:
        return (SIMPLE[kind],)

    def text(key: str) -> str:
        return board.cell_text[cell_of(board, move[key])]

    def texts(cells: list[Any]) -> str:
        return " ".join(board.cell_text[cell] for cell in sorted(cell_of(board, cell) for cell in cells))

    if kind == "place_ring":
        return (f"P {text('to')} {move.get('placementCount', 1)}",)
    if kind == "move_stack":
        return (f"M {text('from')}>{text('to')}",)
    if kind in {"overtaking_capture", "continue_capture_segment"}:
        return tuple(f"{letter} {text('from')}*{text('captureTarget')}>{text('to')}" for letter in "CK")
    if kind == "recovery_slide":
        slide = f"{text('from')}>{text('to')}"
        if move.get("option") == 2:
            return (f"RL2 {slide} {texts(move['collapsePositions'])}",)
        return (f"RL1 {slide}", f"RF {slide}", f"RS {slide}")
    if kind in {"process_line", "choose_line_option"}:
        whole = texts(move["formedLines"][0]["positions"])
        part = texts(move.get("collapsedMarkers") or move["formedLines"][0]["positions"])
        return (f"O2 {part}", f"O1 {whole}", f"L {whole}")
    if kind in {"forced_elimination", "eliminate_rings_from_stack"}:
        return tuple(f"{letter} {text('to')}" for letter in ("F", "EL", "ET", "ER"))
    if kind == "choose_territory_option":
        return (f"T {texts(move['disconnectedRegions'][0]['spaces'])}",)
    raise MismatchError(f"unknown move type {kind!r}")


def finish_turn(position: Position) -> None:
    """What the reference's runner adds: the rest of a capture chain and the bookkeeping."""
    turn = position.read[at.TURN]
    no_action = position.board.actions.first[Kind.SPECIAL] + list(Special).index(Special.NO_ACTION)
    while position.read[at.TURN] == turn and not position.read[at.REASON]:
        if position.read[at.PHASE] in {at.LINES, at.TERRITORY_PHASE}:
            position.apply(no_action)
            continue
        if position.read[at.PHASE] not in {at.CAPTURE, at.CHAIN}:
            return
        position.apply(position.legal()[0])


def differences(position: Position, before: Row, vector: dict[str, Any], moves: list[dict[str, Any]]) -> list[str]:
    """The assertions that do not hold."""
    before, after = before.copy(), Position(position.board, position.row.copy())
    for row in (before, after.row):
        shift_thresholds(position.board, row, vector["input"]["state"], sign=-1)
    values = _values(after, before)
    if "captureTarget" in moves[0]:
        values |= _chain_values(position, moves)
    return [
        f"{key}: expected {want!r}, computed {values[key]!r}"
        for key, want in vector["expectedOutput"]["assertions"].items()
        if key in values and values[key] != want
    ]


def _values(position: Position, before: Row) -> dict[str, Any]:
    row, board = position.row, position.board
    over = bool(row[at.REASON])
    stacks, markers, collapsed = _counts(board, row)
    _, markers_before, collapsed_before = _counts(board, before)
    values: dict[str, Any] = {
        "currentPlayer": int(row[at.PLAYER]),
        "currentPhase": "game_over" if over else PHASE_NAMES[row[at.PHASE]],
        "gameStatus": "completed" if over else "active",
        "stackCount": stacks,
        "markerCount": markers,
        "collapsedCount": collapsed,
        "victoryWinner": int(row[at.WINNER]) or None,
        "victoryReason": TRACE_REASONS.get(REASONS[row[at.REASON]]),
        "extractionCount": sum(per_seat(row, at.ELIMINATED)) - sum(per_seat(before, at.ELIMINATED)),
        "noLineCollapse": collapsed == collapsed_before,
        "markersCreated": markers - markers_before,
    }
    for block, name in (
        (at.HAND, "RingsInHand"),
        (at.ELIMINATED, "EliminatedRings"),
        (at.TERRITORY, "TerritorySpaces"),
    ):
        for seat, value in enumerate(per_seat(row, block), 1):
            values[f"player{seat}{name}"] = value
    return values


def _counts(board: Board, row: Row) -> tuple[int, int, int]:
    """Stacks, markers and collapsed cells."""
    kinds = codes(board, row)
    return (
        sum(at.STACK < code <= at.STACK_LAST for code in kinds),
        sum(at.EMPTY < code <= at.MARKER_LAST for code in kinds),
        sum(code > at.COLLAPSED for code in kinds),
    )


def _chain_values(position: Position, moves: list[dict[str, Any]]) -> dict[str, Any]:
    """Assertions about a capture chain."""
    board, row = position.board, position.row
    rings = rings_at(board, row, cell_of(board, moves[-1]["to"]))
    targets = {cell_of(board, move["captureTarget"]) for move in moves}
    return {
        "totalCapturesInChain": len(moves),
        "finalStackHeight": len(rings),
        "finalStackController": int(rings[-1]) if rings else None,
        "targetStacksRemaining": sum(rings_at(board, row, cell) != "" for cell in targets),
    }
