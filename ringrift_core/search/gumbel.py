"""GumbelSearch: the trees of many games, each run up to the next position that needs a judgement.

    search = GumbelSearch(board, players, slots, SearchSettings())
    search.begin(slots, states, budgets, seeds)
    while len(positions := search.collect(slots)):
        search.feed(evaluator.evaluate(positions))
    roots = search.roots(slots)

A simulation makes one new node; the evaluator is asked about positions that the cache does not know, never about forced
decisions or finished games. Danihelka et al. 2022 for the selection, max-n for the values.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import RulesError
from ringrift_core.game.batch import Int16Array, IntArray, Ragged, Uint16Array
from ringrift_core.game.board import Board
from ringrift_core.game.rules import jit
from ringrift_core.game.rules.playout import LEHMER_MODULUS
from ringrift_core.game.state import row_words, scratch_words
from ringrift_core.search.evaluator import Evaluation, Evaluator, Float32Array, Positions
from ringrift_core.search.kernels import simulate, tree

EDGES_PER_NODE = 2  # first guess of the room for edges: so many per cell and node; it doubles when it is short
NUMBER_MAX = 1 << 31  # nodes and edges are numbered in 32 bits
CACHE_LOGITS_PER_ENTRY = 128
NOTHING = -1


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search; equal settings and equal judgements give equal results."""

    considered: int = 16  # most root decisions looked at (m)
    visit_weight: float = 50.0  # c_visit
    value_weight: float = 1.0  # c_scale, for Q in [0, 1] as it is
    cache_entries: int = 1 << 15

    def __post_init__(self) -> None:
        """RulesError when a number makes no sense."""
        if self.considered < 1 or self.cache_entries < 1:
            raise RulesError("a search considers at least one decision and its cache has at least one entry")
        if not (0 <= self.visit_weight < math.inf and 0 <= self.value_weight < math.inf):
            raise RulesError("the weights of visits and values are finite and not negative")


@dataclass(frozen=True, slots=True)
class Roots:
    """Results of k finished searches."""

    legal: Ragged  # the root's legal ids, ascending
    target: Float32Array  # [legal ids] improved policy
    values: Float32Array  # [k, players] win probability by agent, agent 1 first
    surprise: Float32Array  # [k] divergence of target from prior, nats
    best: IntArray  # [k] id of the best decision
    drawn: IntArray  # [k] id drawn by the target
    distinct: IntArray  # [k] distinct positions in the tree
    visits: IntArray  # [legal ids] visits of each decision


@dataclass(frozen=True, slots=True)
class Counters:
    """What a search has done since it was made."""

    judged: int  # positions sent to the evaluator
    cached: int  # judgements taken from the cache
    ended: int  # simulations that ended in the end of a game
    forced: int  # positions sent to the evaluator with fewer than two legal decisions: a bug if not 0
    asked: int  # batches sent to the evaluator
    asked_slots: int  # slots that were named in the calls that made them


