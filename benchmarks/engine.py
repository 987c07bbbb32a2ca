"""The engine against its peers in one run: the same games uncompiled, and the time of each kernel by phase, as JSON.

`python benchmarks/engine.py [CONFIG_KEY ...]`, by default one of each board with two players.
"""

import json
import os
import subprocess
import sys
from time import perf_counter
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ringrift_core.commands.bench_engine import bench_engine, json_report
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import drivers
from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import for_kernel
from ringrift_core.game.state import PHASE_NAMES, scratch_words

DEFAULT = ("square8_2p", "hex8_2p", "square19_2p", "hexagonal_2p")
UNCOMPILED_GAMES = 4
SAMPLE_GAMES = {"square8": 2000, "hex8": 2000, "square19": 300, "hexagonal": 200}
# the reference engine with its complete list: Node 20, one core of the same kind of machine, as its recordings tell
REFERENCE_PLIES_PER_S = {"square8_2p": 1927, "hex8_2p": 1196, "hexagonal_2p": 169}


def uncompiled(key: str) -> dict[str, Any]:
    """The same source as plain Python, few games; the checksum must be that of the compiled games."""
    code = (
        "import json; from ringrift_core.commands.bench_engine import bench_engine, json_report\n"
        "from ringrift_core.game.config_key import ConfigKey\n"
        f"print(json.dumps(json_report(bench_engine(ConfigKey.parse({key!r}), games={UNCOMPILED_GAMES}, runs=1))))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def phase_times(key: ConfigKey) -> dict[str, dict[str, float]]:
    """Per phase: its share of all decisions, and ns for the legal list and for carrying one out, on one core."""
    numba.set_num_threads(1)
    clock = PhaseClock(GameBatch.start(key, SAMPLE_GAMES[key.board_type]))
    while (active := clock.states[:, at.REASON] == 0).any():
        phases = clock.states[:, at.PHASE].copy()
        for phase in range(len(PHASE_NAMES)):
            rows = np.flatnonzero(active & (phases == phase))
            if len(rows):
                clock.play(phase, rows)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    return clock.report()


def arrays(*given: npt.NDArray[Any]) -> list[Any]:
    """The arguments of a kernel."""
    return [for_kernel(array) for array in given]


class PhaseClock:
    """Plays random decisions with the kernels themselves and adds up the time they take, by phase."""

    def __init__(self, games: GameBatch) -> None:
        self.board = games.board
        self.states = games.states.copy()
        self.rng = np.random.default_rng(1)
        self.scratch = np.zeros((1, scratch_words(games.board)), np.int16)
        self.lists = np.zeros((len(games), games.board.actions.size), np.uint16)
        self.counts = np.zeros(len(games), np.int64)
        self.spent = [[0, 0.0, 0.0] for _ in PHASE_NAMES]

    def play(self, phase: int, rows: npt.NDArray[np.int64]) -> None:
        """One random decision in each of the given games, all in this phase."""
        board, states = self.board, self.states
        started = perf_counter()
        drivers.legal_many(*arrays(board.flat, states, rows, self.scratch, self.lists, self.counts))
        listed = perf_counter()
        picks = self.lists[rows, (self.rng.random(len(rows)) * self.counts[rows]).astype(np.int64)].astype(np.int64)
        out = np.zeros((1, board.actions.size), np.uint16)
        chosen = perf_counter()
        drivers.apply_many(*arrays(board.flat, states, rows, self.scratch, out, picks))
        self.spent[phase][0] += len(rows)
        self.spent[phase][1] += listed - started
        self.spent[phase][2] += perf_counter() - chosen

    def report(self) -> dict[str, dict[str, float]]:
        """The JSON form."""
        decisions = sum(count for count, _, _ in self.spent)
        return {
            name: {
                "share_of_decisions": round(count / decisions, 3),
                "legal_ns": round(1e9 * listed / count),
                "apply_ns": round(1e9 * played / count),
            }
            for name, (count, listed, played) in zip(PHASE_NAMES, self.spent, strict=True)
            if count
        }


def main() -> None:
    """Print one JSON object per configuration."""
    for key in sys.argv[1:] or DEFAULT:
        report = json_report(bench_engine(ConfigKey.parse(key)))
        slow = uncompiled(key)
        same = bench_engine(ConfigKey.parse(key), games=UNCOMPILED_GAMES, runs=1)
        assert same.final_state_checksum == slow["final_state_checksum"]
        compiled = float(report["plies_per_s_per_core"])  # type: ignore[arg-type]
        report["scaling"] = round(float(report["plies_per_s_all_cores"]) / compiled, 2)  # type: ignore[arg-type]
        report["uncompiled_plies_per_s"] = slow["plies_per_s_per_core"]
        report["times_uncompiled"] = round(compiled / slow["plies_per_s_per_core"], 1)
        if key in REFERENCE_PLIES_PER_S:
            report["times_reference"] = round(compiled / REFERENCE_PLIES_PER_S[key])
        report["phases"] = phase_times(ConfigKey.parse(key))
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
