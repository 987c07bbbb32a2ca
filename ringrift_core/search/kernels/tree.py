"""The trees of many games in flat arrays: where everything stands, and making and scoring nodes.

A *slot* is one game's search. It owns `nodes` rows of the node arrays and `edges` rows of the edge arrays; its root is
its first node and the root's edges come first. A node is a state with a real choice or the end of a game: forced
decisions are played when it is made (R070), so they cost no simulation. Values are win probabilities by *agent*, not by
seat, so backing up over swap_sides (R180) needs no exchange. Kernels import this module as `tree`.
"""

import math
from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

from numba import types

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.hashing import state_hash
from ringrift_core.game.rules.jit import ARGUMENTS, Table, Words, kernel

Floats = MutableSequence[float]
FloatRows = Sequence[MutableSequence[float]]

# ---- columns of `slot` ----
BUDGET = 0  # simulations to make
DONE = 1  # simulations made
NODES = 2  # nodes in use
EDGES = 3  # edges in use
DEPTH = 4  # edges on the path that waits for a judgement
LEAF = 5  # node that waits for a judgement, NONE = nothing waits
NOISE = 6  # 1: Gumbel noise at the root
CONSIDERED = 7  # most decisions looked at in the root
SHORT = 8  # 1: stopped for lack of room in the edge arrays
JUDGE = 9  # number of the evaluator; the cache keeps their judgements apart
SLOT_COLUMNS = 10
# ---- columns of `node` ----
FIRST = 0  # first edge
COUNT = 1  # edges; 0 = the game is over here
AGENT = 2  # agent that decides, from 0
NODE_COLUMNS = 3
# ---- columns of `edge` ----
ID = 0
VISITS = 1
CHILD = 2  # node, NONE before the first visit
EDGE_COLUMNS = 3
# ---- columns of `stat` ----
LOGIT = 0
PRIOR = 1
GUMBEL = 2  # in the root only
WORTH = 3  # sum of backed up values, one column per agent
AGENTS_MAX = 4
STAT_COLUMNS = WORTH + AGENTS_MAX
# ---- counters ----
JUDGED = 0  # positions sent to the evaluator
CACHED = 1  # positions whose judgement was in the cache
ENDED = 2  # simulations that ended in the end of a game
FORCED = 3  # positions sent to the evaluator although only one decision was legal: always 0
COUNTERS = 4

PRIOR_MIN = 1e-9  # keeps the weighted mean of visited decisions defined where the evaluator gives one no chance


class Tree(NamedTuple):
    """All arrays of a search, as kernels take them."""

    states: Sequence[MutableSequence[int]]  # int16 [slots * nodes, words]
    slot: Sequence[MutableSequence[int]]  # int32 [slots, SLOT_COLUMNS]
    node: Sequence[MutableSequence[int]]  # int32 [slots * nodes, NODE_COLUMNS]
    keys: MutableSequence[int]  # int64 [slots * nodes] state hashes
    value: FloatRows  # float32 [slots * nodes, AGENTS_MAX] the evaluator's judgement, by agent
    edge: Sequence[MutableSequence[int]]  # int32 [slots * edges, EDGE_COLUMNS]
    stat: FloatRows  # float32 [slots * edges, STAT_COLUMNS]
    path: Sequence[MutableSequence[int]]  # int32 [slots, nodes] edges from the root to the waiting leaf
    schedule: Sequence[
        MutableSequence[int]
    ]  # int32 [slots, nodes] visits that a root decision must have, by simulation
    seeds: MutableSequence[int]  # int64 [slots] generator of each slot
    counters: MutableSequence[int]  # int64 [COUNTERS]
    cache_keys: MutableSequence[int]  # int64 [entries] state hash + 1, 0 = empty
    cache_places: Sequence[MutableSequence[int]]  # int64 [entries, 2] absolute place of the logits, their number
    cache_values: FloatRows  # float32 [entries, AGENTS_MAX] by seat
    cache_logits: Floats  # float32 [room] a ring buffer
    cache_head: MutableSequence[int]  # int64 [1] absolute place of the next logit
    visit_weight: float  # c_visit of the completed-Q transform
    value_weight: float  # c_scale of it, for values in [0, 1]


