"""Lines of the mover's markers and their collapse (R120-R123)."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import collapse


@kernel
def step(g: Table, cell: int, axis: int) -> int:
    """The next cell along an axis (CELLS when that leaves the board)."""
    return g[g[at.AXIS_NEXT] + cell * g[at.AXES] + axis]


@kernel
def run_from(g: Table, s: Words, cell: int, axis: int) -> int:
    """Number of consecutive markers of the mover from `cell` on."""
    seat = s[at.PLAYER]
    count = 0
    while s[at.CODE + cell] == seat:
        count += 1
        cell = step(g, cell, axis)
    return count


@kernel
def begins_run(g: Table, s: Words, cell: int, axis: int) -> bool:
    """True when the mover's marker on `cell` is the first of its run along the axis."""
    before = g[g[at.AXIS_PREV] + cell * g[at.AXES] + axis]
    return s[at.CODE + before] != s[at.PLAYER]


@kernel
def list_lines(g: Table, s: Words, out: Words) -> int:
    """Write LINE_ALL for every eligible run and LINE_SEG for every window of a longer one (R121, R122)."""
    seat = s[at.PLAYER]
    need = s[at.LINE_LENGTH]
    k = 0
    overlong = False
    if s[at.MARKERS + seat] < need:
        return k
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] != seat:
            continue
        for axis in range(g[at.AXES]):
            if begins_run(g, s, cell, axis):
                run = run_from(g, s, cell, axis)
                if run >= need:
                    out[k] = g[at.LINE_ALL_ID] + cell * g[at.AXES] + axis
                    k += 1
                    overlong = overlong or run > need
    if overlong:
        for cell in range(g[at.CELLS]):
            if s[at.CODE + cell] != seat:
                continue
            for axis in range(g[at.AXES]):
                run = run_from(g, s, cell, axis)
                if run > need or (run == need and not begins_run(g, s, cell, axis)):
                    out[k] = g[at.LINE_SEG_ID] + cell * g[at.AXES] + axis
                    k += 1
    return k


@kernel
def has_line(g: Table, s: Words) -> bool:
    """True when the mover has an eligible line."""
    seat = s[at.PLAYER]
    need = s[at.LINE_LENGTH]
    if s[at.MARKERS + seat] < need:
        return False
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] != seat:
            continue
        for axis in range(g[at.AXES]):
            if begins_run(g, s, cell, axis) and run_from(g, s, cell, axis) >= need:
                return True
    return False


@kernel
def collapse_along(g: Table, s: Words, cell: int, axis: int, count: int) -> None:
    """Collapse `count` cells from `cell` on along the axis to the mover."""
    for _ in range(count):
        collapse(s, cell, s[at.PLAYER])
        cell = step(g, cell, axis)
