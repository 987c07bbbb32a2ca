"""`ringrift selfplay`: games on all cores, one single-threaded process each, with one report."""

import json
import secrets
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from pydantic import ValidationError

from ringrift_core.commands.progress import progress
from ringrift_core.commands.workers import SIGNALLED, Workers
from ringrift_core.cores import usable_cores
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import Opponent, SelfplaySpec, reasons
from ringrift_core.players.roster import judge_of
from ringrift_core.storage import prepare_folder

SEED_BITS = 48
SUMS = (
    "games", "decisions", "samples", "simulations", "distinct", "judged", "cached", "forced",
    "shards", "written_games", "written_samples", "written_bytes",
)  # fmt: skip


@dataclass(slots=True)
class Totals:
    """What the workers of one run last reported."""

    latest: dict[int, dict[str, Any]] = field(default_factory=dict)
    started: float = field(default_factory=perf_counter)

    def take(self, number: int, report: dict[str, Any]) -> None:
        """Take a report of a worker."""
        if report["event"] in {"progress", "done"}:
            self.latest[number] = report

    def sums(self) -> dict[str, Any]:
        """The reports of all workers as one."""
        total: dict[str, Any] = {name: sum(report[name] for report in self.latest.values()) for name in SUMS}
        seconds = perf_counter() - self.started
        decisions = max(1, total["decisions"])
        total["batch_fill"] = min((report["batch_fill"] for report in self.latest.values()), default=0.0)
        total["distinct_per_decision"] = round(total.pop("distinct") / decisions, 2)
        total["seconds"] = round(seconds, 2)
        total["games_per_hour"] = round(total["games"] / seconds * 3600, 1)
        total["judged_per_s"] = round(total["judged"] / seconds, 1)
        return total


def shares(spec: SelfplaySpec, processes: int) -> list[SelfplaySpec]:
    """The spec divided among processes: process p plays the games p, p + processes, ..."""
    count = min(processes, spec.games) if spec.games else processes
    parts = []
    for number in range(count):
        games = len(range(number, spec.games, count)) if spec.games else 0
        parts.append(spec.model_copy(update={"first": number, "stride": count, "games": games}))
    return parts


def selfplay(
    asked: dict[str, Any], *, seed: int | None, opponents: list[str], processes: int | None, as_json: bool
) -> int:
    """Run the command; returns its exit code."""
    try:
        spec = SelfplaySpec(
            **asked,
            seed=secrets.randbits(SEED_BITS) if seed is None else seed,
            opponents=tuple(opponent_of(text) for text in opponents),
        )
    except ValidationError as error:
        raise RulesError(reasons(error)) from None
    for name in (spec.model, *(opponent.model for opponent in spec.opponents)):
        # refused before anything starts, and measured before the workers compete for the cores
        judge_of(name, ConfigKey.parse(spec.game), device=spec.device, deterministic=spec.deterministic)
    prepare_folder(spec.out)
    default = 1 if spec.deterministic else usable_cores()
    workers, totals = Workers(shares(spec, processes or default)), Totals()
    with progress() as line:

        def show(number: int, report: dict[str, Any]) -> None:
            totals.take(number, report)
            line.show(progress_line(totals.sums(), spec))

        workers.run(show)
    result = {
        "game": spec.game,
        "model": spec.model,
        "sims": spec.sims,
        "seed": spec.seed,
        "out": str(spec.out),
        **totals.sums(),
    }
    print(json.dumps(result) if as_json else summary(result))
    return SIGNALLED + workers.signal if workers.signal else 0


def opponent_of(text: str) -> Opponent:
    """An opponent from MODEL=SHARE."""
    model, sign, share = text.rpartition("=")
    try:
        if sign:
            return Opponent(model=model, share=float(share))
    except ValueError:
        pass
    raise RulesError(f"{text!r}: an opponent is MODEL=SHARE with a share above 0 and up to 1, such as heuristic=0.1")


def progress_line(sums: dict[str, Any], spec: SelfplaySpec) -> str:
    """One line about a run under way."""
    of = f" of {spec.games}" if spec.games else ""
    return (
        f"{spec.game}: {sums['games']}{of} games, {sums['decisions']} decisions, {sums['judged_per_s']:.0f} "
        f"positions/s, {sums['written_games']} games in {sums['shards']} shards, {sums['seconds']:.0f} s"
    )


def summary(result: dict[str, Any]) -> str:
    """A run in a few lines."""
    return (
        f"{result['game']}: {result['written_games']} games, {result['written_samples']} samples in "
        f"{result['shards']} shards ({result['written_bytes']} bytes) in {result['out']}\n"
        f"{result['seconds']} s, {result['games_per_hour']:.0f} games/h, {result['judged_per_s']:.0f} positions/s, "
        f"{result['distinct_per_decision']} distinct positions per decision, batches {result['batch_fill']:.0%} full, "
        f"seed {result['seed']}"
    )
