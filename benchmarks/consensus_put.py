"""Writes through three real raft processes, and how long none is possible after the leader's is killed, as JSON.

    python -m benchmarks.consensus_put [--folder DIR] [--seconds S] [--rounds N] [--kills N]

Beside them three servers of etcd, where it is installed (`apt-get install etcd-server`), in the same rounds, on the
same disk, asked by the same number of clients in the same process, both at the leader: ours through the control
process' consensus (apply included), etcd over its JSON gateway, which costs it an HTTP request. All write with an
fsync. `bare_fsync_ms`: a write of as many bytes with an fsync, alone on the disk, before each round. Failover: from
SIGKILL to the first write that is committed at a survivor, which is asked from the first moment on.
"""

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from types import TracebackType
from typing import Protocol, Self

from benchmarks.etcd_group import EtcdGroup, etcd_version
from p2p.consensus.pipe import Peer
from p2p.consensus.raft_consensus import RaftConsensus, Voter
from p2p.identity.node_key import NodeKey, encode_key
from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.errors import StorageError

BODY_BYTES = 200  # a command
CLIENTS = (1, 8)
NODES = ("a", "b", "c")
FSYNCS = 100
WAIT_S = 30.0
PAUSE_S = 0.02
WARM_PUTS = 20


class Group(Protocol):
    """Three voters, ours or etcd's."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    async def put(self, key: str, value: bytes) -> None:
        """Write at the leader."""

    async def put_at_survivor(self, key: str, value: bytes) -> None:
        """Write at a follower, again and again until it is written."""

    def kill_leader(self) -> None:
        """SIGKILL."""

    async def mend(self) -> None:
        """Have all three again, and a leader."""


class Counter:
    """A machine that counts."""

    def initial(self) -> int:
        """Nothing counted."""
        return 0

    def apply(self, state: int, body: bytes) -> tuple[int, int]:
        """One more."""
        return state + 1, len(body)

    def dump(self, state: int) -> bytes:
        """The number."""
        return str(state).encode()

    def load(self, content: bytes) -> int:
        """The number."""
        return int(content)


class OurGroup:
    """Three raft processes with their control sides in this process."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        keys = {node: secrets.token_bytes(32) for node in NODES}
        where = dict(zip(NODES, ports, strict=False))
        peers = tuple(Peer(node, "127.0.0.1", where[node], NodeKey(keys[node]).public) for node in NODES)
        self._stack = AsyncExitStack()
        self._served: dict[str, RaftConsensus[int, int]] = {}
        for node in NODES:
            path = folder / f"{node}.key"
            path.write_bytes(encode_key(keys[node]))
            path.chmod(0o600)
            voter = Voter("bench", node, path, folder / node, "127.0.0.1", where[node], NODES)
            self._served[node] = RaftConsensus(Counter(), voter, base=(0, lambda: b"0"))
            self._served[node].peers(peers)
        self._leader = NODES[0]

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(self._stack.enter_async_context(it) for it in self._served.values()))
        await self.mend()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def put(self, _key: str, value: bytes) -> None:
        """Write at the leader."""
        await self._served[self._leader].propose(value, WAIT_S)

    async def put_at_survivor(self, _key: str, value: bytes) -> None:
        """Write at a follower, again and again until it is written."""
        served = next(it for node, it in self._served.items() if node != self._leader)
        while True:
            with suppress(StorageError, TimeoutError):
                await served.propose(value, WAIT_S)
                return
            await asyncio.sleep(PAUSE_S)

    def kill_leader(self) -> None:
        """SIGKILL; its control side starts it again by itself."""
        pid = self._served[self._leader].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def mend(self) -> None:
        """Wait until all are connected to each other and follow one leader."""
        async with asyncio.timeout(WAIT_S):
            while True:
                said = {None if it.standing is None else it.standing.leader for it in self._served.values()}
                whole = all(len(it.connected) == len(NODES) - 1 for it in self._served.values())
                if whole and len(said) == 1 and (leader := said.pop()) is not None:
                    self._leader = leader
                    return
                await asyncio.sleep(PAUSE_S)


