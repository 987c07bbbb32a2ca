"""A program whose forks each start a job by a LocalLauncher and are killed (kill -9) at one instant around the start.

`python -m tests.e2e.launcher_killer FOLDER [planted]`: after each death another fork sweeps. The output is one JSON
line per life: the instant, the job's processes before and after the sweep, what the sweep says it ended. "planted" lets
the sweep know processes by the written number alone, to see that the test around this notices.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from managers.launcher import LauncherSettings, LocalLauncher, leftovers
from managers.ports import Order

# ignores SIGTERM and the death of its reader, as does its child in a session of its own
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 2:
    subprocess.Popen([*sys.orig_argv, "again"], start_new_session=True)
    try:
        print('{"event": "up"}', flush=True)
    except BrokenPipeError:
        pass
time.sleep(60)
"""
COMMAND = (sys.executable, "-I", "-S", "-c", STUBBORN)
SETTINGS = LauncherSettings(stop_s=0.1)
STEPS = ("spec", "record", "process", "number")  # what a start makes, in order
INSTANTS = [*(f"{when} {step}" for step in STEPS for when in ("before", "after")), "up", "0.01 s", "0.03 s", "0.06 s"]


def die(*_: object) -> None:
    """Kill -9 to ourselves."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(instant: str) -> None:
    """Let this process die at an instant."""
    when, _, step = instant.partition(" ")
    if step == "s":
        threading.Timer(float(when), die).start()
    elif step:
        calls = [0]

        def armed(do: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*given: Any, **named: Any) -> Any:
                number, calls[0] = calls[0], calls[0] + 1
                if STEPS[number] != step:
                    return do(*given, **named)
                if when == "after":
                    do(*given, **named)
                return die()

            return counted

        setattr(Path, "replace", armed(Path.replace))  # noqa: B010 - mypy refuses to assign to a method
        setattr(subprocess, "Popen", armed(subprocess.Popen))  # noqa: B010


async def live(folder: Path, instant: str) -> None:
    """Start a job; the process dies on the way, at the latest when the job has reported."""
    async with LocalLauncher(folder / "jobs", folder / "logs", SETTINGS, command=COMMAND) as launcher:
        arm(instant)
        child = await launcher.start(Order("job", 1, "selfplay", b"{}", folder / "jobs" / "job"))
        async for _ in child.reports():
            if instant.endswith(" s"):
                await asyncio.sleep(1)
            die()


async def sweep(folder: Path) -> None:
    """As a node does when it starts again; the result goes into a file."""
    async with LocalLauncher(folder / "jobs", folder / "logs", SETTINGS, command=COMMAND) as launcher:
        found = [[len(it.pids), it.ended] for it in await launcher.sweep()]
    (folder / "swept").write_text(json.dumps(found))


def forked(run: Callable[[], None]) -> int:
    """The status of a fork that does this."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def alive(folder: Path) -> list[psutil.Process]:
    """The processes of jobs in this folder, found by their command line."""
    spec = str(folder / "jobs" / "job" / leftovers.SPEC)
    found = []
    for process in psutil.process_iter():
        try:
            if spec in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def main(folder: Path, *, planted: bool) -> None:
    """All the lives, one after the other."""
    if planted:
        setattr(leftovers, "marked", lambda: iter(()))  # noqa: B010
    for instant in INSTANTS:
        status = forked(lambda instant=instant: asyncio.run(live(folder, instant)))  # type: ignore[misc]
        assert os.WIFSIGNALED(status), f"{instant}: ended by itself"
        time.sleep(0.02)  # the system starts what was asked of it
        before = len(alive(folder))
        forked(lambda: asyncio.run(sweep(folder)))
        swept = json.loads((folder / "swept").read_text())
        after = alive(folder)
        print(json.dumps({"instant": instant, "before": before, "after": len(after), "swept": swept}), flush=True)
        for process in after:
            process.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), planted="planted" in sys.argv)
