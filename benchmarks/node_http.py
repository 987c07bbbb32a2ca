"""How fast a node answers while its cores are busy, against a bare server under the same load; JSON on standard output.

    python -m benchmarks.node_http [--seconds 30] [--clients 200] [--busy selfplay|loops]

A real node in a bare folder. `--busy selfplay`: its own jobs, the heuristic against itself, one per core; `loops`: a
busy loop per core with the priority of a job, for machines that are shared. CLIENTS connections ask `/status` once a
second each, one more asks `/health` ten times a second. A time counts from the moment at which a question is due, so
that one that waits for the answer before it counts too, and so does a client that is late itself. The bound is a bare
aiohttp server in a process of its own that answers as many bytes, right after the node, while the same load goes on:
`health_p99_ratio` is the node's time against it.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import psutil
from aiohttp import web
from aiohttp.typedefs import Handler

from benchmarks.node_process import Connection, NodeProcess, cpu_s, load_of_machine, running_node
from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.errors import RulesError

STATUS_EVERY_S = 1.0
HEALTH_EVERY_S = 0.1
PLAYING_S = 300.0  # until jobs play: the first one compiles the kernels
SETTLE_S = 3.0
BARE = "--bare"
LOOP = "import os; os.nice(10)\nwhile True: pass"  # nice as a job is
SELFPLAY = {"selfplay.bootstrap_games": "10000000", "selfplay.minutes_per_job": "60"}
IDLE = {"node.disable_local_tasks": "true"}


@dataclass(slots=True)
class Times:
    """What one kind of question took."""

    took_s: list[float] = field(default_factory=list)
    errors: int = 0

    def figures(self) -> dict[str, float]:
        """In milliseconds."""
        if not self.took_s:
            raise RulesError(f"nothing was answered, {self.errors} questions failed")
        middle, late, last = 1000 * np.quantile(self.took_s, (0.5, 0.99, 1.0))
        return {
            "answers": len(self.took_s),
            "errors": self.errors,
            "p50_ms": round(middle, 2),
            "p99_ms": round(late, 1),
            "max_ms": round(last, 1),
        }


async def ask_regularly(port: int, number: int, path: str, every_s: float, begin: float, end: float) -> Times:
    """Ask over one connection, which is opened again when it ends."""
    times, connection, due = Times(), await Connection.open(port, number), begin
    while due < end:
        await asyncio.sleep(max(0.0, due - monotonic()))
        try:
            status, _ = await connection.ask(path)
            times.took_s.append(monotonic() - due)
            times.errors += status != 200
        except (OSError, TimeoutError):
            times.errors += 1
            connection.abort()
            connection = await Connection.open(port, number)
        due += every_s
    connection.abort()
    return times


async def asked(port: int, clients: int, seconds: float) -> dict[str, Times]:
    """All the questions of one run."""
    begin = monotonic() + 1.0 + clients / 200  # connections are opened before
    end = begin + seconds
    statuses = (
        ask_regularly(port, number, "/status", STATUS_EVERY_S, begin + STATUS_EVERY_S * number / clients, end)
        for number in range(clients)
    )
    health, *found = await asyncio.gather(
        ask_regularly(port, clients, "/health", HEALTH_EVERY_S, begin, end), *statuses
    )
    status = Times([it for times in found for it in times.took_s], sum(times.errors for times in found))
    return {"health": health, "status": status}


def measured(process: psutil.Process, port: int, clients: int, seconds: float) -> dict[str, dict[str, float]]:
    """A run against a server, with the CPU that its process took."""
    before = cpu_s(process), monotonic()
    found = asyncio.run(asked(port, clients, seconds))
    share = (cpu_s(process) - before[0]) / (monotonic() - before[1])
    return {**{path: times.figures() for path, times in found.items()}, "cpu": {"cores": round(share, 3)}}


# ---- what keeps the cores busy ----


@contextmanager
def busy_loops(count: int) -> Iterator[list[psutil.Process]]:
    """A loop per core."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]  # noqa: S603 - ours
    try:
        yield [psutil.Process(loop.pid) for loop in loops]
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def playing(node: NodeProcess) -> Iterator[list[psutil.Process]]:
    """The jobs of a node, once they play."""
    until = monotonic() + PLAYING_S
    while not any(job["progress"] for job in json.loads(node.get("/jobs?status=running"))["jobs"]):
        if monotonic() > until:
            raise RulesError(f"no job plays after {PLAYING_S:g} s")
        sleep(0.5)
    yield node.process.children(recursive=True)


# ---- the bound ----


def serve_bare(sizes: Sequence[int]) -> None:
    """A server that answers constants; it says its port and ends when it is killed."""

    async def run() -> None:
        app = web.Application()
        for path, size in zip(("/health", "/status"), sizes, strict=True):
            app.router.add_get(path, _constant(bytes(size)))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def _constant(content: bytes) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/json")

    return answer


@contextmanager
def bare_server(sizes: Sequence[int]) -> Iterator[tuple[psutil.Process, int]]:
    """That server as a process, and its port."""
    words = [sys.executable, "-m", "benchmarks.node_http", BARE, *map(str, sizes)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root) as process:  # noqa: S603 - ours
        try:
            assert process.stdout is not None
            yield psutil.Process(process.pid), int(process.stdout.readline())
        finally:
            process.kill()


def run(seconds: float, clients: int, busy: str) -> dict[str, object]:
    """Node and bound under one load."""
    cores = len(os.sched_getaffinity(0))
    settings = SELFPLAY if busy == "selfplay" else IDLE
    with (
        tempfile.TemporaryDirectory(prefix="ringrift-bench-") as name,
        running_node(Path(name), settings) as node,
        playing(node) if busy == "selfplay" else busy_loops(cores) as burners,
    ):
        sleep(SETTLE_S)
        sizes = [len(node.get(path)) for path in ("/health", "/status")]
        began, before = monotonic(), sum(map(cpu_s, burners))
        found = measured(node.process, node.port, clients, seconds)
        with bare_server(sizes) as (process, port):
            bound = measured(process, port, clients, seconds)
        burnt = (sum(map(cpu_s, burners)) - before) / (monotonic() - began)
        lag_s = node.metric("event_loop_lag_seconds")
    return {
        "clients": clients, "seconds": seconds, "busy": busy, "busy_cores": round(burnt, 2), "bytes": sizes,
        "node": found, "node_lag_ms": round(1000 * lag_s, 1), "bare": bound,
        "health_p99_ratio": round(found["health"]["p99_ms"] / bound["health"]["p99_ms"], 2),
    }  # fmt: skip


def main() -> None:
    """Print the figures of one machine."""
    if BARE in sys.argv[1:2]:
        serve_bare([int(word) for word in sys.argv[2:]])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--busy", choices=("selfplay", "loops"), default="selfplay")
    asked_for = parser.parse_args()
    found = run(asked_for.seconds, asked_for.clients, asked_for.busy)
    print(json.dumps({**found, "cpu": cpu_name(), **load_of_machine()}, indent=1))


if __name__ == "__main__":
    main()
