"""Proposals per second of LocalConsensus on a durable log, with 1 and with many proposers, as one JSON object.

    python benchmarks/consensus_log.py [FOLDER]

The bound is a bare loop of write and fsync of as many bytes on the same disk, right before and after each run; `share`
is the median of each run against the bound around it. FOLDER, by default the current one, says which disk it is.
With many proposers one fsync carries many records: `records_per_fsync`. `snapshots`: one proposer, a large state dumped
again and again, and how long proposals took then (the worst of each run, median over the runs).
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings
from ringrift_core.commands.bench_engine import cpu_name

BODY_BYTES = 200  # a command
PROPOSERS = (1, 64)
RUNS = 5
RUN_S = 0.7
WAIT_S = 60.0
STATE_BYTES = 8 << 20  # 10,000 finished jobs of 800 bytes
NEVER = LogSettings(compact_records=1 << 40, compact_bytes=1 << 40)
OFTEN = LogSettings(compact_records=100, compact_bytes=1 << 40)


class Counter:
    """A machine that counts; its dump is as large as that of a busy cluster."""

    def initial(self) -> int:
        """Nothing counted."""
        return 0

    def apply(self, state: int, body: bytes) -> tuple[int, int]:
        """One more."""
        return state + 1, len(body)

    def dump(self, state: int) -> bytes:
        """The number and a filling."""
        return state.to_bytes(8, "big") + bytes(STATE_BYTES)

    def load(self, content: bytes) -> int:
        """The number."""
        return int.from_bytes(content[:8], "big")


class CountingLog(DurableLog):
    """A log that counts its fsyncs of records."""

    appends = 0

    def append(self, bodies: Sequence[bytes]) -> int:
        """Append and count."""
        self.appends += 1
        return super().append(bodies)


def bare_per_s(folder: Path) -> float:
    """Writes with an fsync each, by a bare loop that appends to one file."""
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    content = bytes(BODY_BYTES)
    count, started = 0, perf_counter()
    while perf_counter() - started < RUN_S:
        os.write(handle, content)
        os.fsync(handle)
        count += 1
    took = perf_counter() - started
    os.close(handle)
    return count / took


async def waits_s(log: DurableLog, proposers: int, settings: LogSettings) -> list[float]:
    """How long each proposal of a run took, in the order in which they were applied."""
    waits = []
    async with LocalConsensus(Counter(), log, settings) as served:
        ends = perf_counter() + RUN_S

        async def propose() -> None:
            while (started := perf_counter()) < ends:
                await served.propose(bytes(BODY_BYTES), WAIT_S)
                waits.append(perf_counter() - started)

        await asyncio.gather(*(propose() for _ in range(proposers)))
    return waits


def against_bound(folder: Path, proposers: int) -> dict[str, float]:
    """Medians over RUNS, each run between two of the bound."""
    rates, bounds, shared = [], [], []
    for run in range(RUNS):
        log = CountingLog(DiskFiles(folder / f"log-{proposers}-{run}"))
        before = bare_per_s(folder)
        count = len(asyncio.run(waits_s(log, proposers, NEVER)))
        bounds.append((before + bare_per_s(folder)) / 2)
        rates.append(count / RUN_S)
        shared.append(count / log.appends)
    return {
        "proposers": proposers,
        "proposals_per_s": round(median(rates)),
        "bare_fsyncs_per_s": round(median(bounds)),
        "share": round(median(rate / bound for rate, bound in zip(rates, bounds, strict=True)), 2),
        "records_per_fsync": round(median(shared), 1),
    }


def with_snapshots(folder: Path) -> dict[str, float]:
    """What a proposal waits while snapshots are made."""
    worst, usual = [], []
    for run in range(RUNS):
        waits = asyncio.run(waits_s(DurableLog(DiskFiles(folder / f"snapshots-{run}")), 1, OFTEN))
        worst.append(max(waits))
        usual.append(median(waits))
    milliseconds = {"median_ms": round(1000 * median(usual), 2), "worst_ms": round(1000 * median(worst), 1)}
    return {"state_bytes": STATE_BYTES, **milliseconds}


def main() -> None:
    """Print the figures of one disk."""
    with TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else ".", prefix=".bench-") as name:
        results = [against_bound(Path(name), proposers) for proposers in PROPOSERS]
        found = {"body_bytes": BODY_BYTES, "runs": RUNS, "results": results, "snapshots": with_snapshots(Path(name))}
    print(json.dumps({**found, "cpu": cpu_name(), "cores": os.cpu_count()}, indent=1))


if __name__ == "__main__":
    main()
