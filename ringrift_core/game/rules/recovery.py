"""Recovery: a player without stacks slides a marker and frees a buried ring (R110-R115).

A slide is one to three decisions: RAY (the slide), LINE_ALL or LINE_SEG when the line is longer than needed, ELIM
(the stack that gives up a ring). Until the last of them the board is untouched; the open decision stands in
the PENDING fields, so the eligible stacks are those before the slide.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.lines import collapse_along, step
from ringrift_core.game.rules.stacks import (
    eliminate_top,
    extract_lowest,
    has_buried,
    put_marker,
    take_marker,
)


@kernel
def recovery_eligible(s: Words) -> bool:
    """R110: the mover controls no stack, has a marker and a buried ring."""
    seat = s[at.PLAYER]
    return s[at.STACKS + seat] == 0 and s[at.MARKERS + seat] > 0 and s[at.RINGS + seat] > 0


@kernel
def run_after_slide(g: Table, s: Words, source: int, landing: int, axis: int) -> tuple[int, int]:
    """(first cell, length) of the mover's run through `landing` along `axis` once the marker has slid there."""
    seat = s[at.PLAYER]
    previous = g[at.AXIS_PREV]
    first = landing
    before = g[previous + first * g[at.AXES] + axis]
    while s[at.CODE + before] == seat and before != source:
        first = before
        before = g[previous + first * g[at.AXES] + axis]
    length = 0
    cell = first
    while cell == landing or (s[at.CODE + cell] == seat and cell != source):
        length += 1
        cell = step(g, cell, axis)
    return first, length


@kernel
def longest_axis(g: Table, s: Words, source: int, landing: int) -> int:
    """Axis of the longest eligible run after the slide (the first of equal ones), NONE without one (R112)."""
    best = at.NONE
    longest = s[at.LINE_LENGTH] - 1
    for axis in range(g[at.AXES]):
        length = run_after_slide(g, s, source, landing, axis)[1]
        if length > longest:
            best = axis
            longest = length
    return best


@kernel
def list_slides(g: Table, s: Words, out: Words) -> int:
    """Write the RAY ids of all slides; fallback and strike only where no slide forms a line (R112); then skip."""
    k = 0
    for lines in range(1, -1, -1):
        if k > 0:
            break
        for source in range(g[at.CELLS]):
            if s[at.CODE + source] != s[at.PLAYER]:
                continue
            for direction in range(g[at.DIRS]):
                slot = g[at.RAY_START] + source * g[at.DIRS] + direction
                ray = g[slot]
                if ray == g[slot + 1]:
                    continue
                landing = g[g[at.RAY_TO] + ray]
                code = s[at.CODE + landing]
                if lines == 1:
                    fits = code == at.EMPTY and longest_axis(g, s, source, landing) != at.NONE
                else:
                    fits = code == at.EMPTY or at.STACK < code <= at.STACK_LAST
                if fits:
                    out[k] = g[at.RAY_ID] + ray
                    k += 1
    out[k] = g[at.SPECIAL_ID] + at.SKIP_RECOVERY
    return k + 1


@kernel
def list_line_options(g: Table, s: Words, out: Words) -> int:
    """Write LINE_ALL and the windows through the destination, for the longest run of the open slide (R112)."""
    source = s[at.PENDING_FROM]
    landing = s[at.PENDING_TO]
    axis = longest_axis(g, s, source, landing)
    first, length = run_after_slide(g, s, source, landing, axis)
    need = s[at.LINE_LENGTH]
    out[0] = g[at.LINE_ALL_ID] + first * g[at.AXES] + axis
    k = 1
    reach = 0  # index of the destination in the run
    cell = first
    while cell != landing:
        reach += 1
        cell = step(g, cell, axis)
    cell = first
    for i in range(length - need + 1):
        if i <= reach < i + need:
            out[k] = g[at.LINE_SEG_ID] + cell * g[at.AXES] + axis
            k += 1
        cell = step(g, cell, axis)
    return k


@kernel
def list_extractions(g: Table, s: Words, out: Words) -> int:
    """Write ELIM for every stack that holds a buried ring of the mover (R113, R114)."""
    k = 0
    for cell in range(g[at.CELLS]):
        code = s[at.CODE + cell]
        if at.STACK < code <= at.STACK_LAST and has_buried(g, s, cell, s[at.PLAYER]):
            out[k] = g[at.ELIM_ID] + cell
            k += 1
    return k


@kernel
def begin_slide(g: Table, s: Words, ray: int) -> None:
    """Note the slide; what is decided next depends on the longest line it would form."""
    source = g[g[at.RAY_FROM] + ray]
    landing = g[g[at.RAY_TO] + ray]
    s[at.PENDING_FROM] = source
    s[at.PENDING_TO] = landing
    s[at.PENDING] = at.EXTRACTION
    if s[at.CODE + landing] == at.EMPTY:
        axis = longest_axis(g, s, source, landing)
        if axis != at.NONE:
            length = run_after_slide(g, s, source, landing, axis)[1]
            if length > s[at.LINE_LENGTH]:
                s[at.PENDING] = at.LINE_OPTION


@kernel
def slide(g: Table, s: Words) -> None:
    """Carry out the noted slide, the strike included; the payment is the caller's."""
    source = s[at.PENDING_FROM]
    landing = s[at.PENDING_TO]
    take_marker(s, source)
    if s[at.CODE + landing] == at.EMPTY:
        put_marker(s, landing, s[at.PLAYER])
    else:
        eliminate_top(g, s, landing)  # stack strike (R112)
    s[at.PENDING] = 0
    s[at.PENDING_FROM] = at.NONE
    s[at.PENDING_TO] = at.NONE
    s[at.RECOVERY_TURN] = 1


@kernel
def finish_with_window(g: Table, s: Words, cell: int, axis: int) -> None:
    """Option 2: collapse the chosen window, free of charge."""
    slide(g, s)
    collapse_along(g, s, cell, axis, s[at.LINE_LENGTH])


@kernel
def finish_with_extraction(g: Table, s: Words, cell: int) -> None:
    """Option 1, fallback or strike: collapse the first long enough run if there is one, then extract from `cell`."""
    source = s[at.PENDING_FROM]
    landing = s[at.PENDING_TO]
    if s[at.CODE + landing] == at.EMPTY:
        for axis in range(g[at.AXES]):
            first, length = run_after_slide(g, s, source, landing, axis)
            if length >= s[at.LINE_LENGTH]:
                slide(g, s)
                collapse_along(g, s, first, axis, length)
                extract_lowest(g, s, cell)
                return
    slide(g, s)
    extract_lowest(g, s, cell)
