"""Why a ply is not legal: the broken rule, and the legal plies nearby."""

import re
from collections.abc import Callable, Collection

from ringrift_core.errors import RulesError
from ringrift_core.game.notation import Position
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import PHASE_NAMES, rings_at

NEARBY = 6  # alternatives named in an error
CELL = r"(-?[0-9]{1,4},-?[0-9]{1,4})"
CELLS = rf"{CELL}(?: {CELL})*"
FORMS = {
    "P": rf"{CELL} ([0-9]{{1,4}})",
    "M": rf"{CELL}>{CELL}",
    "C": rf"{CELL}\*{CELL}>{CELL}",
    "K": rf"{CELL}\*{CELL}>{CELL}",
    "RL1": rf"{CELL}>{CELL} @{CELL}",
    "RL2": rf"{CELL}>{CELL} {CELLS}",
    "RF": rf"{CELL}>{CELL} @{CELL}",
    "RS": rf"{CELL}>{CELL} @{CELL}",
    "L": CELLS,
    "O1": CELLS,
    "O2": CELLS,
    "T": CELLS,
    **dict.fromkeys(("EL", "ET", "ER", "F"), CELL),
    **dict.fromkeys(("SP", "NP", "SW", "SC", "NM", "SR", "NL", "ST", "NT"), ""),
}
MEANINGS = {
    "P": "place rings: P cell count",
    "SP": "skip the placement",
    "NP": "no placement is possible",
    "SW": "swap sides (once, seat 2's first turn)",
    "M": "move a stack: M from>to",
    "C": "capture: C from*over>to",
    "SC": "skip the capture",
    "K": "capture on: K from*over>to",
    "NM": "no movement is possible",
    "RL1": "recovery slide, whole line collapses: RL1 from>to @stack that gives up a ring",
    "RL2": "recovery slide, only these cells collapse, free: RL2 from>to cells",
    "RF": "recovery slide without a line: RF from>to @stack",
    "RS": "recovery strike on a stack: RS from>to @stack",
    "SR": "skip the recovery",
    "L": "process a line of exact length: L cells",
    "O1": "collapse a whole long line for one ring: O1 cells",
    "O2": "collapse part of a long line, free: O2 cells",
    "EL": "pay for the line, the top ring of a stack: EL cell",
    "NL": "no line to process",
    "T": "claim a region: T cells",
    "ET": "pay for the region, the cap of a stack: ET cell",
    "ER": "pay for the region, a buried ring: ER cell",
    "ST": "skip the territory",
    "NT": "no region to claim",
    "F": "forced elimination of the cap of a stack: F cell",
}


def why_illegal(position: Position, legal: Collection[str], text: str) -> str:
    """One message for a ply that is not in the legal list."""
    return f"{text!r} is not legal: {_reason(position, legal, text)}.{_alternatives(legal, text)}"


def letters(legal: Collection[str]) -> list[str]:
    """The kinds of ply in a legal list, in the order of MEANINGS."""
    present = {ply.split(" ", 1)[0] for ply in legal}
    return [letter for letter in MEANINGS if letter in present]


def _reason(position: Position, legal: Collection[str], text: str) -> str:
    letter, _, rest = text.partition(" ")
    if not legal:
        return "the game is over"
    if letter not in FORMS:
        return f"there is no ply that begins with {letter!r}; now possible: {', '.join(letters(legal))}"
    form = re.fullmatch(FORMS[letter], rest)
    if form is None:
        return f"it is not written like this: {MEANINGS[letter]}"
    try:
        cells = [position.board.parse_cell(word) for word in re.findall(CELL, rest)]
    except RulesError as error:
        return str(error)
    if letter not in letters(legal):
        return _not_now(position, legal, letter)
    return _CHECKS.get(letter, _other)(position, cells, rest)


def _not_now(position: Position, legal: Collection[str], letter: str) -> str:
    phase = PHASE_NAMES[position.read[at.PHASE]]
    due = " (R070)"
    if position.read[at.LINE_DUE]:
        due = ": a line payment is due (R123)"
    elif position.read[at.REGION_DUE]:
        due = ": a territory payment is due (R145)"
    elif position.read[at.PENDING]:
        due = ": a recovery slide is to be completed (R112)"
    possible = ", ".join(letters(legal))
    return f"{letter} ({MEANINGS[letter]}) is not possible in {phase}{due}; now possible: {possible}"


def _placement(position: Position, cells: list[int], rest: str) -> str:
    code, count = position.read[at.CODE + cells[0]], int(rest.rsplit(maxsplit=1)[-1])
    hand = position.read[at.HAND + position.read[at.PLAYER]]
    if at.EMPTY < code <= at.MARKER_LAST or code > at.COLLAPSED:
        return f"the cell holds {_content(position, cells[0])}; rings go on empty cells or stacks (R080)"
    if not 1 <= count <= at.PLACE_MAX:
        return f"a placement is 1 to {at.PLACE_MAX} rings, not {count} (R080)"
    if code > at.MARKER_LAST and count > 1:
        return "on a stack goes exactly one ring (R080)"
    if count > hand:
        return f"there are {hand} rings in hand (R080)"
    return "the stack would have no legal move or capture afterwards (R081)"


