"""The same rules for many games at once: one parallel loop per question.

Games are rows of `states` [batch, words]; `rows` [k] says which of them are meant and may not repeat. The k games are
cut into chunks, one per row of the scratch arrays `w` and `out`; a chunk is one parallel task.
"""

import numba

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.hashing import state_hash
from ringrift_core.game.rules.jit import Rows, Table, Words, entry
from ringrift_core.game.rules.observation import observe_cells, observe_globals
from ringrift_core.game.rules.outcome import rank_of
from ringrift_core.game.rules.phases import apply, list_legal
from ringrift_core.game.rules.symmetry import map_action, map_state


@entry("g states longs states lists longs", parallel=True)
def legal_many(g: Table, states: Rows, rows: Words, w: Rows, lists: Rows, counts: Words) -> None:
    """Write the legal ids of each game to lists[row] and their number to counts[row]."""
    for chunk in numba.prange(len(w)):
        for i in range(chunk * len(rows) // len(w), (chunk + 1) * len(rows) // len(w)):
            row = rows[i]
            counts[row] = list_legal(g, states[row], w[chunk], lists[row])


@entry("g states longs states lists longs", parallel=True)
def apply_many(g: Table, states: Rows, rows: Words, w: Rows, out: Rows, actions: Words) -> None:
    """Carry out actions[i], known to be legal, in game rows[i]."""
    for chunk in numba.prange(len(w)):
        for i in range(chunk * len(rows) // len(w), (chunk + 1) * len(rows) // len(w)):
            apply(g, states[rows[i]], w[chunk], out[chunk], actions[i])


@entry("g states longs states lists longs lists longs", parallel=True)
def advance_many(
    g: Table, states: Rows, rows: Words, w: Rows, lists: Rows, counts: Words, forced: Rows, played: Words
) -> None:
    """Play forced decisions in each game up to a choice, the end, or a full row of `forced` [k, room].

    Leaves the legal list of the state reached in lists[row], counts[row], and in forced[i] the played[i] ids.
    """
    for chunk in numba.prange(len(w)):
        for i in range(chunk * len(rows) // len(w), (chunk + 1) * len(rows) // len(w)):
            row = rows[i]
            s = states[row]
            ids = lists[row]
            k = 0
            counts[row] = list_legal(g, s, w[chunk], ids)
            while counts[row] == 1 and k < len(forced[i]):
                forced[i][k] = ids[0]
                k += 1
                apply(g, s, w[chunk], ids, ids[0])
                counts[row] = list_legal(g, s, w[chunk], ids)
            played[i] = k


@entry("lists longs longs ids", parallel=True)
def gather_many(lists: Rows, rows: Words, offsets: Words, ids: Words) -> None:
    """Copy the lists of the given games one after the other into `ids`; list i ends at offsets[i + 1]."""
    for i in numba.prange(len(rows)):
        source = lists[rows[i]]
        first = offsets[i]
        for j in range(offsets[i + 1] - first):
            ids[first + j] = source[j]


@entry("g states longs bytes states", parallel=True)
def observe_many(g: Table, states: Rows, rows: Words, cells: Rows, values: Rows) -> None:
    """Write the cell fields [k, fields * cells] and the global fields [k, fields] of each game."""
    for i in numba.prange(len(rows)):
        observe_cells(g, states[rows[i]], cells[i])
        observe_globals(states[rows[i]], values[i])


@entry("g states longs longs", parallel=True)
def hash_many(g: Table, states: Rows, rows: Words, hashes: Words) -> None:
    """Write the state hash of each game."""
    for i in numba.prange(len(rows)):
        hashes[i] = state_hash(g, states[rows[i]])


@entry("states longs longs_rows", parallel=True)
def rank_many(states: Rows, rows: Words, ranks: Rows) -> None:
    """Write the competition ranks of each game, [k, players]."""
    for i in numba.prange(len(rows)):
        s = states[rows[i]]
        for seat in range(1, s[at.SEATS] + 1):
            ranks[i][seat - 1] = rank_of(s, seat)


@entry("g states longs longs states", parallel=True)
def map_states(g: Table, states: Rows, rows: Words, symmetries: Words, images: Rows) -> None:
    """Write the image of each game under its symmetry, [k, words]."""
    for i in numba.prange(len(rows)):
        map_state(g, states[rows[i]], symmetries[i], images[i])


@entry("g states longs longs states longs ids", parallel=True)
def map_actions(g: Table, states: Rows, rows: Words, symmetries: Words, w: Rows, offsets: Words, ids: Words) -> None:
    """Replace ragged legal ids by their images under the symmetry of their game."""
    for chunk in numba.prange(len(w)):
        for i in range(chunk * len(rows) // len(w), (chunk + 1) * len(rows) // len(w)):
            for j in range(offsets[i], offsets[i + 1]):
                ids[j] = map_action(g, states[rows[i]], w[chunk], symmetries[i], ids[j])
