"""The search compiled, compiled with bounds checks, and uncompiled behind guards."""

from typing import Any

import pytest

from tests.property import SCALE
from tests.property.elsewhere import run_elsewhere
from tests.property.search_results import results


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    return results()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["guarded"], {"NUMBA_DISABLE_JIT": "1"}),
        pytest.param(
            [],
            {"NUMBA_BOUNDSCHECK": "1"},
            marks=pytest.mark.skipif(SCALE == 1, reason="compiles for minutes what the guarded run covers: make soak"),
        ),
    ],
)
def test_every_mode_finds_the_same(compiled, arguments, environment):
    """A negative or foreign index raises."""
    other = run_elsewhere("search_results", *arguments, **environment)
    assert other["compiled"] == (not arguments)
    assert other["visits"] == compiled["visits"]
    assert other["targets"] == pytest.approx(compiled["targets"], rel=1e-4, abs=1e-7)
    assert other["forced"] == compiled["forced"] == 0


def test_a_tree_that_does_not_play_forced_decisions_is_noticed():
    assert run_elsewhere("search_results", "planted", NUMBA_DISABLE_JIT="1")["forced"] > 0
