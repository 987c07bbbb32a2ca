"""Cells and stacks: reading them, and the few operations that change them (R020-R023).

A stack is a linked list of rings from the pool, top to bottom; a ring's slot never changes once it is placed,
because rings never come back to a hand. Every operation keeps the per-seat counters (stacks, rings on
board, markers, territory) right, so the rules read them in O(1).
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel


@kernel
def height(g: Table, s: Words, cell: int) -> int:
    """Number of rings on `cell`."""
    return s[at.CODE + 1 + g[at.CELLS] + cell]


@kernel
def cap(g: Table, s: Words, cell: int) -> int:
    """Cap height: rings of the controller counted from the top."""
    return s[at.CODE + 1 + 2 * g[at.CELLS] + cell]


@kernel
def top(g: Table, s: Words, cell: int) -> int:
    """Pool index of the top ring."""
    return s[at.CODE + 1 + 3 * g[at.CELLS] + cell]


@kernel
def bottom(g: Table, s: Words, cell: int) -> int:
    """Pool index of the bottom ring."""
    return s[at.CODE + 1 + 4 * g[at.CELLS] + cell]


@kernel
def colour(g: Table, s: Words, ring: int) -> int:
    """Owner of a ring of the pool."""
    return s[at.CODE + 1 + 5 * g[at.CELLS] + ring]


@kernel
def below(g: Table, s: Words, ring: int) -> int:
    """Pool index of the ring under this one, NONE at the bottom."""
    pool = g[at.RINGS_PER_PLAYER] * s[at.SEATS]
    return s[at.CODE + 1 + 5 * g[at.CELLS] + pool + ring]


@kernel
def set_below(g: Table, s: Words, ring: int, other: int) -> None:
    """Link `ring` onto `other`."""
    pool = g[at.RINGS_PER_PLAYER] * s[at.SEATS]
    s[at.CODE + 1 + 5 * g[at.CELLS] + pool + ring] = other


@kernel
def set_stack(g: Table, s: Words, cell: int, tall: int, capped: int, top_ring: int, bottom_ring: int) -> None:
    """Write the four stack fields of a cell (the code is set by the caller)."""
    n = g[at.CELLS]
    base = at.CODE + 1 + cell
    s[base + n] = tall
    s[base + 2 * n] = capped
    s[base + 3 * n] = top_ring
    s[base + 4 * n] = bottom_ring


@kernel
def put_marker(s: Words, cell: int, seat: int) -> None:
    """Put a marker on an empty cell."""
    s[at.CODE + cell] = seat
    s[at.MARKERS + seat] += 1


@kernel
def take_marker(s: Words, cell: int) -> None:
    """Remove the marker on `cell`; the cell becomes empty."""
    s[at.MARKERS + s[at.CODE + cell]] -= 1
    s[at.CODE + cell] = at.EMPTY


@kernel
def collapse(s: Words, cell: int, seat: int) -> None:
    """Make an empty or marker cell territory of `seat` for ever."""
    if s[at.CODE + cell] != at.EMPTY:
        take_marker(s, cell)
    s[at.CODE + cell] = at.COLLAPSED + seat
    s[at.TERRITORY + seat] += 1


@kernel
def push_ring(g: Table, s: Words, cell: int, seat: int) -> None:
    """Put one new ring of `seat` on an empty cell or on top of a stack (the hand is the caller's business)."""
    ring = s[at.RING_COUNT]
    s[at.RING_COUNT] = ring + 1
    s[at.CODE + 1 + 5 * g[at.CELLS] + ring] = seat
    s[at.RINGS + seat] += 1
    code = s[at.CODE + cell]
    if code == at.EMPTY:
        set_below(g, s, ring, at.NONE)
        set_stack(g, s, cell, 1, 1, ring, ring)
    else:
        set_below(g, s, ring, top(g, s, cell))
        capped = cap(g, s, cell) + 1 if code == at.STACK + seat else 1
        set_stack(g, s, cell, height(g, s, cell) + 1, capped, ring, bottom(g, s, cell))
        s[at.STACKS + code - at.STACK] -= 1
    s[at.CODE + cell] = at.STACK + seat
    s[at.STACKS + seat] += 1


@kernel
def unlink_top(g: Table, s: Words, cell: int) -> int:
    """Take the top ring off a stack and return its pool index; the ring still counts as on the board."""
    ring = top(g, s, cell)
    owner = s[at.CODE + cell] - at.STACK
    under = below(g, s, ring)
    if under == at.NONE:
        s[at.CODE + cell] = at.EMPTY
        s[at.STACKS + owner] -= 1
        set_stack(g, s, cell, 0, 0, 0, 0)
        return ring
    capped = cap(g, s, cell) - 1
    if capped == 0:
        s[at.STACKS + owner] -= 1
        owner = colour(g, s, under)
        s[at.STACKS + owner] += 1
        s[at.CODE + cell] = at.STACK + owner
        capped = cap_from(g, s, under)
    set_stack(g, s, cell, height(g, s, cell) - 1, capped, under, bottom(g, s, cell))
    return ring


@kernel
def cap_from(g: Table, s: Words, ring: int) -> int:
    """Length of the run of equal colours from `ring` downwards."""
    owner = colour(g, s, ring)
    count = 0
    while ring != at.NONE and colour(g, s, ring) == owner:
        count += 1
        ring = below(g, s, ring)
    return count


@kernel
def append_bottom(g: Table, s: Words, cell: int, ring: int) -> None:
    """Put a loose ring under a stack (R102)."""
    tall = height(g, s, cell)
    capped = cap(g, s, cell)
    if capped == tall and s[at.CODE + cell] == at.STACK + colour(g, s, ring):
        capped += 1
    set_below(g, s, bottom(g, s, cell), ring)
    set_below(g, s, ring, at.NONE)
    set_stack(g, s, cell, tall + 1, capped, top(g, s, cell), ring)


@kernel
def carry(g: Table, s: Words, source: int, landing: int) -> None:
    """Move a whole stack to an empty cell, leaving the source empty."""
    set_stack(
        g,
        s,
        landing,
        height(g, s, source),
        cap(g, s, source),
        top(g, s, source),
        bottom(g, s, source),
    )
    s[at.CODE + landing] = s[at.CODE + source]
    set_stack(g, s, source, 0, 0, 0, 0)
    s[at.CODE + source] = at.EMPTY


@kernel
def eliminate_top(g: Table, s: Words, cell: int) -> None:
    """Eliminate the top ring of a stack, credited to the mover (R022)."""
    ring = unlink_top(g, s, cell)
    s[at.RINGS + colour(g, s, ring)] -= 1
    s[at.ELIMINATED + s[at.PLAYER]] += 1


@kernel
def eliminate_cap(g: Table, s: Words, cell: int) -> None:
    """Eliminate the whole cap of a stack, credited to the mover."""
    for _ in range(cap(g, s, cell)):
        eliminate_top(g, s, cell)


@kernel
def eliminate_stack(g: Table, s: Words, cell: int) -> None:
    """Eliminate every ring on a cell, credited to the mover; the cell becomes empty."""
    s[at.STACKS + s[at.CODE + cell] - at.STACK] -= 1
    ring = top(g, s, cell)
    while ring != at.NONE:
        s[at.RINGS + colour(g, s, ring)] -= 1
        ring = below(g, s, ring)
    s[at.ELIMINATED + s[at.PLAYER]] += height(g, s, cell)
    set_stack(g, s, cell, 0, 0, 0, 0)
    s[at.CODE + cell] = at.EMPTY


@kernel
def has_buried(g: Table, s: Words, cell: int, seat: int) -> bool:
    """True when a ring of `seat` other than the top one lies in the stack on `cell`."""
    ring = below(g, s, top(g, s, cell))
    while ring != at.NONE:
        if colour(g, s, ring) == seat:
            return True
        ring = below(g, s, ring)
    return False


@kernel
def extract_lowest(g: Table, s: Words, cell: int) -> None:
    """Eliminate the lowest ring of the mover in a stack, credited to the mover (R113)."""
    seat = s[at.PLAYER]
    lowest = at.NONE
    over_lowest = at.NONE
    over = at.NONE
    ring = top(g, s, cell)
    while ring != at.NONE:
        if colour(g, s, ring) == seat:
            lowest = ring
            over_lowest = over
        over = ring
        ring = below(g, s, ring)
    if over_lowest == at.NONE:
        eliminate_top(g, s, cell)
        return
    set_below(g, s, over_lowest, below(g, s, lowest))
    under = over_lowest if lowest == bottom(g, s, cell) else bottom(g, s, cell)
    upper = top(g, s, cell)
    set_stack(g, s, cell, height(g, s, cell) - 1, cap_from(g, s, upper), upper, under)
    s[at.RINGS + seat] -= 1
    s[at.ELIMINATED + seat] += 1
