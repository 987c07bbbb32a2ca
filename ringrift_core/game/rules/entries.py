"""What Python may call for one game; the many-game drivers are in batch.py."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.hashing import state_hash
from ringrift_core.game.rules.jit import Table, Words, entry
from ringrift_core.game.rules.lines import run_from
from ringrift_core.game.rules.outcome import rank_of
from ringrift_core.game.rules.phases import apply, list_legal
from ringrift_core.game.rules.recovery import longest_axis
from ringrift_core.game.rules.territory import REGION, claim_queue, fill_region
from ringrift_core.game.rules.turn import begin_turn


@entry("g s")
def begin_game(g: Table, s: Words) -> None:
    """Start the first turn of a position (the last-player tracking of its first seat included)."""
    begin_turn(g, s)


@entry("g s s ids")
def legal_decisions(g: Table, s: Words, w: Words, out: Words) -> int:
    """Write the legal ids [<= actions], ascending; return how many."""
    return list_legal(g, s, w, out)


@entry("g s s ids int")
def apply_decision(g: Table, s: Words, w: Words, out: Words, action: int) -> None:
    """Carry out one decision that is known to be legal."""
    apply(g, s, w, out, action)


@entry("g s s int")
def region_cells(g: Table, s: Words, w: Words, action: int) -> int:
    """Write the cells of a REGION id into w[0:size], unsorted; return the size."""
    rest = action - g[at.REGION_ID]
    labels = g[at.CELLS] + 1
    return fill_region(g, s, w, labels, rest // at.REGION_COLOURS, rest % at.REGION_COLOURS)


@entry("g s s int")
def claim_cells(g: Table, s: Words, w: Words, size: int) -> None:
    """Claim the region made of exactly the cells in w[0:size], legal or not: the effect without the test."""
    labels = g[at.CELLS] + 1
    for cell in range(labels):
        w[labels + cell] = 0
    for i in range(size):
        w[labels + w[i]] = REGION
    claim_queue(g, s, w, labels, size)
    s[at.REGION_DUE] = 1
    s[at.ACTED] = 1


@entry("g s int int")
def run_length(g: Table, s: Words, cell: int, axis: int) -> int:
    """Number of consecutive markers of the mover from `cell` on along `axis`."""
    return run_from(g, s, cell, axis)


@entry("g s int int")
def slide_forms_line(g: Table, s: Words, source: int, landing: int) -> bool:
    """True when a slide to an empty cell puts the marker on an eligible run."""
    return longest_axis(g, s, source, landing) != at.NONE


@entry("g s")
def hash_state(g: Table, s: Words) -> int:
    """The state hash."""
    return state_hash(g, s)


@entry("s s")
def ranking(s: Words, out: Words) -> None:
    """Write the competition rank of seats 1..n into out[0:n]."""
    for seat in range(1, s[at.SEATS] + 1):
        out[seat - 1] = rank_of(s, seat)
