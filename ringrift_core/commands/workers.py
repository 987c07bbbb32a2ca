"""Worker processes of a command: started with a job spec each, listened to, stopped in good order."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from types import FrameType
from typing import IO, Any, NoReturn

from pydantic import BaseModel

from ringrift_core.errors import RingriftError

SIGNALLED = 128  # plus the signal: the exit code that shells know
STOP_S = 60.0  # how long a worker may take to write what it has finished
JOBS = ["-m", "ringrift_core.jobs"]
OnReport = Callable[[int, dict[str, Any]], None]


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


def torchrun(processes: int) -> list[str]:
    """The arguments that run a job as so many ranks on this machine; each of them, too, imports nothing from here."""
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--no-python"]
    return [*run, sys.executable, "-P", *JOBS]


class Workers:
    """The processes of one run, one per spec."""

    def __init__(self, specs: Sequence[BaseModel], arguments: Sequence[str] = JOBS) -> None:
        """`arguments` are what Python is started with, before the path of the spec."""
        self.signal = 0  # that ended the run early
        self._specs = specs
        self._arguments = arguments
        self._processes: list[subprocess.Popen[str]] = []
        self._errors: dict[int, str] = {}
        self._closed = 0  # workers whose reports have ended
        self._readers: list[Thread] = []

    def run(self, on_report: OnReport) -> None:
        """Start the workers and wait for all; WorkerError when one failed.

        SIGINT and SIGTERM end the run early: the workers write what they have finished.
        """
        for asked in (signal.SIGINT, signal.SIGTERM):
            signal.signal(asked, end)
        reports: Queue[tuple[int, str | None]] = Queue()
        with tempfile.TemporaryDirectory(prefix="ringrift-") as folder:
            for number, spec in enumerate(self._specs):
                path = Path(folder) / f"job-{number}.json"
                path.write_text(spec.model_dump_json(), encoding="utf-8")
                self._start(number, path, reports)
            try:
                self._listen(reports, on_report)
            except Ended as ended:
                self.signal = ended.number
                for again in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(again, signal.SIG_DFL)  # a second one does not wait for the workers
                self._terminate()
                self._listen(reports, on_report)
            finally:
                self._stop()
        failed = [number for number, process in enumerate(self._processes) if process.returncode != 0]
        stopped = {it for it in failed if ended_by_signal(self._processes[it].returncode, self._errors.get(it, ""))}
        if self.signal:
            failed = [number for number in failed if number not in stopped]
        if failed:  # those that were stopped because another one had failed are not the cause
            cause = min(failed, key=lambda number: (number in stopped, number))
            who = f"worker {cause}: " if len(self._processes) > 1 else ""
            raise WorkerError(f"{who}{said(self._errors.get(cause, ''), self._processes[cause].returncode)}")

    def _start(self, number: int, spec: Path, reports: "Queue[tuple[int, str | None]]") -> None:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", *self._arguments, str(spec)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: PT018
        self._processes.append(process)

        def read(pipe: IO[str]) -> None:
            with pipe:
                for line in pipe:
                    reports.put((number, line))
            reports.put((number, None))

        def read_errors(pipe: IO[str]) -> None:
            with pipe:
                self._errors[number] = pipe.read()

        for target, pipe in ((read, process.stdout), (read_errors, process.stderr)):
            self._readers.append(Thread(target=target, args=(pipe,), daemon=True))
            self._readers[-1].start()

    def _listen(self, reports: "Queue[tuple[int, str | None]]", on_report: OnReport) -> None:
        """Until every worker has closed its pipe; one that fails stops the others."""
        while self._closed < len(self._processes):
            number, line = reports.get()
            if line is None:
                self._closed += 1
                if self._processes[number].wait(timeout=STOP_S) != 0:
                    self._terminate()
            elif line.startswith("{"):  # libraries of a rank print too
                on_report(number, json.loads(line))

    def _terminate(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.terminate()

    def _stop(self) -> None:
        self._terminate()
        for process in self._processes:
            try:
                process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in self._readers:
            reader.join(STOP_S)


def ended_by_signal(code: int, errors: str) -> bool:
    """True when a worker ended because it was told to: before it could listen, or as torchrun does it."""
    return code in {-signal.SIGTERM, -signal.SIGINT} or (
        "SignalException: " in errors and not any(line.startswith("error: ") for line in errors.splitlines())
    )


def said(errors: str, code: int) -> str:
    """What a worker said of its end: its error line, else all that it wrote."""
    lines = [line.removeprefix("error: ") for line in errors.splitlines() if line.startswith("error: ")]
    return lines[0] if lines else errors.strip() or f"the process ended with exit code {code}"
