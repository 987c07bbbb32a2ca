"""Random games for property tests, and the same games as a program of its own (see test_modes.py).

As a program it prints one JSON object: for each configuration the hash after every so many plies of a few games, in
whatever mode the environment asks for.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ringrift_core.game import Game, GameBatch
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.rules import jit

KEYS = [str(key) for key in CONFIG_KEYS]
SMALL = [key for key in KEYS if key.startswith(("square8", "hex8"))]


def random_game(key: str, seed: int, plies: int = 30_000) -> Iterator[Game]:
    """The same game object before every decision of a random game, and once more at its end."""
    rng = np.random.default_rng(seed)
    game = Game.start(key)
    while not game.over and len(game.plies) < plies:
        yield game
        legal = game.legal_decisions()
        game.decide_legal(legal[int(rng.integers(len(legal)))])
    yield game


def random_batch(key: str, count: int, seed: int, plies: int) -> GameBatch:
    """Games that have each been played for `plies` random plies or to their end."""
    batch = GameBatch.start(key, count)
    batch.play_random(np.arange(seed, seed + count) * 7919 + 1, plies)
    return batch


def fingerprints(every: int = 10) -> dict[str, list[int]]:
    """Hashes along two random games of each configuration."""
    found = {}
    for key in KEYS:
        batch = GameBatch.start(key, 2)
        seeds = np.array([11, 12])
        hashes = []
        for plies in range(every, 30_000, every):
            seeds = batch.play_random(seeds, plies)
            hashes += batch.hashes().tolist()
            if batch.over.all():
                break
        found[key] = hashes
    return found


class Guarded:
    """A memoryview that refuses negative and foreign indices, which Python would take as counted from the end."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            raise IndexError(f"negative index {index}")
        return self.view[index]

    def __setitem__(self, index: int, value: float) -> None:
        if index < 0:
            raise IndexError(f"negative index {index}")
        self.view[index] = value

    def __len__(self) -> int:
        return len(self.view)


def guard_kernels() -> None:
    """Let every kernel see its arrays through Guarded."""
    plain = jit.for_kernel

    def guarded(array: Any) -> Any:
        views = plain(array)
        return [Guarded(view) for view in views] if isinstance(views, list) else Guarded(views)

    jit.for_kernel = guarded


if __name__ == "__main__":
    if "guarded" in sys.argv:
        guard_kernels()
    print(json.dumps({"compiled": jit.COMPILED, "hashes": fingerprints()}))
