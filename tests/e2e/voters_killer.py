"""Three voters that are killed all at once: every write that was acknowledged is there again, once, at all three.

    python -m tests.e2e.voters_killer FOLDER --rounds 20 --writes 1000 --seed 1

The raft processes and their stores are real; their control sides live here, and so does the ledger of what they have
acknowledged. Each round is a new group. Clients at all voters write bodies so large that the logs are compacted on the
way (a dump is wanted every 16 MiB) until so many writes and some more were acknowledged; then all three processes get
SIGKILL in one go, while writes are under way or at rest. New control sides, which know nothing but what the stores
have, must all show all that was acknowledged, and write on. A line of JSON per round and one at the end; exit code 1
for a fault, or where a log was not compacted. `--planted late` lets voters write what they say one write later.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic

from p2p.consensus import raft_child
from p2p.consensus.raft_consensus import RaftConsensus, Voter
from ringrift_core.errors import StorageError
from tests.raft_group import CLUSTER, Group

NODES = "abc"
BODY_BYTES = (16 << 10, 64 << 10)  # so that 1,000 writes are more than two dumps' worth
CLIENTS = 9
WRITE_S = 30.0
AGREE_S = 60.0
MORE = 420  # writes at most beyond those asked for: as many as from one dump to the next
AT_REST_SHARE = 0.3  # of the kills
LATER_S = 0.05  # at most, from the last write that is waited for to the kill
GOES_ON = b"written after the kill"
LATE_VOTER = (sys.executable, "-m", "tests.e2e.late_voter")

Bodies = dict[bytes, int]  # by digest, how often each was written
Consensus = RaftConsensus[Bodies, int]


class Kept:
    """The state is what was written."""

    def __init__(self) -> None:
        self.loaded = 0  # bodies in the largest dump that was read

    def initial(self) -> Bodies:
        """Nothing."""
        return {}

    def apply(self, state: Bodies, body: bytes) -> tuple[Bodies, int]:
        """One more; the result is how often it is there."""
        key = digest(body)
        times = state.get(key, 0) + 1
        return {**state, key: times}, times

    def dump(self, state: Bodies) -> bytes:
        """All of it."""
        return json.dumps({key.hex(): times for key, times in state.items()}).encode()

    def load(self, content: bytes) -> Bodies:
        """The reverse."""
        state = {bytes.fromhex(key): int(times) for key, times in json.loads(content or b"{}").items()}
        self.loaded = max(self.loaded, len(state))
        return state


def digest(body: bytes) -> bytes:
    """What stands for a body."""
    return hashlib.sha256(body).digest()[:16]


@dataclass(slots=True)
class Ledger:
    """What was asked and what was answered, and what is wrong."""

    acknowledged: set[bytes] = field(default_factory=set)
    unknown: int = 0  # nobody knows whether they were written
    recovered_s: float = 0.0  # from the kill until all agree again
    compacted: int = 0  # bodies in the dumps that the stores began with, the fewest of the three
    faults: list[str] = field(default_factory=list)


class Round:
    """One group, its writes, its kill."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        folder.mkdir()
        self.group = Group(folder, NODES)
        self.ledger = Ledger()
        self._chance = chance
        self._served: dict[str, Consensus] = {}
        self._killed = False

    async def run(self, writes: int) -> Ledger:
        """Write, kill, compare."""
        wanted, at_rest = writes + self._chance.randrange(MORE), self._chance.random() < AT_REST_SHARE
        async with AsyncExitStack() as stack:
            await self._begin(stack)
            clients = [asyncio.create_task(self._write(name, wanted, at_rest)) for name in NODES * (CLIENTS // 3)]
            while len(self.ledger.acknowledged) < wanted and not all(it.done() for it in clients):  # noqa: ASYNC110 - clients
                await asyncio.sleep(0.001)
            await asyncio.sleep(self._chance.uniform(0, LATER_S))
            self._kill()
            at = monotonic()
            await asyncio.gather(*clients)
        async with AsyncExitStack() as stack:
            machines = await self._begin(stack)
            await self._agree()
            self.ledger.recovered_s = monotonic() - at
            self.ledger.compacted = min(it.loaded for it in machines)
            self._compare()
        return self.ledger

    async def _begin(self, stack: AsyncExitStack) -> list[Kept]:
        """New control sides for the stores that there are."""
        machines = {node: Kept() for node in NODES}
        for node, machine in machines.items():
            store, key = self.group.folder / node / "raft", self.group.key_path(node)
            voter = Voter(CLUSTER, node, key, store, "127.0.0.1", self.group.ports[node], tuple(NODES))
            self._served[node] = RaftConsensus(machine, voter, base=(0, lambda: b"{}"))
            self._served[node].peers(self.group.peers())
        await asyncio.gather(*(stack.enter_async_context(it) for it in self._served.values()))
        return list(machines.values())

    async def _write(self, node: str, wanted: int, at_rest: bool) -> None:
        """One client: one body after the other, until all is acknowledged or the voters are killed."""
        while not self._killed and not (at_rest and len(self.ledger.acknowledged) >= wanted):
            body = self._chance.randbytes(self._chance.randint(*BODY_BYTES))
            try:
                await self._served[node].propose(body, WRITE_S)
            except (StorageError, TimeoutError) as error:
                self.ledger.unknown += 1
                if not self._killed:
                    self.ledger.faults.append(f"a write at {node} failed before the kill: {error}")
                return
            self.ledger.acknowledged.add(digest(body))

    def _kill(self) -> None:
        """All three at once; what is acknowledged from now on was so before, and had only not been read."""
        self._killed = True
        for served in self._served.values():
            if served.pid is not None:
                os.kill(served.pid, signal.SIGKILL)

    async def _agree(self) -> None:
        """Write once more, since a new leader has to before it knows what was agreed on; wait until all have that."""
        key = digest(GOES_ON)
        try:
            await self._served[self._chance.choice(NODES)].propose(GOES_ON, AGREE_S)
            async with asyncio.timeout(AGREE_S):
                for it in self._served.values():
                    while key not in it.state:
                        await it.changed(it.version, 1.0)
        except (StorageError, TimeoutError) as error:
            self.ledger.faults.append(f"nothing is agreed on after the kill: {error}")

    def _compare(self) -> None:
        for node, served in self._served.items():
            lost = self.ledger.acknowledged - served.state.keys()
            again = sum(times > 1 for times in served.state.values())
            if lost or again:
                self.ledger.faults.append(f"{node}: {len(lost)} acknowledged writes are lost, {again} are there twice")
        if not self.ledger.compacted:
            self.ledger.faults.append("no log was compacted")


async def run(folder: Path, rounds: int, writes: int, seed: int) -> dict[str, object]:
    """All rounds; what came of them."""
    chance, survived, acknowledged, recovered = random.Random(seed), 0, 0, []
    for number in range(1, rounds + 1):
        place, began = folder / f"round-{number}", monotonic()
        ledger = await Round(place, chance).run(writes)
        survived += not ledger.faults
        acknowledged += len(ledger.acknowledged)
        recovered.append(ledger.recovered_s)
        line = {
            "round": number, "acknowledged": len(ledger.acknowledged), "unknown": ledger.unknown,
            "in_dump": ledger.compacted, "recovered_s": round(ledger.recovered_s, 2),
            "took_s": round(monotonic() - began, 1), "faults": ledger.faults,
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        if not ledger.faults:
            shutil.rmtree(place)
    spread = {"p50": round(median(recovered), 2), "max": round(max(recovered), 2)}
    told = {"seed": seed, "rounds": rounds, "survived": survived, "acknowledged": acknowledged}
    return {**told, "recovered_s": spread}


def main() -> int:
    """The command line; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(description="Three voters that are killed all at once.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", choices=("", "late"), default="")
    wish = parser.parse_args()
    wish.folder.mkdir(parents=True, exist_ok=True)
    if wish.planted:
        setattr(raft_child, "COMMAND", LATE_VOTER)  # noqa: B010 - mypy refuses to assign to a Final
    logging.disable(logging.ERROR)  # raft processes that were killed are told of
    found = asyncio.run(run(wish.folder, wish.rounds, wish.writes, wish.seed))
    print(json.dumps(found))
    return 0 if found["survived"] == wish.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
