"""A node that clients come to and go from, politely and not, for a long time: nothing of it may grow.

`python -m tests.e2e.node_soak [--minutes 20] [--clients 2000] [--seed 1]`: JSON on standard output, exit code 1 when
something grows or the node stops answering. A real process with its intervals and bounds shortened; CLIENTS tasks that
each come, do one of VISITS and go, again and again. Memory, descriptors, threads and tasks of the loop are sampled
twice a second, once clients have come and gone for a minute; a line is laid through means of the last two thirds (least
squares), and its rise over that time, less three standard errors, may not be more than GROWTH_MAX. When all have gone,
descriptors and tasks must be back to what they were. Clients that the node turns away since it has no place are
counted, not faults.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.node_process import Connection, NodeProcess, load_of_machine, running_node
from p2p.http.routes import ROUTES
from p2p.identity.principals import Principal

SETTINGS = {
    "node.disable_local_tasks": "true",
    "log.snapshot_records": "20",
    "evaluation.shadow_interval_seconds": "1",
    "curriculum.rebalance_seconds": "1",
    "monitoring.refresh_seconds": "0.1",
}
AWAY_S = (2.0, 30.0)  # between two visits of a client, from a start at which all are away
SAMPLE_S = 0.5
LOST_S = 45.0  # for the node to let go of those that have said nothing: 20 s for headers, 30 s for readers
SITES = 20  # addresses that clients come from
WARM_S = 60.0  # until as many come as go: the longest visits and absences take half of that
BLOCKS = 8  # means of samples: a visit lasts for many samples, so those are not independent
ERRORS = 3.0  # standard errors of a slope
GROWTH_MAX = {"rss_mib": 4.0, "descriptors": 10.0, "threads": 2.0, "tasks": 15.0}  # over the samples that are judged
LEFT_MAX = {"descriptors": 3, "tasks": 3}  # more than before, when all have gone
OPEN = (it for it in ROUTES if it.method == "GET" and Principal.OBSERVER in it.principals)  # to whoever is on loopback
PATHS = tuple(it.pattern for it in OPEN if "{" not in it.pattern)

Visit = Callable[[Connection, random.Random], Awaitable[None]]


class Sample(NamedTuple):
    """The process at one moment."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int
    tasks: float


@dataclass(slots=True)
class Run:
    """What happened."""

    visits: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)  # answers that should not be
    samples: list[Sample] = field(default_factory=list)


# ---- visits ----


async def some_questions(connection: Connection, chance: random.Random) -> None:
    """One to five, then a proper end."""
    for _ in range(chance.randint(1, 5)):
        status, _ = await connection.ask(chance.choice(PATHS))
        if status >= 500:
            raise AssertionError(f"answered with {status}")


async def cut_stream(connection: Connection, chance: random.Random) -> None:
    """A stream of events that is left in the middle."""
    connection.writer.write(b"GET /events?since=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    await asyncio.wait_for(connection.reader.read(chance.randint(1, 2000)), 20.0)
    await asyncio.sleep(chance.uniform(0.0, 3.0))


async def half_head(connection: Connection, chance: random.Random) -> None:
    """Headers that do not end, and a wait that may be longer than the node has patience for."""
    connection.writer.write(b"GET /status HTTP/1.1\r\nHost: local")
    await asyncio.sleep(chance.choice((0.1, 5.0, 25.0)))


async def half_body(connection: Connection, chance: random.Random) -> None:
    """A body that does not end."""
    connection.writer.write(b'POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{"token": "')
    await asyncio.sleep(chance.choice((0.1, 2.0, 12.0)))


async def silence(_connection: Connection, chance: random.Random) -> None:
    """Nothing."""
    await asyncio.sleep(chance.choice((0.0, 1.0, 25.0)))


async def unread_answers(connection: Connection, chance: random.Random) -> None:
    """Many questions at once whose answers are never read."""
    connection.writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * chance.randint(1, 20))
    await asyncio.sleep(chance.uniform(0.0, 2.0))


async def noise(connection: Connection, chance: random.Random) -> None:
    """Bytes by chance."""
    connection.writer.write(chance.randbytes(chance.randint(1, 3000)))
    await asyncio.sleep(0.1)


VISITS: tuple[tuple[Visit, int], ...] = (
    (some_questions, 8), (cut_stream, 2), (half_head, 2), (half_body, 1), (silence, 1), (unread_answers, 1), (noise, 1),
)  # fmt: skip


async def client(port: int, number: int, seed: int, end: float, run: Run) -> None:
    """Come and go until the end."""
    chance = random.Random(seed * 1_000_003 + number)
    visits, weights = zip(*VISITS, strict=True)
    while (away_s := chance.uniform(*AWAY_S)) < end - monotonic():
        await asyncio.sleep(away_s)
        (visit,) = chance.choices(visits, weights)
        run.visits[await visited(port, number % SITES, visit, chance, run)] += 1


async def visited(port: int, site: int, visit: Visit, chance: random.Random, run: Run) -> str:
    """What became of a visit: its name, or that the client was turned away."""
    connection = None
    try:
        connection = await Connection.open(port, 25 * site)
        await visit(connection, chance)
    except (OSError, TimeoutError):
        return "turned away" if visit is some_questions else visit.__name__
    except AssertionError as error:
        run.faults[str(error)] += 1
    finally:
        if connection is not None:
            connection.abort()
    return visit.__name__


