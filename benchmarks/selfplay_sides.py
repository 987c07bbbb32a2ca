"""Sides of a selfplay measurement: processes that play on the same cores in turns, and how fast each side is.

While one side plays the other one is stopped (SIGSTOP), so nothing is paid for starting, and both meet the same
machine. Games end in waves, so decisions are counted; `per_core_s` takes other users of the machine out: decisions per
second of CPU that all processes of the side took.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import psutil

from managers.node_folder import NodeFolder
from managers.ports import Report
from managers.state.jobs import Job
from managers.state.tasks import SelfplayTask
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry

READY_S = 300.0
COUNTED = "decisions"
JOBS = "ringrift_core.jobs"
Rates = Mapping[str, float]


@dataclass(slots=True)
class Side:
    """The processes of one side and what their jobs have reported."""

    roots: Sequence["subprocess.Popen[bytes]"]
    warm_s: float = 3.0  # of a turn that do not count: reports of what was done before it, and whoever finds a leader
    counted: dict[str, int] = field(default_factory=dict)  # decisions, by job
    made: int = 0  # by all jobs together
    text: dict[int, bytes] = field(default_factory=dict)  # unfinished lines, by process

    def listen(self, seconds: float) -> None:
        """Take reports in for so long."""
        outputs = {root.stdout.fileno(): root.pid for root in self.roots if root.stdout is not None}
        until = perf_counter() + seconds
        while (left_s := until - perf_counter()) > 0:
            for output in select.select(list(outputs), [], [], left_s)[0]:
                self._take(outputs[output], os.read(output, 1 << 16))

    def _take(self, root: int, chunk: bytes) -> None:
        if not chunk:
            raise RulesError("a side has ended by itself")
        *lines, self.text[root] = (self.text.get(root, b"") + chunk).split(b"\n")
        for line in lines:
            report = json.loads(line)
            if report["event"] == "progress":
                job = str(report.get("job", root))
                counted = int(report[COUNTED])
                self.made += max(0, counted - self.counted.get(job, 0))  # a job that begins anew begins with none
                self.counted[job] = counted

    def signal(self, number: int) -> None:
        """To all its processes; whoever has children stops first and goes on first."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """All of them, those started first before their children."""
        roots = [psutil.Process(root.pid) for root in self.roots]
        return [process for root in roots for process in (root, *root.children(recursive=True))]

    def turn(self, seconds: float) -> Rates:
        """Rates while only this side plays."""
        self.signal(signal.SIGCONT)
        self.listen(self.warm_s)
        made_before, before, began = self.made, self._cpu_s(), perf_counter()
        self.listen(seconds)
        took_s, after = perf_counter() - began, self._cpu_s()
        made = self.made - made_before
        self.signal(signal.SIGSTOP)
        jobs_s, others_s = (after[it] - before[it] for it in (0, 1))
        return {
            "per_s": made / took_s, "per_core_s": made / (jobs_s + others_s),
            "other_processes_cores": others_s / took_s,
        }  # fmt: skip

    def _cpu_s(self) -> tuple[float, float]:
        """Seconds that the jobs and the other processes have computed."""
        found = [0.0, 0.0]
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[JOBS not in process.cmdline()] += times.user + times.system
        return found[0], found[1]


def told(job: Job, report: Report) -> bytes | None:
    """The line of a net's games that whoever measures reads; None for other reports."""
    if report["event"] != "progress" or not isinstance(job.task, SelfplayTask) or job.task.model is None:
        return None
    return (json.dumps({"event": "progress", "job": job.id, COUNTED: report[COUNTED]}) + "\n").encode()


def registered(folder: NodeFolder, game: str) -> str:
    """A random nano net in the registry of a node; its digest."""
    import torch  # noqa: PLC0415 - the processes of the sides do without

    from ringrift_core.nn.checkpoint import CheckpointHead, save_checkpoint  # noqa: PLC0415
    from ringrift_core.nn.net import Net  # noqa: PLC0415

    torch.manual_seed(1)
    path, now = folder.root / "net.pth", datetime.now(UTC)
    save_checkpoint(path, Net(ConfigKey.parse(game), "nano"), CheckpointHead(1, now.isoformat()))
    return ModelRegistry(folder.models).register(path, now).sha256


def started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """A process that is listened to and ends with its standard input."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603


def await_ready(sides: Sequence[Side], processes: int) -> None:
    """Let everybody import and play its first decisions; RulesError when that takes too long."""
    until = perf_counter() + READY_S
    while any(sum(map(bool, side.counted.values())) < processes for side in sides):
        if perf_counter() > until:
            raise RulesError(f"the jobs do not play within {READY_S:g} s")
        for side in sides:
            side.listen(1.0)


def in_turns(
    first: tuple[str, Side], second: tuple[str, Side], turns: int, seconds: float, on_turn: Callable[[str], None]
) -> dict[str, Rates]:
    """Medians of both sides, which are ready and run; each plays so many turns, and both are killed afterwards."""
    sides = dict((first, second))
    order = (first[0], second[0], second[0], first[0])
    found: dict[str, list[Rates]] = {name: [] for name in sides}
    for side in sides.values():
        side.signal(signal.SIGSTOP)
    for number in range(2 * turns):
        name = order[number % 4]
        found[name].append(sides[name].turn(seconds))
        on_turn(f"{name} {found[name][-1]}")
    return {
        name: {it: round(median(turn[it] for turn in rates), 3) for it in rates[0]} for name, rates in found.items()
    }


def ended(sides: Sequence[Side]) -> None:
    """Kill all processes."""
    for side in sides:
        side.signal(signal.SIGKILL)
        for root in side.roots:
            root.wait()
