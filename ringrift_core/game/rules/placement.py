"""Ring placement and its alternatives (R080-R082), and what counts as a real action (R172)."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.movement import any_stack_can_act, can_act, free_until
from ringrift_core.game.rules.recovery import recovery_eligible
from ringrift_core.game.rules.stacks import cap, height, push_ring


@kernel
def can_place_one(g: Table, s: Words, cell: int, seat: int) -> bool:
    """True when one ring of `seat` may be put on `cell` and is not dead there (R081)."""
    code = s[at.CODE + cell]
    if code == at.EMPTY:
        return can_act(g, s, cell, 1, 1)
    if code <= at.MARKER_LAST or code > at.STACK_LAST:
        return False
    capped = cap(g, s, cell) + 1 if code == at.STACK + seat else 1
    return can_act(g, s, cell, height(g, s, cell) + 1, capped)


@kernel
def has_open_ray(g: Table, s: Words, cell: int) -> bool:
    """True when some ray from `cell` begins with PLACE_MAX free cells: then any count that is placed there can move."""
    for direction in range(g[at.DIRS]):
        slot = g[at.RAY_START] + cell * g[at.DIRS] + direction
        enough = g[slot] + at.PLACE_MAX
        if enough <= g[slot + 1] and free_until(g, s, g[slot], enough) == enough:
            return True
    return False


@kernel
def any_placement(g: Table, s: Words, seat: int) -> bool:
    """True when `seat` has a ring in hand and a legal placement of a single one."""
    if s[at.HAND + seat] == 0:
        return False
    for cell in range(g[at.CELLS]):
        if can_place_one(g, s, cell, seat):
            return True
    return False


@kernel
def has_real_action(g: Table, s: Words, seat: int) -> bool:
    """R172: a legal placement of a single ring, a legal move or a legal capture."""
    return any_stack_can_act(g, s, seat) or any_placement(g, s, seat)


@kernel
def list_placement(g: Table, s: Words, out: Words) -> int:
    """Write all decisions of the ring_placement phase; return how many."""
    seat = s[at.PLAYER]
    hand = s[at.HAND + seat]
    k = 0
    if hand > 0:
        for cell in range(g[at.CELLS]):
            if s[at.CODE + cell] != at.EMPTY:
                if can_place_one(g, s, cell, seat):
                    out[k] = cell * at.PLACE_MAX
                    k += 1
                continue
            free = has_open_ray(g, s, cell)
            for count in range(1, min(hand, at.PLACE_MAX) + 1):
                if free or can_act(g, s, cell, count, count):  # each count is tested by itself
                    out[k] = cell * at.PLACE_MAX + count - 1
                    k += 1
    special = g[at.SPECIAL_ID]
    if hand > 0 and (any_stack_can_act(g, s, seat) or recovery_eligible(s)):
        out[k] = special + at.SKIP_PLACEMENT
        k += 1
    if s[at.SWAP_OPEN] == 1 and seat == 2:
        out[k] = special + at.SWAP_SIDES
        k += 1
    if k == 0:
        out[k] = special + at.NO_ACTION
        k += 1
    return k


@kernel
def place(g: Table, s: Words, cell: int, count: int) -> None:
    """Put `count` rings of the mover on `cell`; it becomes the must-move stack."""
    seat = s[at.PLAYER]
    for _ in range(count):
        push_ring(g, s, cell, seat)
    s[at.HAND + seat] -= count
    s[at.MUST_MOVE] = cell
