"""The two doors of the rules: which decisions are legal, and what a decision does (R070-R076)."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.lines import collapse_along, list_lines, run_from
from ringrift_core.game.rules.movement import list_movement, list_rays, travel
from ringrift_core.game.rules.placement import list_placement, place
from ringrift_core.game.rules.recovery import (
    begin_slide,
    finish_with_extraction,
    finish_with_window,
    list_extractions,
    list_line_options,
    list_slides,
    recovery_eligible,
)
from ringrift_core.game.rules.stacks import eliminate_cap, eliminate_top, extract_lowest
from ringrift_core.game.rules.territory import claim_region, list_regions
from ringrift_core.game.rules.turn import (
    after_line,
    after_no_line,
    after_region_payment,
    after_territory,
    after_travel,
    end_turn,
    enter_lines,
)


@kernel
def list_legal(g: Table, s: Words, w: Words, out: Words) -> int:
    """Write the ids of all legal decisions into `out` [actions], ascending; return how many (0: game over)."""
    if s[at.REASON] != 0:
        return 0
    phase = s[at.PHASE]
    if phase == at.PLACEMENT:
        return list_placement(g, s, out)
    if phase == at.MOVEMENT:
        return list_in_movement(g, s, out)
    if phase == at.CAPTURE:
        k = list_rays(g, s, s[at.ACTIVE], False, out, 0)
        out[k] = g[at.SPECIAL_ID] + at.SKIP_CAPTURE
        return k + 1
    if phase == at.CHAIN:
        return list_rays(g, s, s[at.ACTIVE], False, out, 0)
    if phase == at.LINES:
        if s[at.LINE_DUE] == 1:
            return list_controlled(g, s, out)
        return or_no_action(g, out, list_lines(g, s, out))
    if phase == at.TERRITORY_PHASE:
        return list_in_territory(g, s, w, out)
    return list_controlled(g, s, out)  # forced elimination (R205)


@kernel
def or_no_action(g: Table, out: Words, k: int) -> int:
    """An empty list becomes the bookkeeping decision of the phase."""
    if k == 0:
        out[0] = g[at.SPECIAL_ID] + at.NO_ACTION
        k = 1
    return k


@kernel
def list_in_movement(g: Table, s: Words, out: Words) -> int:
    """Moves and captures, else recovery, else no_movement_action."""
    if s[at.PENDING] == at.LINE_OPTION:
        return list_line_options(g, s, out)
    if s[at.PENDING] == at.EXTRACTION:
        return list_extractions(g, s, out)
    if recovery_eligible(s):
        return list_slides(g, s, out)
    return or_no_action(g, out, list_movement(g, s, out, 0))


@kernel
def list_in_territory(g: Table, s: Words, w: Words, out: Words) -> int:
    """The payment when one is due; else the regions and the skip, or no_territory_action."""
    if s[at.REGION_DUE] == 1:
        if s[at.RECOVERY_TURN] == 1:
            return list_extractions(g, s, out)
        return list_controlled(g, s, out)
    k = list_regions(g, s, w, out)
    if k > 0:
        out[k] = g[at.SPECIAL_ID] + at.SKIP_TERRITORY
        return k + 1
    return or_no_action(g, out, k)


@kernel
def list_controlled(g: Table, s: Words, out: Words) -> int:
    """ELIM for every stack that the mover controls."""
    k = 0
    mine = at.STACK + s[at.PLAYER]
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] == mine:
            out[k] = g[at.ELIM_ID] + cell
            k += 1
    return k


@kernel
def apply(g: Table, s: Words, w: Words, out: Words, action: int) -> None:
    """Carry out one legal decision; `out` is scratch for lists. Bookkeeping of plies and turns included."""
    if action >= g[at.SPECIAL_ID]:
        s[at.PLY] += 1
        apply_special(g, s, w, out, action - g[at.SPECIAL_ID])
    elif action >= g[at.REGION_ID]:
        rest = action - g[at.REGION_ID]
        begin_ply(s)
        claim_region(g, s, w, rest // at.REGION_COLOURS, rest % at.REGION_COLOURS)
        s[at.REGION_DUE] = 1
    elif action >= g[at.ELIM_ID]:
        begin_ply(s)
        apply_elimination(g, s, w, out, action - g[at.ELIM_ID])
    elif action >= g[at.LINE_ALL_ID]:
        apply_line(g, s, action)
    elif action >= g[at.RAY_ID]:
        apply_ray(g, s, action - g[at.RAY_ID])
    else:
        begin_ply(s)
        place(g, s, action // at.PLACE_MAX, action % at.PLACE_MAX + 1)
        s[at.PHASE] = at.MOVEMENT


@kernel
def advance(g: Table, s: Words, w: Words, out: Words) -> int:
    """Play forced decisions, leave the legal list in `out`; return its length: 0 at the end, else two or more."""
    count = list_legal(g, s, w, out)
    while count == 1:
        apply(g, s, w, out, out[0])
        count = list_legal(g, s, w, out)
    return count


@kernel
def begin_ply(s: Words) -> None:
    """Count a ply that does something; the swap offer is gone once seat 2 has acted."""
    s[at.PLY] += 1
    s[at.ACTED] = 1
    if s[at.PLAYER] == 2:
        s[at.SWAP_OPEN] = 0


@kernel
def apply_ray(g: Table, s: Words, ray: int) -> None:
    """A move, a capture, or the first decision of a recovery slide (a marker moves)."""
    source = g[g[at.RAY_FROM] + ray]
    if s[at.CODE + source] <= at.MARKER_LAST:
        begin_slide(g, s, ray)
        return
    begin_ply(s)
    captured = travel(g, s, ray)
    after_travel(g, s, g[g[at.RAY_TO] + ray], captured)


@kernel
def apply_line(g: Table, s: Words, action: int) -> None:
    """LINE_ALL or LINE_SEG: a line of the line phase, or the option of a recovery slide."""
    whole = action < g[at.LINE_SEG_ID]
    rest = action - (g[at.LINE_ALL_ID] if whole else g[at.LINE_SEG_ID])
    cell = rest // g[at.AXES]
    axis = rest % g[at.AXES]
    if s[at.PENDING] == at.LINE_OPTION:
        if whole:
            s[at.PENDING] = at.EXTRACTION
            return
        begin_ply(s)
        finish_with_window(g, s, cell, axis)
        enter_lines(s)
        return
    begin_ply(s)
    count = run_from(g, s, cell, axis) if whole else s[at.LINE_LENGTH]
    collapse_along(g, s, cell, axis, count)
    after_line(g, s, whole)


@kernel
def apply_elimination(g: Table, s: Words, w: Words, out: Words, cell: int) -> None:
    """ELIM: what it takes from the stack depends on what is due."""
    if s[at.PENDING] == at.EXTRACTION:
        finish_with_extraction(g, s, cell)
        enter_lines(s)
    elif s[at.LINE_DUE] == 1:
        eliminate_top(g, s, cell)  # R122: one ring
        s[at.LINE_DUE] = 0
    elif s[at.REGION_DUE] == 1:
        if s[at.RECOVERY_TURN] == 1:
            extract_lowest(g, s, cell)  # R114
        else:
            eliminate_cap(g, s, cell)  # R145: the whole cap
        s[at.REGION_DUE] = 0
        after_region_payment(g, s, w, out)
    else:
        eliminate_cap(g, s, cell)  # R100: forced elimination
        end_turn(g, s)


@kernel
def apply_special(g: Table, s: Words, w: Words, out: Words, special: int) -> None:
    """The skips, the swap, and the bookkeeping decision of each phase."""
    phase = s[at.PHASE]
    if special == at.SWAP_SIDES:  # the agents change seats, the board stays
        agent = s[at.AGENT + 1]
        s[at.AGENT + 1] = s[at.AGENT + 2]
        s[at.AGENT + 2] = agent
        s[at.SWAP_OPEN] = 0
        s[at.ACTED] = 1
        return
    if s[at.PLAYER] == 2:
        s[at.SWAP_OPEN] = 0
    if phase == at.PLACEMENT:
        s[at.PHASE] = at.MOVEMENT
    elif phase == at.MOVEMENT:
        enter_lines(s)
    elif phase == at.CAPTURE:  # skip_capture keeps the must-move cell
        s[at.PHASE] = at.LINES
        s[at.ACTIVE] = at.NONE
    elif phase == at.LINES:
        after_no_line(g, s, w, out)
    else:
        after_territory(g, s)
