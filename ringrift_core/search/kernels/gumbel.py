"""Gumbel search: which decision a simulation follows, which is chosen, and the policy target.

Danihelka et al., "Policy improvement by planning with Gumbel" (ICLR 2022): Gumbel top-m with sequential halving in the
root (section 3), deterministic selection below (section 5), completed Q values for targets (section 4). Q is the
component of the agent that decides at the node, in [0, 1].
"""

import math

from ringrift_core.game.rules.jit import Words, kernel
from ringrift_core.game.rules.playout import LEHMER_MODULUS, next_random
from ringrift_core.search.kernels.tree import (
    AGENT,
    BUDGET,
    CONSIDERED,
    COUNT,
    DONE,
    FIRST,
    GUMBEL,
    LOGIT,
    NOISE,
    PRIOR,
    VISITS,
    WORTH,
    Floats,
    Tree,
    nodes_per_slot,
)

TIE_NOISE = 1e-6  # without noise only equal decisions are told apart, not always in favour of the lowest id


@kernel
def plan_halving(plan: Words, considered: int, simulations: int) -> None:
    """Write how many visits the decision of each simulation must have: `considered` of them, halved in rounds."""
    rounds = 0
    while (1 << rounds) < considered:
        rounds += 1
    t = 0
    visits = 0
    if considered <= 1:
        while t < simulations:
            plan[t] = t
            t += 1
        return
    while t < simulations:
        for _ in range(max(1, simulations // (rounds * considered))):
            for _ in range(considered):
                if t < simulations:
                    plan[t] = visits
                    t += 1
            visits += 1
        considered = max(2, considered // 2)


@kernel
def begin_root(t: Tree, slot: int) -> None:
    """Draw the root's noise and plan its simulations; its judgement stands."""
    node = slot * nodes_per_slot(t)
    first = t.node[node][FIRST]
    count = t.node[node][COUNT]
    for i in range(count):
        t.seeds[slot] = next_random(t.seeds[slot])
        noise = -math.log(-math.log(t.seeds[slot] / LEHMER_MODULUS))
        t.stat[first + i][GUMBEL] = noise if t.slot[slot][NOISE] == 1 else TIE_NOISE * noise
    budget = t.slot[slot][BUDGET]
    plan_halving(t.schedule[slot], min(count, t.slot[slot][CONSIDERED]), budget)


@kernel
def worth(t: Tree, edge: int, agent: int) -> float:
    """Mean value of a visited decision for an agent."""
    return t.stat[edge][WORTH + agent] / t.edge[edge][VISITS]


@kernel
def complete(t: Tree, node: int) -> tuple[float, float, float, int]:
    """What completes the Q values of a node: (value of unvisited decisions, largest Q, weight of Q, all visits).

    Unvisited decisions get a mix of the judged value and the visited decisions' values, weighted by prior.
    """
    agent = t.node[node][AGENT]
    first = t.node[node][FIRST]
    visits = 0
    most = 0
    mass = 0.0
    weighted = 0.0
    best = 0.0
    unseen = 0
    for edge in range(first, first + t.node[node][COUNT]):
        n = t.edge[edge][VISITS]
        if n == 0:
            unseen += 1
        else:
            q = worth(t, edge, agent)
            visits += n
            most = max(most, n)
            mass += t.stat[edge][PRIOR]
            weighted += t.stat[edge][PRIOR] * q
            best = max(best, q)
    mixed = float(t.value[node][agent])
    if visits > 0:
        mixed = (mixed + visits * weighted / mass) / (1 + visits)
    if unseen > 0:  # else no decision has this value, and all others could be too small for exp
        best = max(best, mixed)
    return mixed, best, (t.visit_weight + most) * t.value_weight, visits


@kernel
def improved(t: Tree, edge: int, agent: int, mixed: float, best: float, weight: float) -> float:
    """Weight of a decision in the improved policy: prior * exp(weight * completed Q), up to a factor."""
    q = worth(t, edge, agent) if t.edge[edge][VISITS] > 0 else mixed
    return t.stat[edge][PRIOR] * math.exp(weight * (q - best))


@kernel
def select_below(t: Tree, node: int) -> int:
    """The edge to follow at an inner node: largest improved policy less its share of the visits."""
    mixed, best, weight, visits = complete(t, node)
    agent = t.node[node][AGENT]
    first = t.node[node][FIRST]
    last = first + t.node[node][COUNT]
    unseen = math.exp(weight * (mixed - best))
    total = 0.0
    for edge in range(first, last):
        if t.edge[edge][VISITS] > 0:
            total += improved(t, edge, agent, mixed, best, weight)
        else:
            total += t.stat[edge][PRIOR] * unseen
    chosen = first
    highest = -2.0
    for edge in range(first, last):
        n = t.edge[edge][VISITS]
        if n > 0:
            score = improved(t, edge, agent, mixed, best, weight) / total - n / (1 + visits)
        else:
            score = t.stat[edge][PRIOR] * unseen / total
        if score > highest:
            highest = score
            chosen = edge
    return chosen


@kernel
def best_in_root(t: Tree, slot: int, visits: int) -> int:
    """The root edge with exactly so many visits whose noise + logit + weighted Q is largest."""
    node = slot * nodes_per_slot(t)
    mixed, best, weight, _ = complete(t, node)
    agent = t.node[node][AGENT]
    first = t.node[node][FIRST]
    chosen = first
    highest = -math.inf
    for edge in range(first, first + t.node[node][COUNT]):
        if t.edge[edge][VISITS] != visits:
            continue
        q = worth(t, edge, agent) if visits > 0 else mixed
        score = t.stat[edge][GUMBEL] + t.stat[edge][LOGIT] + weight * (q - best)
        if score > highest:
            highest = score
            chosen = edge
    return chosen


@kernel
def select_in_root(t: Tree, slot: int) -> int:
    """The edge that the next simulation follows from the root."""
    return best_in_root(t, slot, t.schedule[slot][t.slot[slot][DONE]])


@kernel
def most_visits(t: Tree, slot: int) -> int:
    """Visits of the most visited root edge."""
    node = slot * nodes_per_slot(t)
    first = t.node[node][FIRST]
    most = 0
    for edge in range(first, first + t.node[node][COUNT]):
        most = max(most, t.edge[edge][VISITS])
    return most


@kernel
def draw_in_root(t: Tree, slot: int, target: Floats, first: int) -> int:
    """A root edge drawn by the target, which stands in target[first:].

    Not by visits: sequential halving gives its candidates equal ones.
    """
    node = slot * nodes_per_slot(t)
    edge = t.node[node][FIRST]
    t.seeds[slot] = next_random(t.seeds[slot])
    left = t.seeds[slot] / LEHMER_MODULUS
    for i in range(t.node[node][COUNT] - 1):
        left -= target[first + i]
        if left < 0:
            return edge + i
    return edge + t.node[node][COUNT] - 1
