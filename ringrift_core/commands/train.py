"""`ringrift train`: a training run in a process of its own, or in several ranks by torchrun."""

import json
import secrets
from typing import Any

from pydantic import ValidationError

from ringrift_core.commands.progress import progress
from ringrift_core.commands.workers import JOBS, SIGNALLED, Workers, torchrun
from ringrift_core.cores import usable_cores
from ringrift_core.errors import RulesError
from ringrift_core.jobs.spec import TrainingSpec, reasons
from ringrift_core.training.run_folder import RUN, begun_seed

SEED_BITS = 48


def train(asked: dict[str, Any], *, seed: int | None, processes: int, as_json: bool) -> int:
    """Run the command; returns its exit code."""
    if seed is None:
        seed = begun_seed(asked["out"] / RUN)
    try:
        spec = TrainingSpec(**asked, seed=secrets.randbits(SEED_BITS) if seed is None else seed)
    except ValidationError as error:
        raise RulesError(reasons(error)) from None
    if processes > 1 and spec.batch % processes:
        raise RulesError(f"a batch of {spec.batch} cannot be divided among {processes} processes")
    workers = Workers([spec], JOBS if processes == 1 else torchrun(processes))
    reports: dict[str, dict[str, Any]] = {}
    with progress() as line:

        def show(_number: int, report: dict[str, Any]) -> None:
            reports[report["event"]] = report
            if report["event"] == "window":
                for refused in report["refused"]:
                    line.remark(f"left out {refused['file']}: {refused['reason']}")
            line.show(progress_line(spec, reports))

        workers.run(show)
    result = {"game": spec.game, "seed": spec.seed, "out": str(spec.out), "window": reports.get("window")}
    result |= reports.get("done") or reports.get("stopped") or {}
    print(json.dumps(result) if as_json else summary(result))
    return SIGNALLED + workers.signal if workers.signal else 0


def default_threads(processes: int) -> int:
    """Half of the cores, divided among processes: threads that wait for a busy core make all others wait."""
    return max(1, usable_cores() // (2 * processes))


def progress_line(spec: TrainingSpec, reports: dict[str, dict[str, Any]]) -> str:
    """One line about a run under way."""
    window, progress = reports.get("window"), reports.get("progress")
    if window is None:
        return f"{spec.game}: looking at the shards"
    rows = f"{spec.game}: {window['rows']} of {window['rows_total']} rows"
    if progress is None:
        return f"{rows}, begun"
    return (
        f"{rows}, step {progress['step']} of {progress['steps']}, policy {progress['policy']:.3f}, "
        f"value {progress['value']:.3f}, {progress['samples_per_s']:.0f} samples/s"
    )


def summary(result: dict[str, Any]) -> str:
    """A run in a few lines."""
    if "candidate" not in result:
        step = f" at step {result['step']} of {result['steps']}" if "step" in result else ""
        return f"{result['game']}: stopped{step}; the same command goes on from there"
    losses = ", ".join(f"{name} {value:.4f}" for name, value in (result["validation"] or {}).items())
    return (
        f"{result['game']}: {result['candidate']}, sha256 {result['sha256']}\n{result['steps']} steps, seed "
        f"{result['seed']}" + (f"; on games kept for validation: {losses}" if losses else "")
    )
