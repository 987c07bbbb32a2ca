"""Makes the opening books: random choices, kept where the position is balanced and new under every symmetry.

    python -m ringrift_core.evaluation.book_maker FOLDER [KEY ...]

writes one file per configuration and prints their digests for openings.py. The same seed makes the same book.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ringrift_core.evaluation.openings import VERSION, Opening, pick
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey
from ringrift_core.game.rules import layout as at
from ringrift_core.players.heuristic import HeuristicEvaluator
from ringrift_core.players.player import positions_of
from ringrift_core.storage import make_folder, write_whole

OPENINGS = 1024  # per configuration; more than the blocks of the longest match of a gate
SEED = 1
CHOICES_MIN, CHOICES_MAX = 4, 8
UNFAIR_MAX = 0.3  # the heuristic gives no seat a chance that differs from 1 / players by a larger part of it
ROUND = 512  # random games tried at a time


def make_openings(key: ConfigKey, count: int, seed: int = SEED) -> Iterator[Opening]:
    """The first `count` openings of the book that a seed makes."""
    rng = np.random.default_rng([seed, *str(key).encode()])
    known: set[int] = set()
    while len(known) < count:
        batch, choices = random_starts(key, rng)
        rows = np.flatnonzero(fit(batch))
        for row, name in zip(rows, names(batch, rows), strict=True):
            if name not in known and len(known) < count:
                yield Opening(len(known), choices[row])
                known.add(name)


def random_starts(key: ConfigKey, rng: np.random.Generator) -> tuple[GameBatch, list[tuple[int, ...]]]:
    """Games after some random choices and the forced decisions that follow, and those choices."""
    batch = GameBatch.start(key, ROUND)
    wanted = rng.integers(CHOICES_MIN, CHOICES_MAX + 1, ROUND)
    choices: list[list[int]] = [[] for _ in range(ROUND)]
    for i in range(CHOICES_MAX):
        lots = rng.random(ROUND)
        batch.advance()
        rows = np.flatnonzero(~batch.over & (wanted > i))
        for row, choice in zip(rows, pick(batch, rows, lots[rows]), strict=True):
            choices[row].append(int(choice))
    batch.advance()
    return batch, [tuple(ids) for ids in choices]


def fit(batch: GameBatch) -> npt.NDArray[np.bool_]:
    """Which games go on, have no swap on offer and are balanced, [batch]."""
    good: npt.NDArray[np.bool_] = ~batch.over & (batch.states[:, at.SWAP_OPEN] == 0)
    rows = np.flatnonzero(good)
    good[rows] = unfairness(batch, rows) <= UNFAIR_MAX
    return good


def unfairness(batch: GameBatch, rows: IntArray) -> npt.NDArray[np.float64]:
    """How far the heuristic's chance of a seat is from 1 / players at most, as a part of it, [k]."""
    values = HeuristicEvaluator().evaluate(positions_of(batch, rows)).values.astype(np.float64)
    worst: npt.NDArray[np.float64] = np.abs(values * batch.variant.players - 1).max(axis=1)
    return worst


def names(batch: GameBatch, rows: IntArray) -> list[int]:
    """One number per game, [k], equal for positions that a symmetry of the board makes equal."""
    images = [
        batch.mapped(np.full(len(rows), symmetry), rows).hashes() for symmetry in range(len(batch.board.symmetries))
    ]
    smallest: list[int] = np.min(images, axis=0).tolist()
    return smallest


def book_text(key: ConfigKey, count: int = OPENINGS) -> str:
    """A book as its file has it."""
    head = f"# ringrift.openings/1 {key} v{VERSION} seed {SEED}: the choices of an opening a line, forced ones left out"
    lines = [" ".join(map(str, opening.choices)) for opening in make_openings(key, count)]
    return "\n".join([head, *lines]) + "\n"


def main(folder: str, *keys: str) -> None:
    """Write books and print their digests."""
    make_folder(Path(folder))
    for key in map(ConfigKey.parse, keys or map(str, CONFIG_KEYS)):
        content = book_text(key).encode("ascii")
        write_whole(Path(folder) / f"{key}.txt", content)
        sys.stdout.write(f'    "{key}": "{hashlib.sha256(content).hexdigest()}",\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
