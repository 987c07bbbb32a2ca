"""Shards: bytes per game, and rows, written games and checked games per second, as one JSON object.

    python benchmarks/shards.py [CONFIG_KEY ...]

Games are played at random; targets are softmaxes of normal logits, half of them with most of their weight in a soft
tail, which packs worst. Rows and checks are per second of CPU time, writes per second of the clock, flushes to the
disk included. "spread" takes full rows anywhere, "long" at the longest legal lists of each game.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numba
import numpy as np
import numpy.typing as npt

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.check import check_shard
from ringrift_core.selfplay.manifest import ShardHead, ShardPlayer
from ringrift_core.selfplay.played_game import EXPLORED, FULL, Ending, PlayedGame
from ringrift_core.selfplay.shard import read_shard, write_shard

DEFAULT = ("hex8_2p", "square8_2p", "square8_4p", "hexagonal_2p")
GAMES = {"square8": 400, "hex8": 400, "square19": 20, "hexagonal": 20}
FULL_SHARE = 0.3
RUNS = 5


@dataclass(slots=True)
class Draft:
    """A game being played."""

    choices: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # of the legal lists


def random_drafts(games: GameBatch, rng: np.random.Generator) -> list[Draft]:
    """Play all games to their ends."""
    drafts = [Draft() for _ in range(len(games))]
    while True:
        games.advance()
        rows = np.flatnonzero(~games.over)
        if not len(rows):
            return drafts
        legal = games.legal(rows)
        actions = [int(rng.choice(legal[i])) for i in range(len(rows))]
        for i, row in enumerate(rows):
            drafts[row].choices.append(actions[i])
            drafts[row].lengths.append(len(legal[i]))
        games.apply(actions, rows)


def target(rng: np.random.Generator, length: int) -> npt.NDArray[np.float32]:
    """A policy target, sharp or with a soft tail."""
    logits = rng.normal(size=length) * (3.0 if rng.random() < 0.5 else 0.7)
    weights = np.exp(logits)
    shares: npt.NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return shares


def finished(draft: Draft, ending: Ending, number: int, rng: np.random.Generator, *, longest: bool) -> PlayedGame:
    """The game with what a search would have found at about FULL_SHARE of its choices."""
    lengths = np.array(draft.lengths)
    count = max(1, round(FULL_SHARE * len(lengths)))
    full = np.argsort(-lengths)[:count] if longest else rng.choice(len(lengths), count, replace=False)
    flags = np.full(len(lengths), EXPLORED, np.uint8)
    flags[full] |= FULL
    players = len(ending.ranks)
    return PlayedGame(
        choices=np.array(draft.choices, np.uint16),
        flags=flags,
        targets=[target(rng, int(length)) for length in lengths[flags & FULL != 0]],
        root_values=rng.dirichlet(np.ones(players), count).astype(np.float32),
        surprise=rng.exponential(0.5, count).astype(np.float32),
        players=(0,) * players,
        seed=int(rng.integers(1 << 63)),
        number=number,
        ending=ending,
    )


def seconds(call: Callable[[], object], clock: Callable[[], float] = process_time) -> float:
    """Median over RUNS, after one call that does not count; CPU time unless another clock is given."""
    call()
    times = []
    for _ in range(RUNS):
        started = clock()
        call()
        times.append(clock() - started)
    return median(times)


def measure(key: ConfigKey, folder: Path, *, longest: bool) -> dict[str, float]:
    """The figures of one config."""
    rng = np.random.default_rng(1)
    count = GAMES[key.board_type]
    batch = GameBatch.start(key, count)
    drafts = random_drafts(batch, rng)
    endings = Ending.of(batch, range(count))
    games = [finished(drafts[i], endings[i], i, rng, longest=longest) for i in range(count)]
    nobody = ShardPlayer("random", "0" * 64)
    head = ShardHead(key, key.players == 2, (nobody,), {}, 1, "benchmark", datetime(2026, 1, 1, tzinfo=UTC))
    path = write_shard(folder, games, head)
    shard = read_shard(path)
    counts = shard.manifest.counts
    return {
        "games": count,
        "choices_per_game": round(counts.decisions / count, 1),
        "samples_per_game": round(counts.samples / count, 1),
        "legal_ids_per_sample": round(len(shard.columns.policy) / counts.samples, 1),
        "bytes_per_game": round(path.stat().st_size / count),
        "rows_per_s_from_disk": round(counts.samples / seconds(lambda: read_shard(path).samples())),
        "written_games_per_s": round(count / seconds(lambda: write_shard(folder, games, head), perf_counter)),
        "checked_games_per_s": round(count / seconds(lambda: check_shard(path))),
        **{f"total_{name}": value for name, value in asdict(counts).items() if name != "games"},
    }


def main() -> None:
    """Print the figures of each config, on one core."""
    numba.set_num_threads(1)
    found = {}
    for text in sys.argv[1:] or DEFAULT:
        key = ConfigKey.parse(text)
        with TemporaryDirectory() as folder:
            found[text] = {
                "spread": measure(key, Path(folder), longest=False),
                "long": measure(key, Path(folder), longest=True),
            }
    print(json.dumps({"configs": found, "cpu": cpu_name(), "cores": os.cpu_count()}, indent=1))


if __name__ == "__main__":
    main()
