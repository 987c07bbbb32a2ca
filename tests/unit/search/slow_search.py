"""The Gumbel search a second time, slowly: from the definitions of the papers, with dicts and one position at a time.

Danihelka et al. 2022; the sequence of considered visits is mctx's; values are vectors by agent (max-n). Shares nothing
with the kernels of the search but the rules and the random numbers that it is given.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ringrift_core.game import Board
from ringrift_core.game.batch import Int16Array
from ringrift_core.game.rules import entries, jit
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import scratch_words
from tests.unit.search.judges import Judgement

LEHMER_FACTOR, LEHMER_MODULUS = 48271, 2147483647


@dataclass
class Node:
    """A position with a real choice, or the end of a game."""

    row: Int16Array
    key: int
    legal: list[int]
    agent: int = 0
    value: dict[int, float] = field(default_factory=dict)  # by agent
    logits: dict[int, float] = field(default_factory=dict)
    visits: dict[int, int] = field(default_factory=dict)
    sums: dict[int, dict[int, float]] = field(default_factory=dict)
    children: dict[int, "Node"] = field(default_factory=dict)

    def q(self, action: int, agent: int) -> float:
        return self.sums[action][agent] / self.visits[action]

    def prior(self) -> dict[int, float]:
        return softmax(self.logits)

    def v_mix(self) -> float:
        """The judged value and the visited decisions' values, weighted by prior (their appendix D)."""
        seen = [a for a in self.legal if self.visits[a]]
        if not seen:
            return self.value[self.agent]
        prior = self.prior()
        mass = sum(prior[a] for a in seen)
        weighted = sum(prior[a] * self.q(a, self.agent) for a in seen) / mass
        total = sum(self.visits.values())
        return (self.value[self.agent] + total * weighted) / (1 + total)

    def sigma(self, c_visit: float, c_scale: float) -> dict[int, float]:
        """The monotone transform of the completed Q values."""
        mixed, weight = self.v_mix(), (c_visit + max(self.visits.values())) * c_scale
        return {a: weight * (self.q(a, self.agent) if self.visits[a] else mixed) for a in self.legal}

    def improved(self, c_visit: float, c_scale: float) -> dict[int, float]:
        sigma = self.sigma(c_visit, c_scale)
        return softmax({a: self.logits[a] + sigma[a] for a in self.legal})


def softmax(scores: dict[int, float]) -> dict[int, float]:
    largest = max(scores.values())
    weights = {a: math.exp(score - largest) for a, score in scores.items()}
    total = math.fsum(weights.values())
    return {a: weight / total for a, weight in weights.items()}


