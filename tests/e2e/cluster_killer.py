"""A cluster of three whose nodes are killed: what was acknowledged stays, and somebody leads again soon.

python -m tests.e2e.cluster_killer FOLDER --kills 100 --seed 1

The schedule is drawn here, and what was acknowledged is written down here, outside the cluster. Nodes run no jobs: what
is written are orders, asked of any node. After each round all nodes must be of one cluster, agree, and have every order
that was acknowledged; epochs must never fall.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

from tests.mesh_cluster import Answer, Cluster, agreed

NAMES = "abc"
LEADER_SHARE = 0.6  # of the kills that hit whoever leads
ALL_SHARE = 0.15  # of the rounds in which all are killed
STUCK_S = 60.0  # without a write is a fault
PAUSE_S = 0.05


class Round:
    """What happens between two kills, and what came of it."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster = cluster
        self.chance = chance
        self.acknowledged = 0  # the highest seq that was answered
        self.refused = 0
        self.first_writes_s: list[float] = []  # from a kill to the first write of the others
        self.epoch = 0
        self.faults: list[str] = []

    def write(self) -> bool:
        """Ask any node that lives for an order; whether it was answered that it is written."""
        node = self.chance.choice(sorted(self.cluster.processes))
        order = self.chance.choice(("halt", "resume"))
        answer = self.cluster.ask(node, "POST", f"/admin/{order}", {})
        seq = answer.get("seq")
        if not isinstance(seq, int):
            self.refused += 1
            return False
        self.acknowledged = max(self.acknowledged, seq)
        return True

    def kill(self) -> tuple[str, ...]:
        """Kill the leader, another one, or all; who that was."""
        statuses = [self.cluster.ask(name) for name in sorted(self.cluster.processes)]
        leader = next((str(it["node_id"]) for it in statuses if it.get("role") == "leader"), None)
        victims: tuple[str, ...] = (self.chance.choice(NAMES),)
        if leader is not None and self.chance.random() < LEADER_SHARE:
            victims = (leader,)
        if self.chance.random() < ALL_SHARE:
            victims = tuple(NAMES)
        for name in victims:
            self.cluster.kill(name)
        return victims

    def first_write(self) -> None:
        """Wait until the others write again."""
        began = monotonic()
        while not self.write():
            if monotonic() - began > STUCK_S:
                self.faults.append(f"nothing was written for {STUCK_S:g} s")
                return
            sleep(PAUSE_S)
        self.first_writes_s.append(monotonic() - began)

    def compare(self, cluster_id: str) -> None:
        """Wait until all agree, then compare with what was written down."""
        for found in self.cluster.until(three):
            if found["cluster_id"] != cluster_id:
                self.faults.append(f"{found['node_id']} is in the cluster {found['cluster_id']}")
            if int(str(found["seq"])) < self.acknowledged:
                self.faults.append(f"{found['node_id']} knows seq {found['seq']}, {self.acknowledged} was acknowledged")
            if int(str(found["epoch"])) < self.epoch:
                self.faults.append(f"the epoch fell from {self.epoch} to {found['epoch']}")
            self.epoch = max(self.epoch, int(str(found["epoch"])))


def three(found: Sequence[Answer]) -> bool:
    """Whether all agree, and vote."""
    return agreed(found) and found[0]["voters"] == list(NAMES)


def run(folder: Path, kills: int, seed: int) -> Answer:
    """Kill that often; what came of it."""
    cluster, chance = Cluster(folder, NAMES), random.Random(seed)
    rounds = Round(cluster, chance)
    try:
        for name in NAMES:
            cluster.start(name, NAMES.replace(name, ""))
        cluster_id = str(cluster.until(three)[0]["cluster_id"])
        done = 0
        while done < kills and not rounds.faults:
            for _ in range(chance.randint(1, 4)):
                rounds.write()
            victims = rounds.kill()
            done += len(victims)
            if len(victims) < len(NAMES):
                rounds.first_write()
            sleep(chance.random())
            for name in victims:
                cluster.start(name, NAMES.replace(name, ""))
            rounds.compare(cluster_id)
            print(json.dumps({"kills": done, "killed": victims, "acknowledged": rounds.acknowledged}), flush=True)
    finally:
        cluster.end()
    times = rounds.first_writes_s
    return {
        "seed": seed,
        "kills": done,
        "acknowledged": rounds.acknowledged,
        "refused": rounds.refused,
        "first_write_s": {"median": round(statistics.median(times), 2), "max": round(max(times), 2)} if times else {},
        "faults": rounds.faults,
    }


def main() -> int:
    """The command line; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(description="A cluster of three whose nodes are killed.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wish = parser.parse_args()
    wish.folder.mkdir(parents=True, exist_ok=True)
    found = run(wish.folder, wish.kills, wish.seed)
    print(json.dumps(found))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
