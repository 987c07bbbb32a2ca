"""Selfplay inside the loop against the same jobs on their own, on the same cores, in turns; JSON on standard output.

    python benchmarks/loop_selfplay.py [--game hex8_2p] [--sims 16] [--processes 2] [--turns 6] [--seconds 20]

A node with a random nano net plays (training waits for games that never come), and as many bare selfplay jobs with the
same net and settings. While one side plays the other one is stopped (SIGSTOP), so nothing is paid for starting, and
both meet the same machine. The loop's side has all that a node does: the control process, its disk, its pipes. Games
end in waves, so decisions are counted; `per_core_s` takes other users of the machine out: decisions per second of CPU
that all processes of the side took.
"""

import argparse
import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil

from config.loading import load
from managers.node_folder import NodeFolder
from managers.ports import Report
from managers.state.commands import AddNet, Body, Promote
from managers.state.jobs import Job
from p2p.orchestrator import running_node
from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry

NEVER = 100_000_000  # new games before a training
WARM_S = 3.0  # of a turn that do not count: the reports of what was done before it
READY_S = 300.0
COUNTED = "decisions"
RATIOS = ("per_s", "per_core_s")
LOOP = "--loop"


@dataclass(slots=True)
class Side:
    """The processes of one side and what their jobs have reported last."""

    roots: Sequence["subprocess.Popen[bytes]"]
    last: dict[str, Report] = field(default_factory=dict)
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
                self.last[str(report.get("job", root))] = report

    def signal(self, number: int) -> None:
        """To all its processes; a loop stops first and goes on first."""
        for process in self.processes():
            process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """All of them, those started first before their children."""
        roots = [psutil.Process(root.pid) for root in self.roots]
        return [process for root in roots for process in (root, *root.children(recursive=True))]

    def decisions(self) -> float:
        """What all jobs together have done."""
        return sum(float(str(it[COUNTED])) for it in self.last.values())

    def turn(self, seconds: float) -> dict[str, float]:
        """Rates while only this side plays."""
        self.signal(signal.SIGCONT)
        self.listen(WARM_S)
        decisions, cpu_s, began = self.decisions(), cpu(self.processes()), perf_counter()
        control_s = cpu(self.processes()[:1])
        self.listen(seconds)
        took_s, used_s = perf_counter() - began, cpu(self.processes()) - cpu_s
        made = self.decisions() - decisions
        control_cores = (cpu(self.processes()[:1]) - control_s) / took_s
        self.signal(signal.SIGSTOP)
        return {"per_s": made / took_s, "per_core_s": made / used_s, "first_process_cores": control_cores}