# ---- samples ----


def sample(node: NodeProcess, began: float) -> Sample:
    """The process now; on a thread."""
    process = node.process
    with process.oneshot():
        memory, threads = process.memory_info().rss / 2**20, process.num_threads()
    return Sample(monotonic() - began, memory, process.num_fds(), threads, node.metric("tasks"))


async def sampled(node: NodeProcess, began: float, end: float, run: Run) -> None:
    """Sample until the end; where the node has no place for the question there is one sample less."""
    await asyncio.sleep(WARM_S)
    while monotonic() < end:
        try:
            run.samples.append(await asyncio.to_thread(sample, node, began))
        except OSError:
            run.visits["sample missed"] += 1
        await asyncio.sleep(SAMPLE_S)


class Rise(NamedTuple):
    """A line through samples."""

    rise: float  # over all of them
    error: float  # standard error of that


def rise_of(times: Sequence[float], values: Sequence[float]) -> Rise:
    """The line of least squares; ValueError with fewer than three samples."""
    if len(times) < 3:
        raise ValueError(f"{len(times)} samples make no line with an error")
    at = np.asarray(times) - np.mean(times)
    value = np.asarray(values, dtype=float)
    spread = float(at @ at)
    slope = float(at @ (value - value.mean())) / spread
    rest = value - value.mean() - slope * at
    error = (float(rest @ rest) / (len(times) - 2) / spread) ** 0.5
    span = float(at[-1] - at[0])
    return Rise(slope * span, error * span)


def judged(samples: Sequence[Sample]) -> dict[str, Rise]:
    """The rise of every number over the last two thirds."""
    first, last = samples[0].at_s, samples[-1].at_s
    late = [it for it in samples if it.at_s >= first + (last - first) / 3]
    blocks = [late[len(late) * block // BLOCKS : len(late) * (block + 1) // BLOCKS] for block in range(BLOCKS)]
    if not all(blocks):
        raise ValueError(f"{len(late)} samples are too few; soak for longer")
    times = [fmean(it.at_s for it in block) for block in blocks]
    return {name: rise_of(times, [fmean(getattr(it, name) for it in block) for block in blocks]) for name in GROWTH_MAX}


def grown(rises: Mapping[str, Rise]) -> list[str]:
    """What grows."""
    return [name for name, found in rises.items() if found.rise - ERRORS * found.error > GROWTH_MAX[name]]


# ---- the soak ----


async def soaked(node: NodeProcess, clients: int, seconds: float, seed: int) -> Run:
    """All clients at once, until the end."""
    run, began = Run(), monotonic()
    end = began + WARM_S + seconds
    async with asyncio.TaskGroup() as group:
        group.create_task(sampled(node, began, end, run))
        for number in range(clients):
            group.create_task(client(node.port, number, seed, end, run))
    return run


async def left(node: NodeProcess, before: Sample) -> list[str]:
    """What has not come back to what it was, in LOST_S."""
    until = monotonic() + LOST_S
    while True:
        now = await asyncio.to_thread(sample, node, before.at_s)
        found = [name for name, most in LEFT_MAX.items() if getattr(now, name) - getattr(before, name) > most]
        if not found or monotonic() > until:
            return [f"{name}: {getattr(before, name):g} before, {getattr(now, name):g} after" for name in found]
        await asyncio.sleep(1.0)


async def soak(node: NodeProcess, clients: int, seconds: float, seed: int) -> dict[str, object]:
    """The report; `faults` is empty where all is well."""
    await asyncio.sleep(5.0)  # services have begun
    for path in PATHS:
        await asyncio.to_thread(node.get, path)  # what is made once is made
    before = await asyncio.to_thread(sample, node, monotonic())
    run = await soaked(node, clients, seconds, seed)
    rises = judged(run.samples)
    stuck = await left(node, before)
    faults = [f"{name} grows" for name in grown(rises)] + [f"left: {it}" for it in stuck]
    faults += [f"{count} times {what}" for what, count in run.faults.items()]
    first, last = run.samples[0], run.samples[-1]
    return {
        "clients": clients, "seconds": seconds, "seed": seed, "visits": dict(run.visits), "samples": len(run.samples),
        "first": _rounded(first), "last": _rounded(last), "lag_ms": round(1000 * node.metric("event_loop_lag_seconds")),
        "rise": {name: [round(it.rise, 2), round(it.error, 2)] for name, it in rises.items()}, "faults": faults,
    }  # fmt: skip


def _rounded(it: Sample) -> dict[str, float]:
    return {name: round(value, 1) for name, value in it._asdict().items()}


def main() -> int:
    """Soak a node in a bare folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringrift-soak-") as name, running_node(Path(name), SETTINGS) as node:
        try:
            found = asyncio.run(soak(node, asked.clients, 60 * asked.minutes, asked.seed))
        except psutil.NoSuchProcess:
            found = {"faults": ["the node has ended", (Path(name) / "node.log").read_text()[-2000:]]}
    print(json.dumps({**found, **load_of_machine()}, indent=1))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