def bare_fsync_ms(folder: Path) -> list[float]:
    """How long a write with an fsync takes, alone."""
    took = []
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(FSYNCS):
        started = perf_counter()
        os.write(handle, bytes(BODY_BYTES))
        os.fsync(handle)
        took.append(1000 * (perf_counter() - started))
    os.close(handle)
    return took


async def puts_ms(group: Group, clients: int, seconds: float) -> list[float]:
    """How long each put took."""
    took: list[float] = []
    ends = perf_counter() + seconds

    async def write(client: int) -> None:
        while (started := perf_counter()) < ends:
            await group.put(f"k{client}", secrets.token_bytes(BODY_BYTES))
            took.append(1000 * (perf_counter() - started))

    await asyncio.gather(*(write(client) for client in range(clients)))
    return took


async def failover_s(group: Group) -> float:
    """How long after the leader's death the first write is there."""
    started = perf_counter()
    group.kill_leader()
    await group.put_at_survivor("k", bytes(BODY_BYTES))
    took = perf_counter() - started
    await group.mend()
    return took


class Figures:
    """What was measured of one kind of group."""

    def __init__(self) -> None:
        self._puts: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
        self._rates: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
        self._failovers: list[float] = []

    async def round(self, group: Group, seconds: float, kills: int) -> None:
        """One round: puts, then kills."""
        for _ in range(WARM_PUTS):
            await group.put("warm", bytes(BODY_BYTES))
        for clients in CLIENTS:
            took = await puts_ms(group, clients, seconds)
            self._puts[clients] += took
            self._rates[clients].append(len(took) / seconds)
        for _ in range(kills):
            self._failovers.append(await failover_s(group))

    def shown(self) -> dict[str, object]:
        """As JSON."""
        puts = [
            {"clients": clients, **spread(took), "puts": len(took), "puts_per_s": round(median(self._rates[clients]))}
            for clients, took in self._puts.items()
        ]
        gone = sorted(self._failovers)
        failover = {"kills": len(gone), "median_s": round(median(gone), 2), "max_s": round(gone[-1], 2)} if gone else {}
        return {"puts": puts, "failover": failover}


def spread(took: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {"p50_ms": round(median(took), 2), "p99_ms": round(quantiles(took, n=100)[98], 2)}


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


async def measure(folder: Path, seconds: float, rounds: int, kills: int) -> dict[str, object]:
    """All figures; the groups take turns."""
    version = etcd_version()
    makers: dict[str, Callable[[Path, list[int]], Group]] = {"ringrift": OurGroup}
    if version is None:
        print("etcd is not installed and is not measured; apt-get install etcd-server", file=sys.stderr)
    else:
        makers["etcd"] = EtcdGroup
    figures = {name: Figures() for name in makers}
    bare: list[float] = []
    for number in range(rounds):
        for name, make in makers.items():
            bare += await asyncio.to_thread(bare_fsync_ms, folder)
            place = folder / f"{name}-{number}"
            place.mkdir()
            async with make(place, free_ports(6)) as group:
                await figures[name].round(group, seconds, kills)
    shown = {name: it.shown() for name, it in figures.items()}
    return {"bare_fsync_ms": spread(bare), **shown, "etcd_version": version}


def main() -> None:
    """Print the figures of one disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=".", help="on the disk that is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="of puts, for each number of clients, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=5, help="of the leader, in each round")
    given = parser.parse_args()
    logging.disable(logging.ERROR)  # raft processes that were killed are told of
    with TemporaryDirectory(dir=given.folder, prefix=".bench-") as name:
        found = asyncio.run(measure(Path(name).absolute(), given.seconds, given.rounds, given.kills))
    load = {"cpu": cpu_name(), "cores": os.cpu_count(), "usable_cores": len(os.sched_getaffinity(0))}
    size = {"body_bytes": BODY_BYTES, "rounds": given.rounds, "load_average": round(os.getloadavg()[0], 1)}
    print(json.dumps({**size, **found, **load}, indent=1))


if __name__ == "__main__":
    main()
