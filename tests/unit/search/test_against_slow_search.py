"""The search against a second one that is written from the definitions with dicts (slow_search.py)."""

import math

import numpy as np
import pytest

from ringrift_core.game import Board, GameBatch
from ringrift_core.game.batch import Int16Array
from ringrift_core.game.rules import layout as at
from ringrift_core.search.gumbel import GumbelSearch, Roots, SearchSettings
from tests.unit.search.judges import HashJudge, choices_of, late_states, middle_states, random_judgement
from tests.unit.search.slow_search import LEHMER_FACTOR, LEHMER_MODULUS, Node, SlowSearch

BUDGETS = (0, 1, 2, 5, 16, 50)


def check(key: str, states: Int16Array, settings: SearchSettings, *, noise: bool, budgets: tuple[int, ...]) -> Roots:
    """Search every state with budgets in turn, all side by side, and slowly; return the kernels' results."""
    board, players = Board.of(key.rsplit("_", 1)[0]), int(key[-2])
    k = len(states)
    assert k
    slots = np.arange(k)
    sims = np.resize(np.array(budgets), k)
    seeds = 7919 * (slots + 1) + 12345
    search = GumbelSearch(board, players, k, settings)
    search.begin(slots, states, sims, seeds, noise=noise)
    roots = search.run(HashJudge(), slots)
    assert search.counters.forced == 0
    for i in range(k):
        slow = SlowSearch(
            board, players, random_judgement, settings.considered, settings.visit_weight, settings.value_weight
        )
        root = slow.run(states[i], int(sims[i]), int(seeds[i]), noise=noise)
        part = slice(*roots.legal.offsets[i : i + 2])
        assert roots.legal[i].tolist() == root.legal
        assert roots.visits[part].tolist() == [root.visits[a] for a in root.legal], (key, i, sims[i])
        assert roots.target[part] == pytest.approx(slow.target(root), rel=2e-4, abs=1e-7)
        assert roots.values[i] == pytest.approx(slow.values(root), abs=2e-6)
        assert roots.best[i] == slow.best(root)
        assert roots.distinct[i] == slow.distinct()
        prior = root.prior()
        divergence = math.fsum(
            p * math.log(p / prior[a]) for a, p in zip(root.legal, slow.target(root), strict=True) if p
        )
        assert roots.surprise[i] == pytest.approx(divergence, rel=1e-3, abs=1e-5)
    return roots


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "square8_4p", "hex8_2p", "hexagonal_3p"])
@pytest.mark.parametrize("noise", [False, True])
def test_the_middle_of_games(key, noise):
    parts = [middle_states(key, 6 if key.startswith("hexagonal") else 18, 3 + noise, plies) for plies in (3, 40, 90)]
    check(key, np.concatenate(parts), SearchSettings(), noise=noise, budgets=BUDGETS)


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "square8_4p"])
@pytest.mark.parametrize("noise", [False, True])
def test_the_end_of_games(key, noise):
    states = late_states(key, 40, 1 + noise)
    check(key, states, SearchSettings(), noise=noise, budgets=(50, 16, 5, 24))


@pytest.mark.parametrize("key", ["square8_2p", "hex8_2p"])
def test_the_swap_exchanges_agents(key):
    """The swap stands in the tree, at the root, and behind the root."""
    batch = GameBatch.start(key, 6)
    swap = batch.board.actions.first["special"] + at.SWAP_SIDES  # type: ignore[index]
    batch.play_random(np.arange(1, 7) * 99991, 1)
    before = choices_of(batch)
    while not all(swap in batch.legal([i])[0] for i in range(6)):
        waiting = [i for i in range(6) if swap not in batch.legal([i])[0]]
        batch.apply([int(batch.legal([i])[0][0]) for i in waiting], waiting)
        batch.advance()
    offered = batch.states.copy()
    batch.apply([swap] * 6)
    after = choices_of(batch)
    assert (after[:, at.AGENT + 1] == 2).all()
    for states in (before, offered, after):
        check(key, states, SearchSettings(), noise=False, budgets=(50, 16))
    roots = check(key, offered, SearchSettings(), noise=True, budgets=(50, 16))
    assert all(swap in roots.legal[i] for i in range(6))


@pytest.mark.parametrize(
    "settings",
    [
        SearchSettings(considered=1),
        SearchSettings(considered=3, visit_weight=20.0, value_weight=0.3),
        SearchSettings(considered=500, cache_entries=1),
        SearchSettings(considered=4, visit_weight=0.0, value_weight=0.0),
    ],
)
def test_every_setting(settings):
    states = np.concatenate([middle_states("square8_2p", 5, 70, 60), late_states("square8_2p", 4, 30)])
    check("square8_2p", states, settings, noise=True, budgets=(16, 50))


def test_the_drawn_decision_follows_the_target():
    """The decision is where the next number of the slot's generator falls among the shares of the target."""
    key, sims = "hex8_2p", 50
    states = middle_states(key, 8, 5, 50)
    slots = np.arange(len(states))
    seeds = 17 * slots + 3
    search = GumbelSearch(Board.of("hex8"), 2, len(states), SearchSettings())
    search.begin(slots, states, np.full(len(states), sims), seeds)
    roots = search.run(HashJudge(), slots)
    for i in range(len(states)):
        seed = int(seeds[i])
        for _ in range(len(roots.legal[i]) + 1):
            seed = seed * LEHMER_FACTOR % LEHMER_MODULUS
        target = roots.target[slice(*roots.legal.offsets[i : i + 2])].astype(np.float64)
        assert roots.drawn[i] == roots.legal[i][np.searchsorted(np.cumsum(target), seed / LEHMER_MODULUS)]


def test_the_comparison_notices_another_mixed_value(monkeypatch):
    states = middle_states("hex8_2p", 3, 1, 30)
    check("hex8_2p", states, SearchSettings(), noise=False, budgets=(50,))
    monkeypatch.setattr(Node, "v_mix", lambda node: node.value[node.agent])
    with pytest.raises(AssertionError):
        check("hex8_2p", states, SearchSettings(), noise=False, budgets=(50,))
