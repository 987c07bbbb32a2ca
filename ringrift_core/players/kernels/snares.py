"""Snares: a stack whose next step shuts it into a small pocket, so that its owner may claim the rest of the board.

The strongest threat there is (R142): a seat with all its stacks in a pocket behind its own markers claims everything
outside, with every ring there, and usually wins at once.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.movement import free_until
from ringrift_core.players.kernels.regions import open_sides, openness

POCKET_MAX = 6  # cells; a larger pocket takes so many markers that the search for it would be too dear


@kernel
def walls(g: Table, mask: int) -> int:
    """Sides of a cell that the seat's markers, territory or the edge of the board close, from its openness."""
    dirs = g[at.DIRS]
    count = 0
    for direction in range(0, dirs, dirs // g[at.SIDES]):
        count += 1 - ((mask >> direction) & 1)
    return count


@kernel
def sets_snare(g: Table, s: Words, w: Words, cell: int, seat: int, tall: int, marked: int, mask: int) -> bool:
    """True when a stack of this height on `cell` can shut itself in so that `seat` may claim the rest.

    `marked` is a cell taken to hold a marker of the seat, or NONE; `mask` the openness of `cell` for the seat.
    """
    if marked == at.NONE and open_sides(g, mask) < 2:
        return False
    dirs = g[at.DIRS]
    for direction in range(0, dirs, dirs // g[at.SIDES]):
        if (mask >> direction) & 1 == 1:
            start = g[g[at.RAY_TO] + g[g[at.RAY_START] + cell * dirs + direction]]
            if start == marked:
                continue
            size = pocket(g, s, w, cell, marked, start, seat)
            if size <= POCKET_MAX and rest_is_short(s, w, size, seat) and reaches(g, s, w, cell, tall, size):
                return True
    return False


@kernel
def nears_snare(g: Table, s: Words, w: Words, cell: int, seat: int, tall: int) -> bool:
    """True when the shortest move of the stack in some direction sets a snare."""
    slot = g[at.RAY_START] + cell * g[at.DIRS]
    for direction in range(g[at.DIRS]):
        start = g[slot + direction]
        end = start + tall
        if end > g[slot + direction + 1] or free_until(g, s, start, end) < end:
            continue
        landing = g[g[at.RAY_TO] + end - 1]
        if s[at.CODE + landing] != at.EMPTY:
            continue
        mask = openness(g, s, landing, seat)
        if walls(g, mask) > 0 and sets_snare(g, s, w, landing, seat, tall, cell, mask):
            return True
    return False


@kernel
def pocket(g: Table, s: Words, w: Words, cell: int, marked: int, start: int, seat: int) -> int:
    """Put the open cells around `start` into the queue, with markers of the seat on two cells; return how many.

    More than POCKET_MAX stands for any larger number.
    """
    sides = g[at.SIDES]
    w[0] = start
    size = 1
    done = 0
    while done < size <= POCKET_MAX:
        base = g[at.SIDE] + w[done] * sides
        done += 1
        for side in range(sides):
            other = g[base + side]
            code = s[at.CODE + other]
            if code == seat or code > at.STACK_LAST or other == cell or other == marked or is_in(w, size, other):
                continue
            w[size] = other
            size += 1
    return size


@kernel
def is_in(w: Words, size: int, cell: int) -> bool:
    """True when the cell is among the first `size` of the queue."""
    for i in range(size):
        if w[i] == cell:
            return True
    return False


@kernel
def rest_is_short(s: Words, w: Words, size: int, seat: int) -> bool:
    """True when fewer players control stacks outside the pocket than own a ring on the board (R142).

    One stack of `seat` is counted as inside, the one that is about to go there.
    """
    inside = 1 << 4 * seat
    for i in range(size):
        code = s[at.CODE + w[i]]
        if at.STACK < code <= at.STACK_LAST:
            inside += 1 << 4 * (code - at.STACK)
    present = 0
    outside = 0
    for other in range(1, s[at.SEATS] + 1):
        if s[at.RINGS + other] > 0:
            present += 1
        if s[at.STACKS + other] > (inside >> 4 * other) & 15:
            outside += 1
    return outside < present


@kernel
def reaches(g: Table, s: Words, w: Words, cell: int, tall: int, size: int) -> bool:
    """True when a stack of this height on `cell` can move into the pocket in the queue (R091)."""
    slot = g[at.RAY_START] + cell * g[at.DIRS]
    for direction in range(g[at.DIRS]):
        start = g[slot + direction]
        block = free_until(g, s, start, min(g[slot + direction + 1], start + tall + POCKET_MAX))
        for pos in range(start + tall - 1, block):
            if is_in(w, size, g[g[at.RAY_TO] + pos]):
                return True
    return False
