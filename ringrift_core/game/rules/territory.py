"""Regions: finding them, claiming them (R140-R145).

For each border colour (and once for none) the passable cells fall into components. Scratch layout of `w`, with
n = CELLS + 1 so that the outside has a place too: [0, n) a queue of cells, then one block of n labels for
each border colour relative to the mover, none last. A label is BLOCKED, UNSEEN or the number of the component.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import collapse, eliminate_stack, has_buried

BLOCKED = -1
UNSEEN = 0
REGION = 1  # label of the claimed region while it is collapsed
BORDER = 2  # label of its border markers


@kernel
def border_marker(s: Words, relative: int) -> int:
    """Marker code of a border colour given relative to the mover; NONE for the borderless graph."""
    if relative == at.REGION_COLOURS - 1:
        return at.NONE
    return (s[at.PLAYER] - 1 + relative) % s[at.SEATS] + 1


@kernel
def label_passable(g: Table, s: Words, w: Words, labels: int, marker: int) -> int:
    """Mark each cell UNSEEN or BLOCKED for one border colour; return the number of passable cells."""
    passable = 0
    for cell in range(g[at.CELLS]):
        code = s[at.CODE + cell]
        if code == marker or code > at.COLLAPSED:
            w[labels + cell] = BLOCKED
        else:
            w[labels + cell] = UNSEEN
            passable += 1
    w[labels + g[at.CELLS]] = BLOCKED
    return passable


@kernel
def flood(g: Table, w: Words, labels: int, start: int, label: int) -> int:
    """Label the component of `start` and leave its cells in the queue; return its size."""
    sides = g[at.SIDES]
    w[labels + start] = label
    w[0] = start
    size = 1
    done = 0
    while done < size:
        base = g[at.SIDE] + w[done] * sides
        done += 1
        for side in range(sides):
            cell = g[base + side]
            if w[labels + cell] == UNSEEN:
                w[labels + cell] = label
                w[size] = cell
                size += 1
    return size


@kernel
def payers(g: Table, s: Words, w: Words, size: int) -> int:
    """Stacks among the first `size` cells of the queue that could pay for another region (R145)."""
    seat = s[at.PLAYER]
    count = 0
    for i in range(size):
        code = s[at.CODE + w[i]]
        if at.STACK < code <= at.STACK_LAST:
            if s[at.RECOVERY_TURN] == 1:
                if has_buried(g, s, w[i], seat):
                    count += 1
            elif code == at.STACK + seat:
                count += 1
    return count


@kernel
def all_payers(g: Table, s: Words, w: Words) -> int:
    """Stacks on the whole board that could pay for a region."""
    if s[at.RECOVERY_TURN] == 0:
        return s[at.STACKS + s[at.PLAYER]]
    for cell in range(g[at.CELLS]):
        w[cell] = cell
    return payers(g, s, w, g[at.CELLS])


@kernel
def controllers(s: Words, w: Words, size: int) -> int:
    """Number of players who control stacks among the first `size` cells of the queue."""
    seen = 0
    count = 0
    for i in range(size):
        code = s[at.CODE + w[i]]
        if at.STACK < code <= at.STACK_LAST and (seen >> code) & 1 == 0:
            seen |= 1 << code
            count += 1
    return count


@kernel
def is_listed(g: Table, w: Words, relative: int, size: int, out: Words, first: int, k: int) -> bool:
    """True when the component in the queue equals one already listed under another border colour."""
    n = g[at.CELLS] + 1
    for i in range(first, k):
        rest = out[i] - g[at.REGION_ID]
        cell = rest // at.REGION_COLOURS
        other = rest % at.REGION_COLOURS
        if other == relative or cell != w[0]:
            continue
        labels = n * (1 + other)
        label = w[labels + cell]
        shared = 0
        for j in range(size):
            if w[labels + w[j]] == label:
                shared += 1
        if shared == size and label_size(g, w, labels, label) == size:
            return True
    return False


@kernel
def label_size(g: Table, w: Words, labels: int, label: int) -> int:
    """Number of cells with a label."""
    count = 0
    for cell in range(g[at.CELLS]):
        if w[labels + cell] == label:
            count += 1
    return count


@kernel
def list_coloured(g: Table, s: Words, w: Words, relative: int, outside: int, out: Words, first: int, k: int) -> int:
    """Append the processable regions of one border colour; return the new count.

    `outside` is the number of stacks on the board that could pay.
    """
    labels = (g[at.CELLS] + 1) * (1 + relative)
    marker = border_marker(s, relative)
    present = 0
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.RINGS + seat] > 0:
            present += 1
    passable = label_passable(g, s, w, labels, marker)
    label = 0
    for cell in range(g[at.CELLS]):
        if w[labels + cell] != UNSEEN:
            continue
        label += 1
        size = flood(g, w, labels, cell, label)
        if size == passable:  # the whole of it: no stack is left outside to pay
            return k
        here = controllers(s, w, size)
        if here >= present or (marker == at.NONE and here != 1):  # R142, colour test
            continue
        if payers(g, s, w, size) == outside:
            continue
        if not is_listed(g, w, relative, size, out, first, k):
            out[k] = g[at.REGION_ID] + cell * at.REGION_COLOURS + relative
            k += 1
    return k


@kernel
def list_regions(g: Table, s: Words, w: Words, out: Words) -> int:
    """Write a REGION id for every region that the mover may claim, ascending; return how many (R141-R144)."""
    outside = all_payers(g, s, w)
    if outside == 0:
        return 0
    collapsed = 0
    for seat in range(1, s[at.SEATS] + 1):
        collapsed += s[at.TERRITORY + seat]
    k = 0
    corner = 2 if g[at.SIDES] == 4 else 3  # fewest cells that can cut anything off
    for relative in range(at.REGION_COLOURS):
        barrier = collapsed
        if relative < at.REGION_COLOURS - 1:
            if relative >= s[at.SEATS]:
                continue
            own = s[at.MARKERS + border_marker(s, relative)]
            if own == 0:
                continue
            barrier += own
        if barrier >= corner:
            k = list_coloured(g, s, w, relative, outside, out, 0, k)
    for i in range(1, k):
        value = out[i]
        j = i
        while j > 0 and out[j - 1] > value:
            out[j] = out[j - 1]
            j -= 1
        out[j] = value
    return k


@kernel
def fill_region(g: Table, s: Words, w: Words, labels: int, cell: int, relative: int) -> int:
    """Put the cells of one region into the queue; return its size."""
    label_passable(g, s, w, labels, border_marker(s, relative))
    return flood(g, w, labels, cell, REGION)


@kernel
def claim_region(g: Table, s: Words, w: Words, cell: int, relative: int) -> None:
    """Eliminate what stands in the region, collapse it and its border markers to the mover (R145)."""
    labels = g[at.CELLS] + 1
    claim_queue(g, s, w, labels, fill_region(g, s, w, labels, cell, relative))


@kernel
def claim_queue(g: Table, s: Words, w: Words, labels: int, size: int) -> None:
    """The same for the `size` cells in the queue, which the label block has as REGION."""
    for i in range(size):
        if at.STACK < s[at.CODE + w[i]] <= at.STACK_LAST:
            eliminate_stack(g, s, w[i])
        collapse(s, w[i], s[at.PLAYER])
    end = append_border(g, s, w, labels, size)
    for i in range(size, end):
        collapse(s, w[i], s[at.PLAYER])


@kernel
def append_border(g: Table, s: Words, w: Words, labels: int, size: int) -> int:
    """Append the border markers of the region in the queue; return the queue's new end."""
    end = size
    for i in range(size):
        for side in range(g[at.SIDES]):
            end = append_marker(s, w, labels, g[g[at.SIDE] + w[i] * g[at.SIDES] + side], end)
    if g[at.BORDER_GROWS] == 1:
        i = size
        while i < end:
            for direction in range(8):
                end = append_marker(s, w, labels, g[g[at.KING] + w[i] * 8 + direction], end)
            i += 1
    return end


@kernel
def append_marker(s: Words, w: Words, labels: int, cell: int, end: int) -> int:
    """Append `cell` to the queue if it holds a marker that is not in it yet; return the queue's new end."""
    code = s[at.CODE + cell]
    if at.EMPTY < code <= at.MARKER_LAST and w[labels + cell] != BORDER:
        w[labels + cell] = BORDER
        w[end] = cell
        end += 1
    return end
