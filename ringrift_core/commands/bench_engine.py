"""`ringrift bench engine`: random legal play, with the complete legal list for every ply."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numba
import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules.playout import LEHMER_MODULUS

GAMES = {"square8": 4000, "hex8": 4000, "square19": 320, "hexagonal": 160}  # about two seconds a run on one core
RUNS = 5


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Figures of one configuration; the JSON form has these keys (docs/reference/cli.md)."""

    game: str
    plies_per_s_per_core: float
    plies_per_s_all_cores: float
    games_per_s_per_core: float
    cores: int
    plies: int
    games: int
    final_state_checksum: str
    cpu: str


def bench_engine(key: ConfigKey, *, games: int | None = None, seed: int = 1, runs: int = RUNS) -> EngineReport:
    """Play the same random games on one core and on all, alternating; medians over `runs` of each.

    A ply counts as the reference counts it: every recorded one, bookkeeping included. The checksum depends on the game,
    `games` and `seed` only.
    """
    count = GAMES[key.board_type] if games is None else games
    if count < 1 or runs < 1:
        raise RulesError("games and runs must be at least 1")
    allowed = numba.get_num_threads()
    cores = int(numba.config.NUMBA_NUM_THREADS)
    _play(key, min(count, 2 * cores), seed)  # compile or load, and start the threads
    times: dict[int, list[float]] = {1: [], cores: []}
    checksums = set()
    plies = 0
    for _ in range(runs):
        for threads, taken in times.items():
            numba.set_num_threads(threads)
            batch, elapsed_s = _play(key, count, seed)
            taken.append(elapsed_s)
            checksums.add(checksum(batch))
            plies = int(batch.plies.sum(dtype=np.int64))
    numba.set_num_threads(allowed)
    assert len(checksums) == 1, "the games depend on the number of threads"
    return EngineReport(
        game=str(key),
        plies_per_s_per_core=round(plies / median(times[1])),
        plies_per_s_all_cores=round(plies / median(times[cores])),
        games_per_s_per_core=round(count / median(times[1]), 1),
        cores=cores,
        plies=plies,
        games=count,
        final_state_checksum=checksums.pop(),
        cpu=cpu_name(),
    )


def _play(key: ConfigKey, count: int, seed: int) -> tuple[GameBatch, float]:
    batch = GameBatch.start(key, count)
    seeds = np.random.default_rng(seed).integers(1, LEHMER_MODULUS, count)
    started = perf_counter()
    batch.play_random(seeds)
    return batch, perf_counter() - started


def checksum(batch: GameBatch) -> str:
    """16 hex digits over the final state hashes, in game order."""
    return hashlib.sha256(batch.hashes().astype("<i8").tobytes()).hexdigest()[:16]


def share_of_bare(runs: Sequence[float], bare: Sequence[float]) -> float:
    """Median of each run's rate against the mean of the bare loop's rates before and after it, bare [runs + 1]."""
    around = zip(runs, bare[:-1], bare[1:], strict=True)
    return round(median(rate / ((before + after) / 2) for rate, before, after in around), 4)


def cpu_name() -> str:
    """What the system calls its processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def text_report(report: EngineReport) -> str:
    """The figures for people."""
    speedup = report.plies_per_s_all_cores / report.plies_per_s_per_core
    return (
        f"{report.game}: {report.plies_per_s_per_core:,.0f} plies/s on one core, "
        f"{report.plies_per_s_all_cores:,.0f} on {report.cores} ({speedup:.2f} x); "
        f"{report.games_per_s_per_core:,.1f} games/s per core; "
        f"{report.games} games, {report.plies} plies, checksum {report.final_state_checksum}; {report.cpu}"
    )


def json_report(report: EngineReport) -> dict[str, object]:
    """The figures for scripts."""
    return asdict(report)
