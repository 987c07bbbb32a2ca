"""A job's processes: a group of their own, signalled, sampled and reaped so that nobody else is ever hit.

Linux and macOS. A process is known to be a job's by its group, by its ancestors, or by the mark in its environment,
which children inherit even into a session of their own.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from managers.ports import LaunchError

MARK = "RINGRIFT_JOB_MARK"  # environment variable of a job's processes
PIPE_BUFFER_BYTES = 0  # the pipes are read by the event loop
OOM_SCORE = "600"  # of 1000: when memory ends, the system ends a job before the node
POLL_S = 0.1  # between looks at a process, where the system cannot wait for it without reaping it
END_POLL_S = 0.02  # between looks at processes that are being ended
ROUND_S = 1.0  # for those of one round
ROUNDS = 5  # of looking for processes that were started while others were ended


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: its exit code or minus a signal, and what it and those it waited for computed."""

    status: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What the processes of a job take."""

    rss_bytes: int
    cpu_s: float


class ProcessGroup:
    """A child process that leads a group. Somebody must call `wait`, once, in a thread of its own."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it, with pipes for its output; LaunchError when that is not possible.

        The thread that calls this must outlive the process: the kernel can tell a child of its starter's death.
        """
        self._mark = environment[MARK]
        self._lock = threading.Lock()
        self._reaped = False
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own module
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=PIPE_BUFFER_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise LaunchError(
                f"{arguments[0]}: cannot be started ({error.strerror}); run fewer jobs here or free some memory"
            ) from error
        assert self._popen.stdout is not None and self._popen.stderr is not None  # noqa: PT018
        self.pid = self._popen.pid
        self.stdout, self.stderr = self._popen.stdout, self._popen.stderr
        with suppress(OSError):  # Linux only
            Path(f"/proc/{self.pid}/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens when it has ended. Never blocks."""
        with self._lock:
            if not self._reaped:
                with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
                    os.killpg(self.pid, number)

    def wait(self) -> Exit:
        """Wait until the first process has ended, end what it left, reap it.

        Where the system allows, it stays a zombie until the rest is ended: so long its number is nobody else's.
        """
        waits_without_reaping = hasattr(os, "waitid")
        if waits_without_reaping:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            end_marked({self._mark})
            self.signal(signal.SIGKILL)
        while (done := self._reap()) is None:
            time.sleep(POLL_S)
        if not waits_without_reaping:
            end_marked({self._mark})
        return done

    def _reap(self) -> Exit | None:
        with self._lock:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if not pid:
                return None
            self._reaped = True
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        return Exit(self._popen.returncode, usage.ru_utime + usage.ru_stime)

    def close(self) -> None:
        """Close this side of the pipes, where nobody reads them."""
        self.stdout.close()
        self.stderr.close()


def end_marked(marks: set[str]) -> None:
    """SIGKILL every process with one of these marks, such as the ranks of torchrun, which lead groups of their own."""
    for _ in range(ROUNDS):
        found = [process for process, mark in marked() if mark in marks]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if not found:
            return
        await_end(found, ROUND_S)


def await_end(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    """Wait until none of these is alive, at most so long. A zombie is not: its parent may never ask for it."""
    until = time.monotonic() + timeout_s
    while any(_is_alive(process) for process in processes) and time.monotonic() < until:
        time.sleep(END_POLL_S)


def _is_alive(process: psutil.Process) -> bool:
    try:
        zombie = process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    if zombie:
        with suppress(ChildProcessError):  # it is ours when we are the first process of a container
            os.waitpid(process.pid, os.WNOHANG)
    return not zombie and process.is_running()


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every other living process with a mark, and its mark."""
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            mark = process.environ().get(MARK)
            if mark and pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process, mark


def sample(leaders: Sequence[int]) -> dict[int, Load]:
    """What the jobs with these first processes take; reads no memory of theirs, so that a stuck one cannot block it."""
    rows = []
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            rows.append((pid, psutil.Process(pid).ppid(), os.getpgid(pid)))
    return {leader: _load(members(leader, rows)) for leader in leaders}


def members(leader: int, rows: Iterable[tuple[int, int, int]]) -> set[int]:
    """The processes of a job among rows of (process, parent, group): the group and all descendants of it."""
    children: dict[int, list[int]] = {}
    found = {leader}
    for pid, parent, group in rows:
        children.setdefault(parent, []).append(pid)
        if group == leader:
            found.add(pid)
    todo = list(found)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def _load(pids: Iterable[int]) -> Load:
    rss_bytes, cpu_s = 0, 0.0
    for pid in pids:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            rss_bytes += process.memory_info().rss
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
    return Load(rss_bytes, cpu_s)