ARGUMENTS["tree"] = types.NamedTuple(
    (
        ARGUMENTS["states"],
        ARGUMENTS["ints_rows"],
        ARGUMENTS["ints_rows"],
        ARGUMENTS["longs"],
        ARGUMENTS["floats_rows"],
        ARGUMENTS["ints_rows"],
        ARGUMENTS["floats_rows"],
        ARGUMENTS["ints_rows"],
        ARGUMENTS["ints_rows"],
        ARGUMENTS["longs"],
        ARGUMENTS["longs"],
        ARGUMENTS["longs"],
        ARGUMENTS["longs_rows"],
        ARGUMENTS["floats_rows"],
        ARGUMENTS["floats"],
        ARGUMENTS["longs"],
        types.float64,
        types.float64,
    ),
    Tree,
)


@kernel
def nodes_per_slot(t: Tree) -> int:
    """Node rows that each slot owns."""
    return len(t.states) // len(t.slot)


@kernel
def edges_per_slot(t: Tree) -> int:
    """Edge rows that each slot owns."""
    return len(t.edge) // len(t.slot)


@kernel
def add_node(g: Table, t: Tree, slot: int, node: int, out: Words, count: int) -> bool:
    """Give `node`, whose state stands, its edges: the `count` ids in `out`; False when the slot has no room."""
    used = t.slot[slot][EDGES]
    room = edges_per_slot(t)
    if used + count > room:
        t.slot[slot][SHORT] = 1
        return False
    first = slot * room + used
    for i in range(count):
        edge = t.edge[first + i]
        edge[ID] = out[i]
        edge[VISITS] = 0
        edge[CHILD] = at.NONE
        stat = t.stat[first + i]
        for column in range(STAT_COLUMNS):
            stat[column] = 0.0
    s = t.states[node]
    t.keys[node] = state_hash(g, s)
    t.node[node][FIRST] = first
    t.node[node][COUNT] = count
    t.node[node][AGENT] = s[at.AGENT + s[at.PLAYER]] - 1
    t.slot[slot][EDGES] = used + count
    t.slot[slot][NODES] = max(t.slot[slot][NODES], node - slot * nodes_per_slot(t) + 1)
    return True


@kernel
def set_end_value(t: Tree, node: int) -> None:
    """The value of a finished game: 1 for the agent that won."""
    s = t.states[node]
    for agent in range(AGENTS_MAX):
        t.value[node][agent] = 0.0
    t.value[node][s[at.AGENT + s[at.WINNER]] - 1] = 1.0


@kernel
def set_judgement(t: Tree, node: int, logits: Floats, first: int, values: Floats) -> None:
    """Write an evaluator's judgement: logits[first + i] of each edge, values by seat, seat 1 first."""
    s = t.states[node]
    for agent in range(AGENTS_MAX):
        t.value[node][agent] = 0.0
    for seat in range(1, s[at.SEATS] + 1):
        t.value[node][s[at.AGENT + seat] - 1] = values[seat - 1]
    start = t.node[node][FIRST]
    count = t.node[node][COUNT]
    largest = logits[first]
    for i in range(1, count):
        largest = max(largest, logits[first + i])
    total = 0.0
    for i in range(count):
        t.stat[start + i][LOGIT] = logits[first + i] - largest
        total += math.exp(logits[first + i] - largest)
    for i in range(count):
        t.stat[start + i][PRIOR] = max(math.exp(t.stat[start + i][LOGIT]) / total, PRIOR_MIN)


@kernel
def back_up(t: Tree, slot: int, node: int) -> None:
    """Add the value of `node` to every edge of the slot's path and count the simulation."""
    for i in range(t.slot[slot][DEPTH]):
        edge = t.path[slot][i]
        t.edge[edge][VISITS] += 1
        for agent in range(AGENTS_MAX):
            t.stat[edge][WORTH + agent] += t.value[node][agent]
    t.slot[slot][DONE] += 1
