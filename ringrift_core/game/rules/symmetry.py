"""Symmetries of the board, acting on states and on decisions.

PLACE, RAY and ELIM ids move with their cells. A LINE or REGION id names a cell that depends on the state (the first
cell of a run, the lowest of a region), so their image needs the state.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.lines import run_from, step
from ringrift_core.game.rules.recovery import run_after_slide
from ringrift_core.game.rules.territory import fill_region


@kernel
def image(g: Table, symmetry: int, cell: int) -> int:
    """Image of a cell; NONE stays NONE."""
    if cell == at.NONE:
        return cell
    return g[g[at.SYM_CELL] + symmetry * g[at.CELLS] + cell]


@kernel
def map_state(g: Table, s: Words, symmetry: int, other: Words) -> None:
    """Write the image of state `s` to `other`."""
    for i in range(len(s)):
        other[i] = s[i]
    n = g[at.CELLS]
    for cell in range(n):
        to = image(g, symmetry, cell)
        other[at.CODE + to] = s[at.CODE + cell]
        for block in range(1, 5):
            other[at.CODE + 1 + block * n + to] = s[at.CODE + 1 + block * n + cell]
    other[at.MUST_MOVE] = image(g, symmetry, s[at.MUST_MOVE])
    other[at.ACTIVE] = image(g, symmetry, s[at.ACTIVE])
    other[at.PENDING_FROM] = image(g, symmetry, s[at.PENDING_FROM])
    other[at.PENDING_TO] = image(g, symmetry, s[at.PENDING_TO])


@kernel
def map_ray(g: Table, symmetry: int, ray: int) -> int:
    """Image of a RAY position: the same distance along the image of the direction."""
    dirs = g[at.DIRS]
    source = g[g[at.RAY_FROM] + ray]
    direction = g[g[at.RAY_DIR] + ray]
    distance = ray - g[g[at.RAY_START] + source * dirs + direction]
    turned = g[g[at.SYM_DIR] + symmetry * dirs + direction]
    return g[g[at.RAY_START] + image(g, symmetry, source) * dirs + turned] + distance


@kernel
def map_line(g: Table, s: Words, symmetry: int, rest: int, whole: bool) -> int:
    """Image of a LINE id without its base: the first cell may be the last one's image."""
    axes = g[at.AXES]
    cell = rest // axes
    axis = rest % axes
    length = s[at.LINE_LENGTH]
    if whole and s[at.PENDING] == at.LINE_OPTION:
        length = run_after_slide(g, s, s[at.PENDING_FROM], s[at.PENDING_TO], axis)[1]
    elif whole:
        length = run_from(g, s, cell, axis)
    last = cell
    for _ in range(length - 1):
        last = step(g, last, axis)
    first = min(image(g, symmetry, cell), image(g, symmetry, last))
    return first * axes + g[g[at.SYM_AXIS] + symmetry * axes + axis]


@kernel
def map_region(g: Table, s: Words, w: Words, symmetry: int, rest: int) -> int:
    """Image of a REGION id without its base: the lowest image of its cells."""
    relative = rest % at.REGION_COLOURS
    size = fill_region(g, s, w, g[at.CELLS] + 1, rest // at.REGION_COLOURS, relative)
    lowest = g[at.CELLS]
    for i in range(size):
        lowest = min(lowest, image(g, symmetry, w[i]))
    return lowest * at.REGION_COLOURS + relative


@kernel
def map_action(g: Table, s: Words, w: Words, symmetry: int, action: int) -> int:
    """Id, in the image of state `s`, of the image of a decision that is legal in `s`."""
    if action >= g[at.SPECIAL_ID]:
        return action
    if action >= g[at.REGION_ID]:
        return g[at.REGION_ID] + map_region(g, s, w, symmetry, action - g[at.REGION_ID])
    if action >= g[at.ELIM_ID]:
        return g[at.ELIM_ID] + image(g, symmetry, action - g[at.ELIM_ID])
    if action >= g[at.LINE_SEG_ID]:
        return g[at.LINE_SEG_ID] + map_line(g, s, symmetry, action - g[at.LINE_SEG_ID], False)
    if action >= g[at.LINE_ALL_ID]:
        return g[at.LINE_ALL_ID] + map_line(g, s, symmetry, action - g[at.LINE_ALL_ID], True)
    if action >= g[at.RAY_ID]:
        return g[at.RAY_ID] + map_ray(g, symmetry, action - g[at.RAY_ID])
    cell = action // at.PLACE_MAX
    return image(g, symmetry, cell) * at.PLACE_MAX + action % at.PLACE_MAX