def _source(position: Position, cell: int) -> str:
    """Why the stack on `cell` may not be the one that acts; empty if it may."""
    code, player = position.read[at.CODE + cell], position.read[at.PLAYER]
    if code != at.STACK + player:
        name = position.board.cell_text[cell]
        return f"{name} holds {_content(position, cell)}, not a stack that seat {player} controls (R090)"
    for field, why in ((at.MUST_MOVE, "after its placement"), (at.ACTIVE, "now")):
        only = position.read[field]
        if only not in {at.NONE, cell}:
            return f"only the stack on {position.board.cell_text[only]} may act {why} (R080, R103)"
    return ""


def _ray(position: Position, source: int, landing: int) -> list[int] | None:
    """Cells between two cells of one ray, None when no ray joins them."""
    actions = position.board.actions
    number = actions.ray_number(source, landing)
    return None if number is None else actions.between(number)


def _movement(position: Position, cells: list[int], _rest: str) -> str:
    source, landing = cells
    if why := _source(position, source):
        return why
    between = _ray(position, source, landing)
    if between is None:
        return "the two cells are not on one ray (R091)"
    tall = len(rings_at(position.board, position.row, source))
    if len(between) + 1 < tall:
        return f"a stack of height {tall} moves at least {tall}, this is {len(between) + 1} (R091)"
    return _blocked(position, [*between, landing])


def _blocked(position: Position, path: list[int]) -> str:
    for cell in path:
        if position.read[at.CODE + cell] > at.MARKER_LAST:
            return f"{position.board.cell_text[cell]} on the way holds {_content(position, cell)} (R091)"
    return "the landing is not possible (R091)"


def _capture(position: Position, cells: list[int], _rest: str) -> str:
    source, target, landing = cells
    if why := _source(position, source):
        return why
    between = _ray(position, source, landing)
    if between is None or target not in between:
        return "from, over and to must lie on one ray in this order (R101)"
    rings, targets = rings_at(position.board, position.row, source), rings_at(position.board, position.row, target)
    if not targets:
        return (
            f"{position.board.cell_text[target]} holds {_content(position, target)}, there is nothing to capture (R101)"
        )
    cap, other = (len(r) - len(r.rstrip(r[-1])) for r in (rings, targets))
    if cap < other:
        return f"a cap of {cap} cannot capture a cap of {other} (R101)"
    if len(between) + 1 < len(rings):
        return f"a stack of height {len(rings)} must land at least {len(rings)} away, this is {len(between) + 1} (R101)"
    return _blocked(position, [cell for cell in (*between, landing) if cell != target])


def _line(_position: Position, _cells: list[int], _rest: str) -> str:
    return "these cells are not an eligible line of the player to move, or not in this option (R121, R122)"


def _region(_position: Position, _cells: list[int], _rest: str) -> str:
    return (
        "these cells are not a region that may be claimed now: cut off, fewer colours than in play, payable (R142-R144)"
    )


def _slide(_position: Position, _cells: list[int], _rest: str) -> str:
    return (
        "no such recovery: own marker, one step, a line if any slide makes one, a stack with a buried ring (R111-R113)"
    )


def _elimination(position: Position, cells: list[int], _rest: str) -> str:
    return (
        f"{position.board.cell_text[cells[0]]} holds {_content(position, cells[0])}, it cannot pay (R122, R145, R100)"
    )


def _other(_position: Position, _cells: list[int], _rest: str) -> str:
    return "the rules do not allow it now"


def _content(position: Position, cell: int) -> str:
    code = position.read[at.CODE + cell]
    if code == at.EMPTY:
        return "nothing"
    if code <= at.MARKER_LAST:
        return f"a marker of seat {code}"
    if code <= at.STACK_LAST:
        return f"the stack {rings_at(position.board, position.row, cell)} of seat {code - at.STACK}"
    return f"territory of seat {code - at.COLLAPSED}"


def _alternatives(legal: Collection[str], text: str) -> str:
    """The legal plies that share most with the text: letter first, then the leading cells."""
    if not legal:
        return ""

    def distance(ply: str) -> tuple[int, str]:
        common = 0
        for a, b in zip(ply, text, strict=False):
            if a != b:
                break
            common += 1
        return -common, ply

    near = sorted(legal, key=distance)[:NEARBY]
    more = f" (of {len(legal)})" if len(legal) > len(near) else ""
    return f" Legal nearby{more}: {'; '.join(near)}"


_CHECKS: dict[str, Callable[[Position, list[int], str], str]] = {
    "P": _placement,
    "M": _movement,
    "C": _capture,
    "K": _capture,
    **dict.fromkeys(("L", "O1", "O2"), _line),
    "T": _region,
    **dict.fromkeys(("RL1", "RL2", "RF", "RS"), _slide),
    **dict.fromkeys(("EL", "ET", "ER", "F"), _elimination),
}
