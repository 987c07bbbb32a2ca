"""What Python calls: run simulations up to the positions that need a judgement, take the judgements, read the results.

Every call takes the slots it is about [k]. One thread per tree; several trees may run in several threads.
"""

import math

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Rows, Table, Words, entry, kernel
from ringrift_core.game.rules.phases import advance, apply, list_legal
from ringrift_core.search.kernels import tree
from ringrift_core.search.kernels.cache import cache_key, cached_logits, find_judgement, keep_judgement
from ringrift_core.search.kernels.gumbel import (
    begin_root,
    best_in_root,
    complete,
    draw_in_root,
    improved,
    most_visits,
    select_below,
    select_in_root,
    worth,
)
from ringrift_core.search.kernels.tree import FloatRows, Floats, Tree


@kernel
def judge_from_cache(t: Tree, slot: int, node: int) -> bool:
    """Give a new node the judgement from the cache; False when it is not there."""
    found = find_judgement(t, cache_key(t, slot, node), t.node[node][tree.COUNT])
    if found < 0:
        return False
    tree.set_judgement(t, node, t.cache_logits, cached_logits(t, found), t.cache_values[found])
    t.counters[tree.CACHED] += 1
    return True


@kernel
def open_root(g: Table, t: Tree, slot: int, w: Words, out: Words) -> bool:
    """Make the root; True when its judgement was in the cache."""
    root = slot * tree.nodes_per_slot(t)
    count = list_legal(g, t.states[root], w, out)
    t.slot[slot][tree.DEPTH] = 0
    if not tree.add_node(g, t, slot, root, out, count):
        return False
    if judge_from_cache(t, slot, root):
        begin_root(t, slot)
        return True
    t.slot[slot][tree.LEAF] = root
    return False


@kernel
def descend(t: Tree, slot: int) -> int:
    """Follow the selection from the root to an edge without a child or to the end of a game; return that edge."""
    edge = select_in_root(t, slot)
    t.path[slot][0] = edge
    depth = 1
    while t.edge[edge][tree.CHILD] != at.NONE:
        child = t.edge[edge][tree.CHILD]
        if t.node[child][tree.COUNT] == 0:
            break
        edge = select_below(t, child)
        t.path[slot][depth] = edge
        depth += 1
    t.slot[slot][tree.DEPTH] = depth
    return edge


@kernel
def make_child(g: Table, t: Tree, slot: int, edge: int, w: Words, out: Words) -> int:
    """The node that an edge without a child leads to; NONE when there is no room for it."""
    node = slot * tree.nodes_per_slot(t) + t.slot[slot][tree.NODES]
    depth = t.slot[slot][tree.DEPTH]
    parent = slot * tree.nodes_per_slot(t)
    if depth > 1:
        parent = t.edge[t.path[slot][depth - 2]][tree.CHILD]
    s = t.states[node]
    before = t.states[parent]
    for i in range(len(s)):
        s[i] = before[i]
    apply(g, s, w, out, t.edge[edge][tree.ID])
    count = advance(g, s, w, out)
    if not tree.add_node(g, t, slot, node, out, count):
        return at.NONE
    t.edge[edge][tree.CHILD] = node
    return node


@kernel
def run_to_leaf(g: Table, t: Tree, slot: int, w: Words, out: Words) -> None:
    """Simulate until a position needs a judgement (LEAF), the budget is spent, or room is short (SHORT)."""
    if t.slot[slot][tree.NODES] == 0 and not open_root(g, t, slot, w, out):
        return
    while t.slot[slot][tree.DONE] < t.slot[slot][tree.BUDGET]:
        edge = descend(t, slot)
        node = t.edge[edge][tree.CHILD]
        if node == at.NONE:
            node = make_child(g, t, slot, edge, w, out)
            if node == at.NONE:
                return
            if t.node[node][tree.COUNT] > 0:
                if not judge_from_cache(t, slot, node):
                    t.slot[slot][tree.LEAF] = node
                    return
            else:
                tree.set_end_value(t, node)
        if t.node[node][tree.COUNT] == 0:
            t.counters[tree.ENDED] += 1
        tree.back_up(t, slot, node)


@entry("g states states ids")
def least_choice(g: Table, states: Rows, w: Rows, out: Words) -> int:
    """The smallest number of legal decisions among the states; 2 where all have that many or more."""
    least = 2
    for i in range(len(states)):
        least = min(least, list_legal(g, states[i], w[0], out))
    return least


