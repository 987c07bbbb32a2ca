"""Nodes that are told different lists of peers: in whatever order they start, no two lead one cluster.

python -m tests.e2e.peer_lists FOLDER

Each list is started in several orders, as real processes that do no jobs. Every node is asked all the while: its
cluster id must never change, no two of them may ever lead one cluster in the same epoch, and at the end each is in a
cluster with a leader or says what it waits for.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from time import monotonic, sleep

from tests.mesh_cluster import Answer, Cluster

LISTS: Mapping[str, Mapping[str, str]] = {
    "disjoint": {"a": "b", "b": "a", "c": "d", "d": "c"},
    "chain": {"a": "bc", "b": "acd", "c": "d", "d": "cb"},
    "one way": {"a": "b", "b": "c", "c": "d", "d": "a"},
    "star": {"a": "d", "b": "d", "c": "d", "d": "abc"},
}
APART_S = (0.0, 3.0)  # between two starts
SETTLED_S = 6.0  # in which nothing changes any more
LONGEST_S = 90.0
POLL_S = 0.2


class Watch:
    """What the nodes of one cluster, or several, have ever said."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.ids: dict[str, set[str]] = {}  # that a node has led, or lived in, by node
        self.leaders: dict[tuple[str, int], set[str]] = {}  # by cluster and epoch
        self.latest: dict[str, Answer] = {}

    def look(self) -> None:
        """Ask all of them once."""
        for name in self.cluster.processes:
            status = self.cluster.ask(name)
            if not status:
                continue
            self.latest[name] = status
            if status.get("status") == "joining" or not status.get("cluster_id"):
                continue
            cluster_id = str(status["cluster_id"])
            self.ids.setdefault(name, set()).add(cluster_id)
            if status["role"] == "leader":
                self.leaders.setdefault((cluster_id, int(str(status["epoch"]))), set()).add(name)

    def settle(self, least_s: float = SETTLED_S) -> None:
        """Ask until nothing has changed for a while."""
        began = quiet = monotonic()
        before: object = None
        while monotonic() - quiet < least_s and monotonic() - began < LONGEST_S:
            self.look()
            now = {name: stand(it) for name, it in self.latest.items()}
            if now != before or set(now) != set(self.cluster.processes):
                before, quiet = now, monotonic()
            sleep(POLL_S)

    def faults(self) -> list[str]:
        """What must never be."""
        found = [f"{node} was in {sorted(ids)}" for node, ids in self.ids.items() if len(ids) > 1]
        found += [f"{sorted(nodes)} led {where}" for where, nodes in self.leaders.items() if len(nodes) > 1]
        for name, status in self.latest.items():
            led = status.get("leader_id") or status.get("waits_for")
            if not led:
                found.append(f"{name} is led by nobody and waits for nothing: {self.cluster.short(status)}")
        return found

    def clusters(self) -> dict[str, list[str]]:
        """Who is in which cluster."""
        found: dict[str, list[str]] = {}
        for name, ids in sorted(self.ids.items()):
            for cluster_id in ids:
                found.setdefault(cluster_id, []).append(name)
        return found


def stand(status: Answer) -> tuple[object, ...]:
    """Where a node stands."""
    return tuple(str(status.get(name)) for name in ("cluster_id", "role", "leader_id", "epoch", "voters"))


def start(watch: Watch, lists: Mapping[str, str], order: Iterable[str], apart_s: float) -> None:
    """Start nodes with lists of peers, one after the other."""
    for name in order:
        watch.cluster.start(name, lists[name])
        until = monotonic() + apart_s
        while monotonic() < until:
            watch.look()
            sleep(POLL_S)


def orders(names: Sequence[str], every: int) -> list[tuple[str, ...]]:
    """Each `every`-th order of some names."""
    return list(permutations(names))[::every]


def run(folder: Path, every: int) -> Iterable[Answer]:
    """What came of each list and order."""
    for kind, lists in LISTS.items():
        for number, order in enumerate(orders(sorted(lists), every)):
            place = folder / f"{kind.replace(' ', '-')}-{''.join(order)}"
            place.mkdir(parents=True)
            cluster = Cluster(place, "".join(sorted(lists)))
            watch = Watch(cluster)
            try:
                start(watch, lists, order, APART_S[number % len(APART_S)])
                watch.settle()
                yield {
                    "lists": kind,
                    "order": "".join(order),
                    "clusters": sorted("".join(names) for names in watch.clusters().values()),
                    "waits": {name: it["waits_for"] for name, it in watch.latest.items() if "waits_for" in it},
                    "faults": watch.faults(),
                }
            finally:
                cluster.end()
            shutil.rmtree(place)


def main() -> int:
    """The command line; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(description="Nodes that are told different lists of peers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=4, help="of the 24 orders of each list")
    wish = parser.parse_args()
    wish.folder.mkdir(parents=True, exist_ok=True)
    faults = 0
    for found in run(wish.folder, wish.every):
        print(json.dumps(found), flush=True)
        faults += bool(found["faults"])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
