"""One process of a local cluster: a life per call of `run`, in a group of its own, tethered to this process."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from config.environment import SECRETS
from managers.launcher.job_log import JobLog
from managers.line import one_line
from ringrift_core.errors import RingriftError

LOG_BYTES_MAX = 16 << 20  # of the log and the one before it together
PART_BYTES = 1 << 16  # that are read at once
TAIL_BYTES = 2000  # of what it wrote last, kept to say why it ended
PIPE_S = 5.0  # for the last words of a process that has ended
TETHER = "p2p.local_cluster.tether"


class EndedError(RingriftError):
    """A process ended that nobody had asked to."""


class Child:
    """A module that runs as a process; what it writes goes to a log."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        grace_s: float,
        hurry: asyncio.Event,
    ) -> None:
        """`grace_s`: from SIGTERM to SIGKILL; `hurry` cuts it short."""
        self._command = [sys.executable, "-P", "-m", TETHER, f"{grace_s:g}", module, *arguments]
        self._log = JobLog(log, LOG_BYTES_MAX)
        self._environment = dict(environment)
        self._grace_s = grace_s
        self._hurry = hurry
        self._tail = b""
        self.pid: int | None = None

    async def run(self, started: Callable[[], None]) -> int:
        """Start it and wait for its end; the exit code. Cancelled, it ends the process first."""
        self._tail = b""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = process.pid
        writing = asyncio.create_task(self._write(process), name=f"log of process {process.pid}")
        try:
            started()
            return await process.wait()
        finally:
            await self._end(process)
            self.pid = None
            await asyncio.wait({writing}, timeout=PIPE_S)  # whoever else has the pipe may keep it open
            writing.cancel()

    @property
    def last_line(self) -> str:
        """What it wrote last."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return one_line(next((it for it in reversed(lines) if it.strip()), ""))

    async def _write(self, process: asyncio.subprocess.Process) -> None:
        """Copy what it writes."""
        assert process.stdout is not None
        while content := await process.stdout.read(PART_BYTES):
            self._tail = (self._tail + content)[-TAIL_BYTES:]
            await asyncio.to_thread(self._log.write, content)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Ask it to end, and make it."""
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()), asyncio.create_task(self._hurry.wait())]
        await asyncio.wait(waits, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        if process.returncode is None:
            await asyncio.to_thread(kill_all, process.pid)
            await process.wait()


def node_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a node: no secrets, one thread for whatever computes in it."""
    return {name: value for name, value in inherited.items() if name not in SECRETS} | {"OMP_NUM_THREADS": "1"}


def exit_text(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def kill_all(pid: int) -> None:
    """SIGKILL a child of this process and all that descends from it. It is stopped first, so that it starts nobody."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        first.suspend()
        found = [first, *first.children(recursive=True)]
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
