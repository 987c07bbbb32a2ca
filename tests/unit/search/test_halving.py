"""Sequential halving: the visits that the decision of each simulation must have."""

import numpy as np
import pytest

from ringrift_core.game.rules import jit
from ringrift_core.search.kernels.gumbel import plan_halving
from tests.unit.search.slow_search import considered_visits


def planned(considered: int, simulations: int) -> list[int]:
    plan = np.full(simulations, -1, np.int32)
    plan_halving(jit.for_kernel(plan), considered, simulations)
    return plan.tolist()


@pytest.mark.parametrize(
    ("considered", "simulations", "visits"),
    [
        (1, 4, [0, 1, 2, 3]),
        (2, 0, []),
        (2, 1, [0]),
        (2, 5, [0, 0, 1, 1, 2]),
        (3, 8, [0, 0, 0, 1, 1, 2, 2, 3]),  # two rounds: 3 once, then 2 to the end
        (3, 12, [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4]),
        (4, 3, [0, 0, 0]),  # too few for one round: as many decisions as there are simulations
        (4, 16, [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]),
        (16, 16, [0] * 16),
        (16, 32, [0] * 16 + [1] * 8 + [2] * 4 + [3] * 4),
        (
            16,
            64,
            [0] * 16 + [1] * 8 + [2] * 8 + [3] * 4 + [4] * 4 + [5] * 4 + [6] * 4 + [6 + i // 2 for i in range(2, 18)],
        ),
    ],
)
def test_the_sequence_by_hand(considered, simulations, visits):
    assert planned(considered, simulations) == visits


def test_every_sequence_is_that_of_mctx():
    for considered in range(1, 40):
        for simulations in (0, 1, 2, 7, 16, 50, 63, 200):
            assert planned(considered, simulations) == considered_visits(considered, simulations)