def considered_visits(considered: int, simulations: int) -> list[int]:
    """Mctx's get_sequence_of_considered_visits, decision by decision."""
    if considered <= 1:
        return list(range(simulations))
    rounds = math.ceil(math.log2(considered))
    visits = [0] * considered
    sequence: list[int] = []
    while len(sequence) < simulations:
        for _ in range(max(1, int(simulations / (rounds * considered)))):
            sequence += visits[:considered]
            for i in range(considered):
                visits[i] += 1
        considered = max(2, considered // 2)
    return sequence[:simulations]


@dataclass
class SlowSearch:
    """One search; `run` fills root, visits and noise."""

    board: Board
    players: int
    judgement: Judgement
    considered: int = 16
    c_visit: float = 50.0
    c_scale: float = 1.0
    noise: dict[int, float] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def run(self, row: Int16Array, simulations: int, seed: int, *, noise: bool) -> Node:
        self.nodes = []
        root = self.make_node(row.copy())
        self.noise = {}
        scale = 1.0 if noise else 1e-6
        for action in root.legal:  # the generator of the kernel, in the order of the ids
            seed = seed * LEHMER_FACTOR % LEHMER_MODULUS
            self.noise[action] = -scale * math.log(-math.log(seed / LEHMER_MODULUS))
        for wanted in considered_visits(min(len(root.legal), self.considered), simulations):
            self.simulate(root, wanted)
        return root

    def simulate(self, root: Node, wanted: int) -> None:
        node, action = root, self.select_in_root(root, wanted)
        path = [(node, action)]
        while action in node.children and node.children[action].legal:
            node = node.children[action]
            action = self.select_below(node)
            path.append((node, action))
        if action not in node.children:
            row = node.row.copy()
            self.apply(row, action)
            node.children[action] = self.make_node(row)
        leaf = node.children[action]
        for parent, chosen in path:
            parent.visits[chosen] += 1
            for agent in leaf.value:
                parent.sums[chosen][agent] += leaf.value[agent]

    def select_in_root(self, root: Node, wanted: int) -> int:
        sigma = root.sigma(self.c_visit, self.c_scale)
        fitting = [a for a in root.legal if root.visits[a] == wanted]
        return max(fitting, key=lambda a: self.noise[a] + root.logits[a] + sigma[a])

    def select_below(self, node: Node) -> int:
        improved = node.improved(self.c_visit, self.c_scale)
        total = sum(node.visits.values())
        return max(node.legal, key=lambda a: improved[a] - node.visits[a] / (1 + total))

    # ---- what is found ----

    def target(self, root: Node) -> list[float]:
        improved = root.improved(self.c_visit, self.c_scale)
        return [improved[a] for a in root.legal]

    def best(self, root: Node) -> int:
        return self.select_in_root(root, max(root.visits.values()))

    def values(self, root: Node) -> list[float]:
        """Visited decisions weighted by the improved policy, by agent."""
        improved = root.improved(self.c_visit, self.c_scale)
        seen = [a for a in root.legal if root.visits[a]]
        mass = sum(improved[a] for a in seen)
        agents = range(1, self.players + 1)
        if not seen:
            return [root.value[agent] for agent in agents]
        return [sum(improved[a] * root.q(a, agent) for a in seen) / mass for agent in agents]

    def distinct(self) -> int:
        return len({node.key for node in self.nodes})

    # ---- rules ----

    def make_node(self, row: Int16Array) -> Node:
        """The position after all forced decisions, judged."""
        legal = self.legal(row)
        while len(legal) == 1:
            self.apply(row, legal[0])
            legal = self.legal(row)
        g = jit.for_kernel(self.board.flat)
        node = Node(row, int(entries.hash_state(g, jit.for_kernel(row))), legal)
        agents = [int(row[at.AGENT + seat]) for seat in range(1, self.players + 1)]
        self.nodes.append(node)
        if not legal:
            node.value = {agent: float(agent == row[at.AGENT + row[at.WINNER]]) for agent in agents}
            return node
        logits, values = self.judgement(node.key, len(legal), self.players)
        node.agent = int(row[at.AGENT + row[at.PLAYER]])
        node.value = {agent: float(value) for agent, value in zip(agents, values, strict=True)}
        node.logits = {a: float(logit) for a, logit in zip(legal, logits, strict=True)}
        node.visits = dict.fromkeys(legal, 0)
        node.sums = {a: dict.fromkeys(agents, 0.0) for a in legal}
        return node

    def legal(self, row: Int16Array) -> list[int]:
        w, out = self.scratch()
        count = entries.legal_decisions(
            jit.for_kernel(self.board.flat), jit.for_kernel(row), jit.for_kernel(w), jit.for_kernel(out)
        )
        ids: list[int] = out[:count].tolist()
        return ids

    def apply(self, row: Int16Array, action: int) -> None:
        w, out = self.scratch()
        entries.apply_decision(
            jit.for_kernel(self.board.flat), jit.for_kernel(row), jit.for_kernel(w), jit.for_kernel(out), action
        )

    def scratch(self) -> tuple[Int16Array, np.ndarray[tuple[int], np.dtype[np.uint16]]]:
        return np.zeros(scratch_words(self.board), np.int16), np.zeros(self.board.actions.size, np.uint16)