def cpu(processes: Sequence[psutil.Process]) -> float:
    """Seconds that processes have computed."""
    times = [process.cpu_times() for process in processes]
    return sum(it.user + it.system for it in times)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--game", default="hex8_2p")
    parser.add_argument("--sims", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=6, help="of each side")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn")
    parser.add_argument(LOOP, dest="loop", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- the loop's side, a process of its own ----


def told(job: Job, report: Report) -> None:
    """A listener of the jobs: what the other process counts."""
    if report["event"] == "progress":
        line = {"event": "progress", "job": job.id, COUNTED: report[COUNTED]}
        os.write(1, (json.dumps(line) + "\n").encode())


async def loop(asked: argparse.Namespace) -> None:
    """A node whose current net is the one in its registry; ends when standard input does."""
    overrides = {
        "node.data_dir": str(asked.loop), "node.cores": asked.processes, "games": (asked.game,),
        "selfplay.sims": asked.sims, "training.trigger_threshold_games": NEVER,
    }  # fmt: skip
    settings, folder = load(overrides=overrides).settings, NodeFolder(asked.loop)
    (version,) = await asyncio.to_thread(ModelRegistry(folder.models).versions, ConfigKey.parse(asked.game))
    net = version.sha256
    bodies: Sequence[Body] = (
        AddNet(game=asked.game, sha256=net, size_bytes=version.size_bytes, version=version.label, parent=None),
        Promote(game=asked.game, candidate=net, expected=None, how="manual", reason="benchmark"),
    )
    async with running_node(settings) as pipeline:
        pipeline.report_listeners.append(told)
        for body in bodies:
            await pipeline.proposer("benchmark").propose(body)
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        await orders.read()


# ---- both sides ----


def registered(folder: NodeFolder, game: str) -> str:
    """A random nano net in the registry of a node; its digest."""
    import torch  # noqa: PLC0415 - the loop's process does without

    from ringrift_core.nn.checkpoint import CheckpointHead, save_checkpoint  # noqa: PLC0415
    from ringrift_core.nn.net import Net  # noqa: PLC0415

    torch.manual_seed(1)
    path, now = folder.root / "net.pth", datetime.now(UTC)
    save_checkpoint(path, Net(ConfigKey.parse(game), "nano"), CheckpointHead(1, now.isoformat()))
    return ModelRegistry(folder.models).register(path, now).sha256


def started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """A process that is listened to and ends with its standard input."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603


def bare_command(folder: NodeFolder, asked: argparse.Namespace, net: str, number: int) -> list[str]:
    """A job like those of the loop."""
    spec = folder.root / f"bare-{number}.json"
    form = {
        "kind": "selfplay", "game": asked.game, "model": str(folder.net(net)), "out": str(folder.root / "bare"),
        "seed": number, "games": 0, "sims": asked.sims, "opening_max": 6, "drawn_decisions": 20,
    }  # fmt: skip
    spec.write_text(json.dumps(form))
    return [sys.executable, "-P", "-m", "ringrift_core.jobs", str(spec)]


def await_ready(sides: Sequence[Side], processes: int) -> None:
    """Let everybody import and play its first decisions."""
    until = perf_counter() + READY_S
    while any(len([it for it in side.last.values() if it[COUNTED]]) < processes for side in sides):
        if perf_counter() > until:
            raise RulesError(f"the jobs do not play within {READY_S:g} s")
        for side in sides:
            side.listen(1.0)


def measure(asked: argparse.Namespace, folder: NodeFolder, on_turn: Callable[[str], None]) -> dict[str, Any]:
    """Both sides in turns; medians and their ratio."""
    net = registered(folder, asked.game)
    mine = [sys.executable, "-P", __file__, LOOP, str(folder.root), "--game", asked.game]
    mine += ["--sims", str(asked.sims), "--processes", str(asked.processes)]
    bare = [bare_command(folder, asked, net, number) for number in range(asked.processes)]
    sides = {"loop": Side([started(mine)]), "bare": Side([started(command) for command in bare])}
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    try:
        await_ready(list(sides.values()), asked.processes)
        for side in sides.values():
            side.signal(signal.SIGSTOP)
        for number in range(2 * asked.turns):
            name = ("loop", "bare", "bare", "loop")[number % 4]
            turns[name].append(sides[name].turn(asked.seconds))
            on_turn(f"{name} {turns[name][-1]}")
    finally:
        for side in sides.values():
            side.signal(signal.SIGKILL)
            for root in side.roots:
                root.wait()
    return {name: {it: median(turn[it] for turn in found) for it in found[0]} for name, found in turns.items()}


def main() -> None:
    """One measurement."""
    asked = arguments()
    if asked.loop is not None:
        asyncio.run(loop(asked))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = NodeFolder(Path(name))
        found = measure(asked, folder, lambda text: print(text, file=sys.stderr, flush=True))
    ratio = {name: round(found["loop"][name] / found["bare"][name], 3) for name in RATIOS}
    rounded = {side: {name: round(value, 3) for name, value in rates.items()} for side, rates in found.items()}
    asked_for = {name: getattr(asked, name) for name in ("game", "sims", "processes", "turns", "seconds")}
    print(json.dumps({**asked_for, **rounded, "loop_of_bare": ratio, "cpu": cpu_name()}, indent=1))


if __name__ == "__main__":
    main()
