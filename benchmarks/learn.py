"""From nothing to a net that is put to the gate, by the commands that a user would type; JSON on standard output.

    python benchmarks/learn.py --game hex8_2p --folder learn/hex8_2p

Games of the heuristic, a net trained on them, a round of its own selfplay, a net trained on both, a gauntlet against
random and heuristic. Every phase is a command whose CPU time (of all its
processes) is measured; a phase that is done is not done again, so a stopped run goes on.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from ringrift_core.commands.bench_engine import cpu_name

RINGRIFT = [str(Path(sys.executable).with_name("ringrift"))]


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--game", default="hex8_2p")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--heuristic-games", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--own-games", type=int, default=3000)
    parser.add_argument("--own-steps", type=int, default=1500)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def phase(folder: Path, name: str, command: list[str], *, codes: tuple[int, ...] = (0,)) -> dict[str, object]:
    """Run a command of ours unless it was run before; its JSON output with the CPU minutes that it took."""
    record = folder / f"{name}.json"
    if record.exists():
        done: dict[str, object] = json.loads(record.read_text())
        return done
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    run = subprocess.run([*RINGRIFT, *command, "--json"], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if run.returncode not in codes:
        sys.exit(f"{name} failed: {' '.join(command)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    form = {
        "phase": name,
        "command": " ".join(["ringrift", *command]),
        "core_minutes": round(cpu_s / 60, 2),
        "minutes": round((perf_counter() - started) / 60, 2),
        "result": json.loads(run.stdout),
    }
    record.write_text(json.dumps(form, indent=1) + "\n")
    return form


def main() -> None:
    """Run all phases and print what they gave."""
    asked = arguments()
    folder, seed = asked.folder, str(asked.seed)
    folder.mkdir(parents=True, exist_ok=True)
    shards, results = str(folder / "shards"), str(folder / "results")
    first, second = str(folder / "v1" / "candidate.pth"), str(folder / "v2" / "candidate.pth")
    game = ["--game", asked.game, "--seed", seed]
    train = ["train", shards, *game, "--precision", asked.precision]
    play = ["selfplay", *game, "--sims", "16", "--out", shards]
    phases = [
        phase(folder, "1-heuristic-games", [*play, "--model", "heuristic", "--games", str(asked.heuristic_games)]),
        phase(
            folder,
            "2-first-net",
            [*train, "--out", str(folder / "v1"), "--size", asked.size, "--steps", str(asked.steps)],
        ),
        phase(folder, "3-first-gauntlet", ["gauntlet", first, *game, "--out", results], codes=(0, 1)),
        phase(folder, "4-own-games", [*play, "--model", first, "--games", str(asked.own_games)]),
        phase(
            folder,
            "5-second-net",
            [*train, "--out", str(folder / "v2"), "--parent", first, "--steps", str(asked.own_steps)],
        ),
        phase(folder, "6-second-gauntlet", ["gauntlet", second, *game, "--out", results], codes=(0, 1)),
    ]
    total = round(sum(float(str(it["core_minutes"])) for it in phases), 2)
    print(json.dumps({"game": asked.game, "core_minutes": total, "phases": phases, "cpu": cpu_name()}))


if __name__ == "__main__":
    main()
