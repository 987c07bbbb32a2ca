"""The gate can fail: nets trained alike on sound shards and on shards whose policy targets were shuffled; JSON.

    python benchmarks/corrupted_targets.py SHARDS --game square8_2p --steps 800

The corrupted shards are sound in form: they replay, their digests fit. Only a measurement of strength tells them apart.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings, opponents_of
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import TrainingSpec
from ringrift_core.jobs.training import run_training
from ringrift_core.players.roster import agent_of
from ringrift_core.selfplay.columns import offsets_of
from ringrift_core.selfplay.shard import read_shard, write_columns
from ringrift_core.selfplay.shard_folder import shards_in
from ringrift_core.training.run_folder import CANDIDATE


def corrupt(source: Path, target: Path) -> None:
    """Write the shards of a folder anew, the entries of each policy target in another order."""
    rng = np.random.default_rng(1)
    for path in shards_in(source):
        shard = read_shard(path)
        offsets = offsets_of(shard.columns.policy_counts)
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = np.lexsort((rng.random(len(rows)), rows))
        write_columns(target, replace(shard.columns, policy=shard.columns.policy[order]), shard.manifest.head)


def strength(game: str, shards: Path, folder: Path, steps: int) -> dict[str, object]:
    """Train on shards and put the net to the gauntlet."""
    spec = TrainingSpec(
        game=game, data=(shards,), out=folder / "run", size="nano", seed=1, steps=steps, max_age_hours=0
    )
    run_training(spec, lambda _report: None, lambda: False)
    key = ConfigKey.parse(game)
    net = agent_of(str(spec.out / CANDIDATE), key)
    result = GameGauntlet(key, GauntletSettings(), folder).run(net, opponents_of(key), datetime.now(UTC))
    rows = {row.opponent: [row.wins, row.games, str(row.outcome)] for row in result.rows}
    return {"verdict": str(result.verdict), "rows": rows}


def main() -> None:
    """Measure both and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--game", default="square8_2p")
    parser.add_argument("--steps", type=int, default=800)
    asked = parser.parse_args()
    numba.set_num_threads(1)
    report: dict[str, object] = {"game": asked.game, "steps": asked.steps, "cpu": cpu_name()}
    with tempfile.TemporaryDirectory(prefix="ringrift-") as made:
        corrupt(asked.shards, Path(made) / "shuffled")
        for name, shards in (("sound", asked.shards), ("shuffled", Path(made) / "shuffled")):
            report[name] = strength(asked.game, shards, Path(made) / name, asked.steps)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
