"""Regions, cheaply: whether anything is cut off, whether a move may have cut, and what each seat could claim.

The regions' rule floods the cells once per border colour. Here that is done once for a position, and again only for
those moves that leave a barrier between two sides which do not touch each other around it.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import height
from ringrift_core.game.rules.territory import BLOCKED, UNSEEN, fill_region, flood, label_passable


@kernel
def is_whole(g: Table, s: Words, w: Words) -> bool:
    """True when no border colour, nor territory alone, cuts the open cells into several components (R140)."""
    labels = g[at.CELLS] + 1
    for colour in range(s[at.SEATS] + 1):
        if colour > 0 and s[at.MARKERS + colour] == 0:
            continue
        passable = label_passable(g, s, w, labels, colour if colour > 0 else at.NONE)
        cell = 0
        while cell < g[at.CELLS] and w[labels + cell] != UNSEEN:
            cell += 1
        if cell < g[at.CELLS] and flood(g, w, labels, cell, 1) != passable:
            return False
    return True


@kernel
def claimable(g: Table, s: Words, w: Words, claims: Words) -> None:
    """Write what the best region that each seat could claim now is worth, in cells and rings (R140-R145)."""
    for seat in range(4):
        claims[seat] = 0
    present = ring_owners(s)
    labels = g[at.CELLS] + 1
    for colour in range(s[at.SEATS] + 1):
        if colour > 0 and s[at.MARKERS + colour] == 0:
            continue
        passable = label_passable(g, s, w, labels, colour if colour > 0 else at.NONE)
        for cell in range(g[at.CELLS]):
            if w[labels + cell] != UNSEEN:
                continue
            size = flood(g, w, labels, cell, 1)
            if size == passable:
                break
            offer_region(g, s, w, size, present, colour == 0, claims)


@kernel
def ring_owners(s: Words) -> int:
    """Players who own a ring on the board."""
    present = 0
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.RINGS + seat] > 0:
            present += 1
    return present


@kernel
def offer_region(g: Table, s: Words, w: Words, size: int, present: int, borderless: bool, claims: Words) -> None:
    """Raise the claims of the seats that may claim the component in the queue: colour test, and a stack outside."""
    stacks, here, rings = count_stacks(g, s, w, size)
    if here >= present or (borderless and here != 1):
        return
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.STACKS + seat] > (stacks >> 10 * seat) & 1023:
            claims[seat - 1] = max(claims[seat - 1], size + rings)


@kernel
def count_stacks(g: Table, s: Words, w: Words, size: int) -> tuple[int, int, int]:
    """Of the component in the queue: stacks, ten bits for the number of each seat; their controllers; their rings."""
    stacks = 0
    rings = 0
    for i in range(size):
        code = s[at.CODE + w[i]]
        if at.STACK < code <= at.STACK_LAST:
            stacks += 1 << 10 * (code - at.STACK)
            rings += height(g, s, w[i])
    here = 0
    for seat in range(1, s[at.SEATS] + 1):
        if (stacks >> 10 * seat) & 1023 > 0:
            here += 1
    return stacks, here, rings


@kernel
def cut_by_leaving(g: Table, s: Words, w: Words, cell: int) -> int:
    """The best region, in cells and rings, that the mover may claim once its stack on `cell` left a marker there.

    The stack is taken to stay outside of it.
    """
    seat = s[at.PLAYER]
    if open_sides(g, openness(g, s, cell, seat)) < 2:
        return 0
    present = ring_owners(s)
    labels = g[at.CELLS] + 1
    rest = label_passable(g, s, w, labels, seat) - 1
    w[labels + cell] = BLOCKED
    best = 0
    for side in range(g[at.SIDES]):
        start = g[g[at.SIDE] + cell * g[at.SIDES] + side]
        if w[labels + start] != UNSEEN:
            continue
        size = flood(g, w, labels, start, 1)
        if size == rest:
            return 0
        _, here, rings = count_stacks(g, s, w, size)
        if here < present:
            best = max(best, size + rings)
    return best


@kernel
def largest_region(g: Table, s: Words, w: Words, out: Words, count: int) -> int:
    """The listed REGION id with the most cells, the first of equal ones."""
    chosen = out[0]
    most = 0
    for i in range(count):
        if out[i] >= g[at.SPECIAL_ID]:
            break
        rest = out[i] - g[at.REGION_ID]
        size = fill_region(g, s, w, g[at.CELLS] + 1, rest // at.REGION_COLOURS, rest % at.REGION_COLOURS)
        if size > most:
            most = size
            chosen = out[i]
    return chosen


@kernel
def may_cut(g: Table, s: Words, action: int) -> bool:
    """True when a decision just played may have cut a region off a board that was whole."""
    if action < g[at.RAY_ID] or action >= g[at.ELIM_ID]:
        return action >= g[at.REGION_ID] and action < g[at.SPECIAL_ID]
    if action >= g[at.LINE_ALL_ID]:
        return True
    ray = action - g[at.RAY_ID]
    source = g[g[at.RAY_FROM] + ray]
    if is_pinched(g, s, source):
        return True
    for pos in range(g[g[at.RAY_START] + source * g[at.DIRS] + g[g[at.RAY_DIR] + ray]], ray):
        if is_pinched(g, s, g[g[at.RAY_TO] + pos]):
            return True
    return False


@kernel
def is_pinched(g: Table, s: Words, cell: int) -> bool:
    """True when the marker or territory on `cell` lies between open cells that do not touch each other around it."""
    code = s[at.CODE + cell]
    if code > at.COLLAPSED:
        for marker in range(s[at.SEATS] + 1):
            if open_sides(g, openness(g, s, cell, marker if marker > 0 else at.NONE)) > 1:
                return True
        return False
    return at.EMPTY < code <= at.MARKER_LAST and open_sides(g, openness(g, s, cell, code)) > 1


@kernel
def openness(g: Table, s: Words, cell: int, marker: int) -> int:
    """The ray directions, as bits, whose next cell is open for one border colour."""
    dirs = g[at.DIRS]
    slot = g[at.RAY_START] + cell * dirs
    mask = 0
    for direction in range(dirs):
        start = g[slot + direction]
        if start < g[slot + direction + 1]:
            code = s[at.CODE + g[g[at.RAY_TO] + start]]
            if code != marker and code <= at.STACK_LAST:
                mask |= 1 << direction
    return mask


@kernel
def open_sides(g: Table, mask: int) -> int:
    """Groups of open territory neighbours around a cell, from its openness.

    Ray directions go around the cell; on square boards every second one is a diagonal, which joins its two neighbours
    but opens nothing by itself.
    """
    dirs = g[at.DIRS]
    full = (1 << dirs) - 1
    if mask == full:
        return 0
    following = (mask >> 1) | ((mask & 1) << (dirs - 1))
    ends = mask & ~following
    if dirs != g[at.SIDES]:
        beyond = (following >> 1) | ((following & 1) << (dirs - 1))
        ends = mask & ~(following & beyond) & 85  # the even directions
    groups = 0
    while ends != 0:
        ends &= ends - 1
        groups += 1
    return groups
