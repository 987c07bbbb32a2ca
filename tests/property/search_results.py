"""Results of a few searches in whatever mode the environment asks for, as JSON (see test_search_modes.py).

With `planted` forced decisions are not played when a node is made, which the counter of forced positions must notice.
"""

import json
import sys

import numpy as np

from ringrift_core.game import Board
from ringrift_core.game.rules import jit
from ringrift_core.game.rules.phases import list_legal
from ringrift_core.search.gumbel import GumbelSearch, SearchSettings
from ringrift_core.search.kernels import simulate
from tests.property.random_games import guard_kernels
from tests.unit.search.judges import HashJudge, late_states, middle_states


def results() -> dict[str, object]:
    """Visits, targets and counters; edges grow on the way and the cache is crowded."""
    visits: list[int] = []
    targets: list[float] = []
    forced = 0
    for key in ("hex8_2p", "square8_3p"):
        states = np.concatenate([middle_states(key, 2, 3, 30), late_states(key, 2, 8)])
        slots = np.arange(len(states))
        search = GumbelSearch(Board.of(key[:-3]), int(key[-2]), len(states), SearchSettings(cache_entries=5))
        for sims in (3, 24):
            search.begin(slots, states, np.full(len(states), sims), slots + 1)
            roots = search.run(HashJudge(), slots)
            visits += roots.visits.tolist()
            targets += roots.target.tolist()
        forced += search.counters.forced
    return {"compiled": jit.COMPILED, "visits": visits, "targets": targets, "forced": forced}


if __name__ == "__main__":
    if "guarded" in sys.argv:
        guard_kernels()
    if "planted" in sys.argv:
        simulate.advance = list_legal  # type: ignore[attr-defined]  # an import of that module
    print(json.dumps(results()))
