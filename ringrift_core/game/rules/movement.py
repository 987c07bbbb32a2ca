"""Moves, captures and what they leave behind (R090-R103).

One RAY id names both: a capture has exactly one stack between departure and landing, a move has none.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import (
    append_bottom,
    cap,
    carry,
    collapse,
    eliminate_top,
    height,
    put_marker,
    take_marker,
    unlink_top,
)


@kernel
def free_until(g: Table, s: Words, pos: int, end: int) -> int:
    """First of the ray positions pos..end-1 that holds a stack or is collapsed; `end` when all are free."""
    while pos < end and s[at.CODE + g[g[at.RAY_TO] + pos]] <= at.MARKER_LAST:
        pos += 1
    return pos


@kernel
def may_capture(g: Table, s: Words, pos: int, end: int, capped: int) -> bool:
    """True when the obstacle at ray position `pos` is a stack that a cap of `capped` may capture (R101)."""
    if pos == end:
        return False
    target = g[g[at.RAY_TO] + pos]
    return s[at.CODE + target] <= at.STACK_LAST and cap(g, s, target) <= capped


@kernel
def can_act_along(g: Table, s: Words, cell: int, direction: int, tall: int, capped: int) -> bool:
    """True when a stack of this height and cap on `cell` has a move or capture along one ray."""
    slot = g[at.RAY_START] + cell * g[at.DIRS] + direction
    start = g[slot]
    end = g[slot + 1]
    enough = min(start + tall, end)  # no need to look further than the height (R091)
    block = free_until(g, s, start, enough)
    if block - start >= tall:
        return True
    if block == enough or not may_capture(g, s, block, end, capped):
        return False
    beyond = free_until(g, s, block + 1, max(enough, min(block + 2, end)))
    return beyond > block + 1 and beyond - start >= tall


@kernel
def can_act(g: Table, s: Words, cell: int, tall: int, capped: int) -> bool:
    """True when a stack of this height and cap on `cell` has any move or capture (R081, R091, R101)."""
    for direction in range(g[at.DIRS]):
        if can_act_along(g, s, cell, direction, tall, capped):
            return True
    return False


@kernel
def any_stack_can_act(g: Table, s: Words, seat: int) -> bool:
    """True when some stack that `seat` controls has a move or capture."""
    if s[at.STACKS + seat] == 0:
        return False
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] == at.STACK + seat and can_act(g, s, cell, height(g, s, cell), cap(g, s, cell)):
            return True
    return False


@kernel
def list_rays(g: Table, s: Words, cell: int, moves: bool, out: Words, k: int) -> int:
    """Append the RAY ids of the captures, and if `moves` the moves, of the stack on `cell`; return the new count."""
    tall = height(g, s, cell)
    capped = cap(g, s, cell)
    ray_id = g[at.RAY_ID]
    slot = g[at.RAY_START] + cell * g[at.DIRS]
    for direction in range(g[at.DIRS]):
        start = g[slot + direction]
        end = g[slot + direction + 1]
        block = free_until(g, s, start, end)
        if moves:
            for pos in range(start + tall - 1, block):  # R091: distance at least the height
                out[k] = ray_id + pos
                k += 1
        if may_capture(g, s, block, end, capped):
            for pos in range(max(block + 1, start + tall - 1), free_until(g, s, block + 1, end)):
                out[k] = ray_id + pos
                k += 1
    return k


@kernel
def list_movement(g: Table, s: Words, out: Words, k: int) -> int:
    """Append every move and capture of the mover in the movement phase (R090, R101); return the new count."""
    must = s[at.MUST_MOVE]
    if must != at.NONE:  # R080: after a placement only that stack
        return list_rays(g, s, must, True, out, k)
    mine = at.STACK + s[at.PLAYER]
    if s[at.STACKS + s[at.PLAYER]] == 0:
        return k
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] == mine:
            k = list_rays(g, s, cell, True, out, k)
    return k


@kernel
def has_capture(g: Table, s: Words, cell: int) -> bool:
    """True when the stack on `cell` has a legal capture (R101, R103)."""
    tall = height(g, s, cell)
    capped = cap(g, s, cell)
    slot = g[at.RAY_START] + cell * g[at.DIRS]
    for direction in range(g[at.DIRS]):
        start = g[slot + direction]
        end = g[slot + direction + 1]
        block = free_until(g, s, start, end)
        if may_capture(g, s, block, end, capped):
            beyond = free_until(g, s, block + 1, end)
            if beyond > block + 1 and beyond - start >= tall:
                return True
    return False


@kernel
def pass_over(g: Table, s: Words, first: int, last: int) -> int:
    """Markers on ray positions first..last-1: own ones collapse, foreign ones change colour (R092).

    Returns the cell of the stack passed on the way (the capture target), NONE if there is none.
    """
    seat = s[at.PLAYER]
    passed = at.NONE
    for pos in range(first, last):
        cell = g[g[at.RAY_TO] + pos]
        code = s[at.CODE + cell]
        if code == at.EMPTY:
            continue
        if code > at.MARKER_LAST:
            passed = cell
        elif code == seat:
            collapse(s, cell, seat)
        else:
            take_marker(s, cell)
            put_marker(s, cell, seat)
    return passed


@kernel
def travel(g: Table, s: Words, ray: int) -> bool:
    """Carry out the move or capture of RAY position `ray`; return True when it was a capture."""
    source = g[g[at.RAY_FROM] + ray]
    landing = g[g[at.RAY_TO] + ray]
    start = g[g[at.RAY_START] + source * g[at.DIRS] + g[g[at.RAY_DIR] + ray]]
    target = pass_over(g, s, start, ray)
    on_marker = s[at.CODE + landing] != at.EMPTY
    if on_marker:
        take_marker(s, landing)
    carry(g, s, source, landing)
    put_marker(s, source, s[at.PLAYER])
    if target != at.NONE:
        append_bottom(g, s, landing, unlink_top(g, s, target))
    if on_marker:  # R092, R102: the top ring pays for the marker
        eliminate_top(g, s, landing)
    return target != at.NONE
