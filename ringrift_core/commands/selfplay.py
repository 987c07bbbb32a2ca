"""`ringrift selfplay`: games on all cores, one single-threaded process each, with one report."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from time import perf_counter
from typing import IO, Any

from ringrift_core.errors import RingriftError
from ringrift_core.jobs.spec import SelfplaySpec

STOP_S = 60.0  # how long a worker may take to write what it has finished
SUMS = (
    "games", "decisions", "samples", "simulations", "distinct", "judged", "cached", "forced",
    "shards", "written_games", "written_samples", "written_bytes",
)  # fmt: skip


class WorkerError(RingriftError):
    """A worker process ended with an error."""


@dataclass(slots=True)
class Fleet:
    """The worker processes of one run and what they last reported."""

    specs: list[SelfplaySpec]
    latest: dict[int, dict[str, Any]] = field(default_factory=dict)
    workers: list["subprocess.Popen[str]"] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    closed: int = 0  # workers whose reports have ended
    interrupted: bool = False
    started: float = field(default_factory=perf_counter)

    def run(self, show: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Start the workers and wait for all; returns the sums of their reports, WorkerError when one failed."""
        reports: Queue[tuple[int, str | None]] = Queue()
        with tempfile.TemporaryDirectory(prefix="ringrift-") as folder:
            for number, spec in enumerate(self.specs):
                path = Path(folder) / f"selfplay-{number}.json"
                path.write_text(spec.model_dump_json(), encoding="utf-8")
                self._start(number, path, reports)
            try:
                self._listen(reports, show)
            except KeyboardInterrupt:
                self.interrupted = True
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

        Thread(target=read, args=(worker.stdout,), daemon=True).start()
        Thread(target=read_errors, args=(worker.stderr,), daemon=True).start()

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


def shares(spec: SelfplaySpec, processes: int) -> list[SelfplaySpec]:
    """The spec divided among processes: process p plays the games p, p + processes, ..."""
    count = min(processes, spec.games) if spec.games else processes
    parts = []
    for number in range(count):
        games = len(range(number, spec.games, count)) if spec.games else 0
        parts.append(spec.model_copy(update={"first": number, "stride": count, "games": games}))
    return parts
