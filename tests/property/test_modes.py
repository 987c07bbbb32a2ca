"""One source, several ways to run it: compiled, compiled with bounds checks, uncompiled, uncompiled behind guards."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from ringrift_core.game import Game, GameBatch
from tests.property.elsewhere import run_elsewhere
from tests.property.random_games import KEYS, fingerprints, random_batch


@pytest.fixture(scope="module")
def compiled() -> dict[str, list[int]]:
    return fingerprints()


def test_uncompiled_kernels_play_the_same_games(compiled):
    """Through guards: an index that is negative or too large, or a value that does not fit its array, raises."""
    other = run_elsewhere("random_games", "guarded", NUMBA_DISABLE_JIT="1")
    assert not other["compiled"]
    assert other["hashes"] == compiled


def test_compiled_kernels_stay_within_bounds(compiled):
    other = run_elsewhere("random_games", NUMBA_BOUNDSCHECK="1")
    assert other["compiled"]
    assert other["hashes"] == compiled


def test_a_guarded_kernel_notices_a_bad_index():
    code = (
        "from tests.property.random_games import guard_kernels; guard_kernels()\n"
        "from ringrift_core.game import Board; from ringrift_core.game.rules import jit, stacks\n"
        "from ringrift_core.game.state import Variant, new_row\n"
        "row = new_row(Board.of('hex8'), Variant(2, 4, True)); stacks.put_marker(jit.for_kernel(row), -80, 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "IndexError: negative index -22" in done.stderr


@pytest.mark.parametrize("key", KEYS)
def test_the_number_of_threads_does_not_matter(key):
    one_thread = random_batch(key, 16, 3, 120).hashes()
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    all_threads = random_batch(key, 16, 3, 120).hashes()
    np.testing.assert_array_equal(one_thread, all_threads)


@pytest.mark.parametrize("key", KEYS)
def test_a_batch_plays_like_single_games(key):
    """Legal lists, forced decisions, hashes, movers and results, decision by decision."""
    rng = np.random.default_rng(5)
    batch = GameBatch.start(key, 3)
    games = [Game.start(key) for _ in range(3)]
    for _ in range(60):
        forced = batch.advance()
        legal = batch.legal()
        for i, game in enumerate(games):
            assert game.advance() == forced[i].tolist()
            assert game.legal_decisions() == legal[i].tolist()
        alive = np.flatnonzero(~batch.over).tolist()
        if not alive:
            break
        chosen = [int(rng.choice(legal[i])) for i in alive]
        batch.apply(chosen, alive)
        for i, action_id in zip(alive, chosen, strict=True):
            games[i].decide(action_id)
        assert batch.hashes().tolist() == [game.hash() for game in games]
        assert batch.mover.tolist() == [game.player for game in games]
        assert batch.plies.tolist() == [len(game.plies) for game in games]
