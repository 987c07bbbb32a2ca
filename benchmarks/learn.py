"""What the loop learns from nothing, run by run, as a user would type it; JSON on standard output.

    python benchmarks/learn.py --folder out/learn --run hex8_2p-1 --run hex8_2p-2

Every run is `ringrift loop` in a data folder of its own until it has had its champions or its time is over. Its CPU
time (of the loop and all its children) adds up over interruptions; a run that has ended is not begun again, so the same
command goes on where it was stopped.
"""

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ringrift_core.commands.bench_engine import cpu_name

RINGRIFT = str(Path(sys.executable).with_name("ringrift"))


@dataclass(frozen=True, slots=True)
class Run:
    """One run: settings beside the defaults, and when it ends."""

    game: str = "hex8_2p"
    seed: int = 1
    champions: int = 1
    minutes: int = 60
    settings: tuple[str, ...] = ()


BOOTSTRAPPED = {f"hex8_2p-{seed}": Run(seed=seed) for seed in (1, 2, 3)}
RUNS = BOOTSTRAPPED | {
    "hex8_2p-second": Run(seed=4, champions=2, minutes=120),
    "hex8_2p-scratch": Run(seed=5, minutes=120, settings=("selfplay.bootstrap=none",)),
    "square8_2p": Run(game="square8_2p"),
    "hex8_3p": Run(game="hex8_3p", minutes=90),
    "hex8_2p-no-auxiliary-heads": Run(settings=("training.ownership_weight=0", "training.score_weight=0")),
    "hex8_2p-caps": Run(champions=2, minutes=90, settings=("selfplay.sims=32",)),
    "hex8_2p-no-caps": Run(champions=2, minutes=90, settings=("selfplay.sims=32", "selfplay.full_share=1.0")),
}


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--run", action="append", choices=sorted(RUNS), help="default: the three bootstrapped ones")
    return parser.parse_args()


def learn(name: str, run: Run, folder: Path) -> dict[str, object]:
    """Carry a run to its end, unless it has ended; what came of it."""
    record, spent = folder / f"{name}.json", folder / f"{name}.spent.json"
    if record.exists():
        done: dict[str, object] = json.loads(record.read_text())
        return done
    data = folder / name
    known = json.loads(spent.read_text()) if spent.exists() else {"core_minutes": 0.0, "minutes": 0.0}
    command = ["loop", "--game", run.game, "--seed", str(run.seed), "--data-dir", str(data), "--champions"]
    command += [str(run.champions), "--minutes", str(max(0.0, run.minutes - known["minutes"])), "--json"]
    for setting in run.settings:
        command += ["--set", setting]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    with (folder / f"{name}.events.jsonl").open("a") as events:
        code = subprocess.run([RINGRIFT, *command], stdout=events, check=False).returncode  # noqa: S603 - our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    known["core_minutes"] += cpu_s / 60
    known["minutes"] += (perf_counter() - started) / 60
    spent.write_text(json.dumps(known))
    if code != 0:
        sys.exit(f"{name}: ringrift {' '.join(command)} ended with exit code {code}; the same command goes on")
    status = asked(["loop", "--status", "--json", "--data-dir", str(data)])
    assert isinstance(status, dict), "a loop that has ended in good order can be read"
    if min(game["champions"] for game in status["games"]) < run.champions and known["minutes"] < run.minutes:
        sys.exit(f"{name}: stopped before its end; the same command goes on")
    form = {
        "run": name,
        "command": " ".join(["ringrift", *command]),
        **{key: round(value, 2) for key, value in known.items()},
        "games": status["games"],
        "curve": asked(
            ["curve", str(data / "data" / "results" / run.game), "--svg", str(folder / f"{name}.svg"), "--json"]
        ),
    }
    record.write_text(json.dumps(form, indent=1) + "\n")
    return form


def asked(command: list[str]) -> object:
    """The JSON that a command of ours prints; None when it has nothing to say."""
    run = subprocess.run([RINGRIFT, *command], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    return json.loads(run.stdout) if run.returncode == 0 else None


def main() -> None:
    """Carry the runs asked for to their ends, one after the other, and print what they gave."""
    asked_for = arguments()
    asked_for.folder.mkdir(parents=True, exist_ok=True)
    names = asked_for.run or list(BOOTSTRAPPED)
    print(json.dumps({"cpu": cpu_name(), "runs": [learn(name, RUNS[name], asked_for.folder) for name in names]}))


if __name__ == "__main__":
    main()
