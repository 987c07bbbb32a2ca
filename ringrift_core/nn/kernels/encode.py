"""From states and legal ids to the arrays that a net takes.

A LINE or REGION id names one cell of what it is about; the net scores it as the mean over all its cells, its *members*,
so that the naming cell does not matter.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Rows, Table, Words, entry, kernel
from ringrift_core.game.rules.lines import run_from, step
from ringrift_core.game.rules.observation import observe_cells, observe_globals
from ringrift_core.game.rules.recovery import run_after_slide
from ringrift_core.game.rules.territory import fill_region


@entry("g states longs bytes states")
def observe_rows(g: Table, states: Rows, rows: Words, cells: Rows, values: Rows) -> None:
    """Write the cell fields [k, fields * cells] and the global fields [k, fields] of each row, on one thread."""
    for i in range(len(rows)):
        observe_cells(g, states[rows[i]], cells[i])
        observe_globals(states[rows[i]], values[i])


@kernel
def line_members(g: Table, s: Words, w: Words, rest: int, whole: bool) -> int:
    """Write the cells of a LINE id without its base to w[0:size]; return the size."""
    cell = rest // g[at.AXES]
    axis = rest % g[at.AXES]
    length = s[at.LINE_LENGTH]
    if whole and s[at.PENDING] == at.LINE_OPTION:
        length = run_after_slide(g, s, s[at.PENDING_FROM], s[at.PENDING_TO], axis)[1]
    elif whole:
        length = run_from(g, s, cell, axis)
    for i in range(length):
        w[i] = cell
        cell = step(g, cell, axis)
    return length


@kernel
def members(g: Table, s: Words, w: Words, action: int) -> int:
    """Write the member cells of a LINE or REGION id to w[0:size]; return the size, 0 for other ids."""
    if action >= g[at.SPECIAL_ID]:
        return 0
    if action >= g[at.REGION_ID]:
        rest = action - g[at.REGION_ID]
        return fill_region(g, s, w, g[at.CELLS] + 1, rest // at.REGION_COLOURS, rest % at.REGION_COLOURS)
    if action >= g[at.ELIM_ID] or action < g[at.LINE_ALL_ID]:
        return 0
    if action >= g[at.LINE_SEG_ID]:
        return line_members(g, s, w, action - g[at.LINE_SEG_ID], False)
    return line_members(g, s, w, action - g[at.LINE_ALL_ID], True)


@entry("g states longs states longs ids ints ints")
def list_members(
    g: Table, states: Rows, rows: Words, w: Rows, offsets: Words, ids: Words, of: Words, cells: Words
) -> int:
    """Write, for each member, the place of its id in `ids` and its cell, while there is room; return how many."""
    k = 0
    for i in range(len(rows)):
        for position in range(offsets[i], offsets[i + 1]):
            if ids[position] < g[at.LINE_ALL_ID]:
                continue
            size = members(g, states[rows[i]], w[0], ids[position])
            for j in range(size):
                if k < len(of):
                    of[k] = position
                    cells[k] = w[0][j]
                k += 1
    return k
