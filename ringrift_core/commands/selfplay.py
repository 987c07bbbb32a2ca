"""`ringrift selfplay`: games on all cores, one single-threaded process each, with one report."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from time import perf_counter
from types import FrameType
from typing import IO, Any, NoReturn

from pydantic import ValidationError
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ringrift_core.errors import RingriftError, RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import Opponent, SelfplaySpec, reasons
from ringrift_core.players.roster import judge_of
from ringrift_core.storage import make_folder

SEED_BITS = 48
SIGNALLED = 128  # plus the signal: the exit code that shells know
STOP_S = 60.0  # how long a worker may take to write what it has finished
SUMS = (
    "games", "decisions", "samples", "simulations", "distinct", "judged", "cached", "forced",
    "shards", "written_games", "written_samples", "written_bytes",
)  # fmt: skip


class WorkerError(RingriftError):
    """A worker process ended with an error."""


class Ended(BaseException):
    """A signal asks for the end of the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end(number: int, _frame: FrameType | None) -> NoReturn:
    """A signal handler."""
    raise Ended(number)


@dataclass(slots=True)
class Fleet:
    """The worker processes of one run and what they last reported."""

    specs: list[SelfplaySpec]
    latest: dict[int, dict[str, Any]] = field(default_factory=dict)
    workers: list["subprocess.Popen[str]"] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    closed: int = 0  # workers whose reports have ended
    signal: int = 0  # that ended the run early
    readers: list[Thread] = field(default_factory=list)
    started: float = field(default_factory=perf_counter)

    def run(self, show: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Start the workers and wait for all; returns the sums of their reports, WorkerError when one failed.

        SIGINT and SIGTERM end the run early: the workers write what they have finished.
        """
        for asked in (signal.SIGINT, signal.SIGTERM):
            signal.signal(asked, end)
        reports: Queue[tuple[int, str | None]] = Queue()
        with tempfile.TemporaryDirectory(prefix="ringrift-") as folder:
            for number, spec in enumerate(self.specs):
                path = Path(folder) / f"selfplay-{number}.json"
                path.write_text(spec.model_dump_json(), encoding="utf-8")
                self._start(number, path, reports)
            try:
                self._listen(reports, show)
            except Ended as ended:
                self.signal = ended.number
                for again in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(again, signal.SIG_DFL)  # a second one does not wait for the workers
                self._terminate()
                self._listen(reports, show)
            finally:
                self._stop()
        failed = [number for number, worker in enumerate(self.workers) if worker.returncode != 0]
        if failed:
            said = (
                self.errors.get(failed[0], "").strip() or f"ended with exit code {self.workers[failed[0]].returncode}"
            )
            raise WorkerError(f"selfplay worker {failed[0]}: {said.removeprefix('error: ')}")
        return self.sums()

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

    def _start(self, number: int, spec: Path, reports: "Queue[tuple[int, str | None]]") -> None:
        worker = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "ringrift_core.jobs", str(spec)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None and worker.stderr is not None  # noqa: PT018
        self.workers.append(worker)

        def read(pipe: IO[str]) -> None:
            for line in pipe:
                reports.put((number, line))
            reports.put((number, None))

        def read_errors(pipe: IO[str]) -> None:
            self.errors[number] = pipe.read()

        for target, pipe in ((read, worker.stdout), (read_errors, worker.stderr)):
            self.readers.append(Thread(target=target, args=(pipe,), daemon=True))
            self.readers[-1].start()

    def _listen(self, reports: "Queue[tuple[int, str | None]]", show: Callable[[dict[str, Any]], None]) -> None:
        """Until every worker has closed its pipe; one that fails stops the others."""
        while self.closed < len(self.workers):
            number, line = reports.get()
            if line is None:
                self.closed += 1
                if self.workers[number].wait(timeout=STOP_S) != 0:
                    self._terminate()
                continue
            report = json.loads(line)
            if report["event"] != "shard":
                self.latest[number] = report
                show(self.sums())

    def _terminate(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()

    def _stop(self) -> None:
        self._terminate()
        for worker in self.workers:
            try:
                worker.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        for reader in self.readers:
            reader.join(STOP_S)


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
    make_folder(spec.out)
    default = 1 if spec.deterministic else os.cpu_count() or 1
    fleet = Fleet(shares(spec, processes or default))
    console = Console(stderr=True)
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        total = fleet.run(lambda sums: live.update(progress_line(sums, spec)))
    result = {
        "game": spec.game,
        "model": spec.model,
        "sims": spec.sims,
        "seed": spec.seed,
        "out": str(spec.out),
        **total,
    }
    print(json.dumps(result) if as_json else summary(result))
    return SIGNALLED + fleet.signal if fleet.signal else 0


def opponent_of(text: str) -> Opponent:
    """An opponent from MODEL=SHARE."""
    model, sign, share = text.rpartition("=")
    try:
        if sign:
            return Opponent(model=model, share=float(share))
    except ValueError:
        pass
    raise RulesError(f"{text!r}: an opponent is MODEL=SHARE with a share above 0 and up to 1, such as heuristic=0.1")


def progress_line(sums: dict[str, Any], spec: SelfplaySpec) -> Text:
    """One line about a run under way."""
    of = f" of {spec.games}" if spec.games else ""
    return Text(
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
