"""The search compiled, compiled with bounds checks, and uncompiled behind guards."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.property import SCALE
from tests.property.search_results import results


def run_elsewhere(*arguments: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.property.search_results", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
    other = run_elsewhere(*arguments, **environment)
    assert other["compiled"] == (not arguments)
    assert other["visits"] == compiled["visits"]
    assert other["targets"] == pytest.approx(compiled["targets"], rel=1e-4, abs=1e-7)
    assert other["forced"] == compiled["forced"] == 0


def test_a_tree_that_does_not_play_forced_decisions_is_noticed():
    assert run_elsewhere("planted", NUMBA_DISABLE_JIT="1")["forced"] > 0