class GumbelSearch:
    """`slots` searches side by side; every call names the slots it is about. One thread at a time."""

    def __init__(self, board: Board, players: int, slots: int, settings: SearchSettings) -> None:
        self.board = board
        self.players = players
        self.settings = settings
        self.slots = slots
        self._g = jit.for_kernel(board.flat)
        self._w = np.zeros((1, scratch_words(board)), np.int16)
        self._out: Uint16Array = np.zeros(board.actions.size, np.uint16)
        self._counters = np.zeros(tree.COUNTERS, np.int64)
        self._asked = 0
        self._asked_slots = 0
        self._leaves = np.zeros(slots, np.int64)
        self._leaf_counts = np.zeros(slots, np.int64)
        self._waiting = np.zeros(0, np.int64)  # nodes of the last collect
        self._nodes = 2
        self._edges = self._nodes * EDGES_PER_NODE * board.cell_count
        self._seeds = np.ones(slots, np.int64)
        self._slot = np.zeros((slots, tree.SLOT_COLUMNS), np.int32)
        self._slot[:, tree.LEAF] = NOTHING
        self._slot[:, tree.BUDGET] = NOTHING  # until a search has begun in the slot
        entries = settings.cache_entries
        self._cache: dict[str, npt.NDArray[Any]] = {
            "cache_keys": np.zeros(entries, np.int64),
            "cache_places": np.zeros((entries, 2), np.int64),
            "cache_values": np.zeros((entries, tree.AGENTS_MAX), np.float32),
            "cache_logits": np.zeros(entries * CACHE_LOGITS_PER_ENTRY, np.float32),
            "cache_head": np.zeros(1, np.int64),
        }
        self._make_nodes()
        self._make_edges()
        self._bind()

    # ---- a search from begin to end ----

    def begin(
        self,
        slots: IntArray,
        states: Int16Array,
        budgets: IntArray,
        seeds: IntArray,
        *,
        noise: bool = True,
        judges: IntArray | int = 0,
    ) -> None:
        """Start searches of `states` [k, words] with so many simulations each; 0 asks for the judgement only.

        Every state needs a choice: forced decisions are played first. `seeds` [k] are 1 .. 2^31 - 2. Slots of different
        evaluators have different numbers in `judges`. RulesError, and nothing is begun, if anything does not fit.
        """
        self._check_begin(slots, states, budgets, seeds)
        self._grow_nodes(int(budgets.max(initial=0)) + 1)
        self._states[slots * self._nodes] = states
        self._slot[slots] = 0
        self._slot[slots, tree.BUDGET] = budgets
        self._slot[slots, tree.LEAF] = NOTHING
        self._slot[slots, tree.NOISE] = noise
        self._slot[slots, tree.JUDGE] = judges
        self._slot[slots, tree.CONSIDERED] = self.settings.considered
        self._seeds[slots] = seeds

    def collect(self, slots: IntArray) -> Positions:
        """Run the searches until each waits for a judgement or is finished; return those that wait."""
        self._check_begun(slots)
        count = self._collect(slots)
        while self._slot[slots, tree.SHORT].any():
            self._grow_edges(2 * self._edges + 1)
            self._slot[slots, tree.SHORT] = 0
            count = self._collect(slots)
        self._waiting = self._leaves[:count].copy()
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(self._leaf_counts[:count], out=offsets[1:])
        ids: Uint16Array = np.zeros(offsets[-1], np.uint16)
        simulate.gather_ids(self._tree, jit.for_kernel(self._waiting), jit.for_kernel(ids))
        if count:
            self._asked += 1
            self._asked_slots += len(slots)
        return Positions(self.board, self.players, self._states, self._waiting, Ragged(ids, offsets))

    def feed(self, evaluation: Evaluation) -> None:
        """Take the judgement of what the last `collect` returned; RulesError when it is one of something else."""
        expected = (int(self._node[self._waiting, tree.COUNT].sum()),), (len(self._waiting), self.players)
        found = evaluation.logits.shape, evaluation.values.shape
        if found != expected:
            raise RulesError(f"a judgement of the shapes {found} came where {expected} is awaited")
        if not (np.isfinite(evaluation.logits).all() and np.isfinite(evaluation.values).all()):
            raise RulesError("a judgement is not a finite number; the net behind it is broken")
        values = np.zeros((len(self._waiting), tree.AGENTS_MAX), np.float32)
        values[:, : self.players] = evaluation.values
        logits = np.ascontiguousarray(evaluation.logits, np.float32)
        simulate.feed(self._tree, jit.for_kernel(self._waiting), jit.for_kernel(logits), jit.for_kernel(values))
        self._waiting = self._waiting[:0]

    def finished(self, slots: IntArray) -> IntArray:
        """Those of the slots whose budget is spent."""
        rows = self._slot[slots]
        done = (
            (rows[:, tree.NODES] > 0)
            & (rows[:, tree.LEAF] == NOTHING)
            & (rows[:, tree.DONE] >= rows[:, tree.BUDGET])
            & (rows[:, tree.SHORT] == 0)
        )
        ready: IntArray = slots[done]
        return ready

    def roots(self, slots: IntArray) -> Roots:
        """Results of finished slots; RulesError when one is not finished."""
        self._check_begun(slots)
        if len(self.finished(slots)) != len(slots):
            raise RulesError("the results of a search can be read when it is finished")
        k = len(slots)
        counts = self._node[slots * self._nodes, tree.COUNT].astype(np.int64)
        offsets = np.zeros(k + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        first = np.repeat(self._node[slots * self._nodes, tree.FIRST] - offsets[:-1], counts)
        edges = first + np.arange(offsets[-1])
        target = np.zeros(offsets[-1], np.float32)
        values = np.zeros((k, tree.AGENTS_MAX), np.float32)
        surprise = np.zeros(k, np.float32)
        best, drawn = np.zeros(k, np.int64), np.zeros(k, np.int64)
        simulate.read_roots(
            self._tree,
            *(jit.for_kernel(array) for array in (slots, offsets, target, values, surprise, best, drawn)),
        )
        return Roots(
            Ragged(self._edge[edges, tree.ID].astype(np.uint16), offsets),
            target,
            values[:, : self.players].copy(),
            surprise,
            best,
            drawn,
            np.array([self._distinct(slot) for slot in slots], np.int64),
            self._edge[edges, tree.VISITS].astype(np.int64),
        )

    def run(self, evaluator: Evaluator, slots: IntArray) -> Roots:
        """Finish the searches of the slots with one evaluator."""
        while len(positions := self.collect(slots)):
            self.feed(evaluator.evaluate(positions))
        return self.roots(slots)

    @property
    def counters(self) -> Counters:
        """What has been done since this object was made."""
        judged, cached, ended, forced = (int(number) for number in self._counters)
        return Counters(judged, cached, ended, forced, self._asked, self._asked_slots)

    def _distinct(self, slot: int) -> int:
        first = slot * self._nodes
        return len(np.unique(self._keys[first : first + self._slot[slot, tree.NODES]]))

    # ---- arguments ----

    def _check_begin(self, slots: IntArray, states: Int16Array, budgets: IntArray, seeds: IntArray) -> None:
        self._check_slots(slots)
        k = len(slots)
        if states.shape != (k, self._states.shape[1]) or budgets.shape != (k,) or seeds.shape != (k,):
            raise RulesError(f"{k} slots need as many states of this game, budgets and seeds")
        if len(np.unique(slots)) != k:
            raise RulesError("a slot has one search at a time")
        if k and (budgets.min() < 0 or seeds.min() < 1 or seeds.max() >= LEHMER_MODULUS):
            raise RulesError(f"budgets are counted from 0, seeds lie in 1..{LEHMER_MODULUS - 1}")
        rows = np.array(states, np.int16)  # writable, as the kernel is compiled for
        arrays = (jit.for_kernel(array) for array in (rows, self._w, self._out))
        if simulate.least_choice(self._g, *arrays) < 2:
            raise RulesError("a search needs a position with a choice: play forced decisions first, stop at the end")

    def _check_begun(self, slots: IntArray) -> None:
        self._check_slots(slots)
        if (self._slot[slots, tree.BUDGET] == NOTHING).any():
            raise RulesError("no search has begun in that slot")

    def _check_room(self, per_slot: int) -> None:
        if self.slots * per_slot >= NUMBER_MAX:
            raise RulesError(f"{self.slots} searches side by side of that size are too many; take fewer")

    def _check_slots(self, slots: IntArray) -> None:
        if len(slots) and not 0 <= slots.min() <= slots.max() < self.slots:
            raise RulesError(f"slots that can be begun are 0..{self.slots - 1}")

    # ---- arrays ----

    def _collect(self, slots: IntArray) -> int:
        return int(
            simulate.collect(
                self._g,
                self._tree,
                *(jit.for_kernel(array) for array in (slots, self._w, self._out, self._leaves, self._leaf_counts)),
            )
        )

    def _make_nodes(self) -> None:
        many = self.slots * self._nodes
        self._states: Int16Array = np.zeros((many, row_words(self.board, self.players)), np.int16)
        self._node = np.zeros((many, tree.NODE_COLUMNS), np.int32)
        self._keys = np.zeros(many, np.int64)
        self._value = np.zeros((many, tree.AGENTS_MAX), np.float32)
        self._path = np.zeros((self.slots, self._nodes), np.int32)
        self._schedule = np.zeros((self.slots, self._nodes), np.int32)

    def _node_arrays(self) -> list[npt.NDArray[Any]]:
        return [self._states, self._node, self._keys, self._value, self._path, self._schedule]

    def _make_edges(self) -> None:
        self._edge = np.zeros((self.slots * self._edges, tree.EDGE_COLUMNS), np.int32)
        self._stat = np.zeros((self.slots * self._edges, tree.STAT_COLUMNS), np.float32)

    def _grow_nodes(self, nodes: int) -> None:
        """Room for so many nodes per slot; node numbers in edges, slots and the last question move with their slot."""
        before = self._nodes
        if nodes <= before:
            return
        self._check_room(nodes)
        old = self._node_arrays()
        self._nodes = nodes
        self._make_nodes()
        for larger, array in zip(self._node_arrays(), old, strict=True):
            larger.reshape(self.slots, nodes, -1)[:, :before] = array.reshape(self.slots, before, -1)
        shift = np.arange(self.slots, dtype=np.int32) * (nodes - before)
        child = self._edge.reshape(self.slots, self._edges, tree.EDGE_COLUMNS)[:, :, tree.CHILD]
        child += np.where(child == NOTHING, 0, shift[:, None])
        leaf = self._slot[:, tree.LEAF]
        leaf += np.where(leaf == NOTHING, 0, shift)
        self._waiting = self._waiting + shift[self._waiting // before]
        self._bind()
        self._grow_edges(nodes * EDGES_PER_NODE * self.board.cell_count)

    def _grow_edges(self, edges: int) -> None:
        """Room for so many edges per slot; edge numbers in nodes and paths move with their slot."""
        edge, stat, before = self._edge, self._stat, self._edges
        if edges <= before:
            return
        self._check_room(edges)
        self._edges = edges
        self._make_edges()
        columns = tree.EDGE_COLUMNS
        self._edge.reshape(self.slots, edges, columns)[:, :before] = edge.reshape(self.slots, before, columns)
        columns = tree.STAT_COLUMNS
        self._stat.reshape(self.slots, edges, columns)[:, :before] = stat.reshape(self.slots, before, columns)
        shift = np.arange(self.slots, dtype=np.int32) * (edges - before)
        self._node.reshape(self.slots, self._nodes, -1)[:, :, tree.FIRST] += shift[:, None]
        self._path += shift[:, None]
        self._bind()

    def _bind(self) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {
            "states": self._states,
            "slot": self._slot,
            "node": self._node,
            "keys": self._keys,
            "value": self._value,
            "edge": self._edge,
            "stat": self._stat,
            "path": self._path,
            "schedule": self._schedule,
            "seeds": self._seeds,
            "counters": self._counters,
            **self._cache,
        }
        self._tree = tree.Tree(
            **{name: jit.for_kernel(array) for name, array in arrays.items()},
            visit_weight=float(self.settings.visit_weight),
            value_weight=float(self.settings.value_weight),
        )