@entry("g tree longs states ids longs longs")
def collect(g: Table, t: Tree, slots: Words, w: Rows, out: Words, leaves: Words, counts: Words) -> int:
    """Run each slot up to its next leaf; writes the waiting nodes and their edge counts, returns how many there are."""
    k = 0
    for i in range(len(slots)):
        slot = slots[i]
        if t.slot[slot][tree.LEAF] == at.NONE:
            run_to_leaf(g, t, slot, w[0], out)
            leaf = t.slot[slot][tree.LEAF]
            if leaf != at.NONE:  # counted once, however often it is collected
                t.counters[tree.JUDGED] += 1
                if t.node[leaf][tree.COUNT] < 2:
                    t.counters[tree.FORCED] += 1
        leaf = t.slot[slot][tree.LEAF]
        if leaf != at.NONE:
            leaves[k] = leaf
            counts[k] = t.node[leaf][tree.COUNT]
            k += 1
    return k


@entry("tree longs ids")
def gather_ids(t: Tree, leaves: Words, ids: Words) -> None:
    """Write the legal ids of the given nodes one after the other."""
    k = 0
    for i in range(len(leaves)):
        first = t.node[leaves[i]][tree.FIRST]
        for j in range(t.node[leaves[i]][tree.COUNT]):
            ids[k] = t.edge[first + j][tree.ID]
            k += 1


@entry("tree longs floats floats_rows")
def feed(t: Tree, leaves: Words, logits: Floats, values: FloatRows) -> None:
    """Take the judgements of waiting nodes: logits one after the other, values by seat [k, AGENTS_MAX]."""
    place = 0
    for i in range(len(leaves)):
        node = leaves[i]
        slot = node // tree.nodes_per_slot(t)
        count = t.node[node][tree.COUNT]
        tree.set_judgement(t, node, logits, place, values[i])
        keep_judgement(t, cache_key(t, slot, node), logits, place, count, values[i])
        place += count
        t.slot[slot][tree.LEAF] = at.NONE
        if t.slot[slot][tree.DEPTH] == 0:
            begin_root(t, slot)
        else:
            tree.back_up(t, slot, node)


@kernel
def write_target(t: Tree, slot: int, targets: Floats, first: int) -> float:
    """Write the improved policy of the root to targets[first:]; return its divergence from the prior in nats."""
    node = slot * tree.nodes_per_slot(t)
    mixed, best, weight, _ = complete(t, node)
    agent = t.node[node][tree.AGENT]
    edge = t.node[node][tree.FIRST]
    count = t.node[node][tree.COUNT]
    total = 0.0
    for i in range(count):
        share = improved(t, edge + i, agent, mixed, best, weight)
        targets[first + i] = share
        total += share
    surprise = 0.0
    for i in range(count):
        share = targets[first + i] / total
        targets[first + i] = share
        if share > 0:
            surprise += share * math.log(share / t.stat[edge + i][tree.PRIOR])
    return surprise


@kernel
def write_root_value(t: Tree, slot: int, targets: Floats, first: int, values: Floats) -> None:
    """Write the root's value by agent: visited decisions weighted by the improved policy, else the judgement."""
    node = slot * tree.nodes_per_slot(t)
    edge = t.node[node][tree.FIRST]
    mass = 0.0
    for agent in range(tree.AGENTS_MAX):
        values[agent] = 0.0
    for i in range(t.node[node][tree.COUNT]):
        if t.edge[edge + i][tree.VISITS] > 0:
            mass += targets[first + i]
            for agent in range(tree.AGENTS_MAX):
                values[agent] += targets[first + i] * worth(t, edge + i, agent)
    for agent in range(tree.AGENTS_MAX):
        values[agent] = values[agent] / mass if mass > 0 else t.value[node][agent]


@entry("tree longs longs floats floats_rows floats longs longs")
def read_roots(
    t: Tree,
    slots: Words,
    offsets: Words,
    targets: Floats,
    values: FloatRows,
    surprise: Floats,
    best: Words,
    drawn: Words,
) -> None:
    """Results of finished slots: targets from offsets[i] on, root values by agent, best and drawn decisions (ids)."""
    for i in range(len(slots)):
        slot = slots[i]
        surprise[i] = write_target(t, slot, targets, offsets[i])
        write_root_value(t, slot, targets, offsets[i], values[i])
        best[i] = t.edge[best_in_root(t, slot, most_visits(t, slot))][tree.ID]
        drawn[i] = t.edge[draw_in_root(t, slot, targets, offsets[i])][tree.ID]
