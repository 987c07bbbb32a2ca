"""Raw observation of a state, mover-relative: what a net's input planes are made from, without one-hots.

Cell fields are int8, clipped at 127; global fields are int16. Relative seat r is the r-th seat after the mover, 0 the
mover; fields that hold a seat hold r + 1, and 0 for nobody. The names are in `CELL_FIELDS` and `GLOBAL_FIELDS`.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import below, bottom, cap, colour, height, top

CELL_FIELDS = (
    "controller",  # seat
    "height",
    "cap",
    "rings_0",  # rings of relative seat 0 anywhere in the stack
    "rings_1",
    "rings_2",
    "rings_3",
    "second",  # seat of the second, third, fourth ring from the top
    "third",
    "fourth",
    "bottom",  # seat of the lowest ring
    "marker",  # seat
    "collapsed",  # seat
    "role",  # bits: 1 must move, 2 capturing stack, 4 slide from, 8 slide to
)
PER_SEAT = ("hand", "eliminated", "territory", "markers", "stacks", "rings", "lps_action")
STATE_FIELDS = (
    "phase",
    "pending",
    "line_due",
    "region_due",
    "recovery_turn",
    "acted",
    "swap_open",
    "lps_exclusive",  # seat
    "lps_count",
    "players",
    "line_length",
    "turn",
    "mover",  # absolute seat 1..n
    "lps_first",  # seat
)
GLOBAL_FIELDS = STATE_FIELDS + tuple(f"{name}_{seat}" for name in PER_SEAT for seat in range(4))

CONTROLLER = CELL_FIELDS.index("controller")
HEIGHT = CELL_FIELDS.index("height")
CAP = CELL_FIELDS.index("cap")
RINGS = CELL_FIELDS.index("rings_0")
SECOND = CELL_FIELDS.index("second")
BOTTOM = CELL_FIELDS.index("bottom")
MARKER = CELL_FIELDS.index("marker")
COLLAPSED = CELL_FIELDS.index("collapsed")
ROLE = CELL_FIELDS.index("role")
DEPTHS = 3  # rings under the top one that are shown singly
CLIP = 127
PER_SEAT_START = len(STATE_FIELDS)


@kernel
def relative(s: Words, seat: int) -> int:
    """Relative seat + 1 of a seat; 0 for nobody."""
    if seat == 0:
        return 0
    return (seat - s[at.PLAYER] + s[at.SEATS]) % s[at.SEATS] + 1


@kernel
def observe_stack(g: Table, s: Words, cell: int, cells: Words) -> None:
    """The fields of one stack."""
    n = g[at.CELLS]
    cells[CONTROLLER * n + cell] = relative(s, s[at.CODE + cell] - at.STACK)
    cells[HEIGHT * n + cell] = min(height(g, s, cell), CLIP)
    cells[CAP * n + cell] = min(cap(g, s, cell), CLIP)
    cells[BOTTOM * n + cell] = relative(s, colour(g, s, bottom(g, s, cell)))
    depth = -1
    ring = top(g, s, cell)
    while ring != at.NONE:
        seat = relative(s, colour(g, s, ring))
        field = (RINGS + seat - 1) * n + cell
        cells[field] = min(cells[field] + 1, CLIP)
        if 0 <= depth < DEPTHS:
            cells[(SECOND + depth) * n + cell] = seat
        depth += 1
        ring = below(g, s, ring)


@kernel
def observe_cells(g: Table, s: Words, cells: Words) -> None:
    """Write the cell fields, [fields * cells]."""
    n = g[at.CELLS]
    for i in range(len(CELL_FIELDS) * n):
        cells[i] = 0
    for cell in range(n):
        code = s[at.CODE + cell]
        if code == at.EMPTY:
            continue
        if code <= at.MARKER_LAST:
            cells[MARKER * n + cell] = relative(s, code)
        elif code <= at.STACK_LAST:
            observe_stack(g, s, cell, cells)
        else:
            cells[COLLAPSED * n + cell] = relative(s, code - at.COLLAPSED)
    for bit in range(4):
        cell = s[at.MUST_MOVE]
        if bit == 1:
            cell = s[at.ACTIVE]
        elif bit == 2:
            cell = s[at.PENDING_FROM]
        elif bit == 3:
            cell = s[at.PENDING_TO]
        if cell != at.NONE:
            cells[ROLE * n + cell] += 1 << bit


@kernel
def observe_globals(s: Words, values: Words) -> None:
    """Write the global fields, [fields]."""
    values[0] = s[at.PHASE]
    values[1] = s[at.PENDING]
    values[2] = s[at.LINE_DUE]
    values[3] = s[at.REGION_DUE]
    values[4] = s[at.RECOVERY_TURN]
    values[5] = s[at.ACTED]
    values[6] = s[at.SWAP_OPEN]
    values[7] = relative(s, s[at.LPS_EXCLUSIVE])
    values[8] = s[at.LPS_COUNT]
    values[9] = s[at.SEATS]
    values[10] = s[at.LINE_LENGTH]
    values[11] = s[at.TURN]
    values[12] = s[at.PLAYER]
    values[13] = relative(s, s[at.LPS_FIRST])
    for i in range(PER_SEAT_START, len(GLOBAL_FIELDS)):
        values[i] = 0
    for r in range(s[at.SEATS]):
        seat = (s[at.PLAYER] - 1 + r) % s[at.SEATS] + 1
        i = PER_SEAT_START + r
        values[i] = s[at.HAND + seat]
        values[i + 4] = s[at.ELIMINATED + seat]
        values[i + 8] = s[at.TERRITORY + seat]
        values[i + 12] = s[at.MARKERS + seat]
        values[i + 16] = s[at.STACKS + seat]
        values[i + 20] = s[at.RINGS + seat]
        values[i + 24] = s[at.LPS_ACTION + seat]
