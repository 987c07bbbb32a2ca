"""What becomes of the games while nobody agrees on anything: the raft processes of three nodes stand still for minutes.

python -m tests.e2e.stopped_raft FOLDER --minutes 10

Three nodes play, a core each. Games are counted before, while and after their raft processes are stopped. Workers must
play on at 95 % of their pace or more, no job may be lost or begun anew, and when the raft processes go on every shard
must come to lie on two nodes and be counted in the state. Of one node the process that plays is killed as soon as
nobody leads: it must play on by itself, and its job costs one attempt.
"""

import argparse
import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep, thread_time

import psutil

from managers.node_folder import NodeFolder
from ringrift_core.selfplay.shard import read_manifest
from ringrift_core.selfplay.shard_folder import shards_in
from tests.mesh_cluster import Answer, Cluster, agreed

NAMES = "abc"
GAME = "hex8_2p"
BEFORE_SHARE = 0.5  # of the minutes, measured before and again after
LEAST_SHARE = 0.95  # of the games that are played otherwise
POLL_S = 1.0
LOOP = 50_000  # squares, of the work that is always the same
WARM_S = 20.0  # for jobs to load their kernels
DELIVERED_S = 120.0  # for shards to lie on two nodes and be counted, after the raft processes go on
PLAYED = re.compile(r"(\d+) games")
KILLED = "c"  # whose playing process is killed
SETTINGS = (
    f"games=[{GAME}]", "node.cores=1", "node.disk_floor_gb=0", "node.metrics_port=0", "node.health_port=0",
    "selfplay.bootstrap_games=10000000", "selfplay.bootstrap_sims=2", "jobs.stop_seconds=5",
)  # fmt: skip


@dataclass(slots=True)
class Pace:
    """Games and processor seconds of all jobs since a moment, whatever job they are of."""

    games: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    loops: int = 0  # of work that is always the same, and what it took: how fast the machine was meanwhile
    loops_s: float = 0.0
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _cpu_s: dict[int, float] = field(default_factory=dict)

    def look(self, node: str, status: Answer) -> None:
        """Take what the jobs of a node say of themselves; what begins anew counts from nothing."""
        for row in rows_of(status, "jobs"):
            if row["node"] == node and (found := PLAYED.search(str(row["progress"]))):
                self._take((node, str(row["id"])), int(found[1]))
        for row in rows_of(status, "waits"):
            if "plays on by itself" in str(row["why"]) and (found := PLAYED.search(str(row["why"]))):
                self._take((node, ""), int(found[1]))

    def _take(self, who: tuple[str, str], games: int) -> None:
        before = self._seen.get(who, games if who[1] else 0)
        self.games += games - before if games >= before else games
        self._seen[who] = games

    def run(self, processes: Sequence[psutil.Process]) -> None:
        """Take what the processes of jobs have had of the processor; one that is new began after the last look."""
        first = not self._cpu_s
        for process in processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                cpu_s = times.user + times.system
                self.cpu_s += cpu_s - self._cpu_s.get(process.pid, cpu_s if first else 0.0)
                self._cpu_s[process.pid] = cpu_s

    def weigh(self) -> None:
        """Do a little work that is always the same."""
        began = thread_time()
        sum(number * number for number in range(LOOP))
        self.loops_s += thread_time() - began
        self.loops += 1

    @property
    def cores(self) -> float:
        """Cores that the jobs had."""
        return self.cpu_s / self.wall_s

    @property
    def speed(self) -> float:
        """Of the machine: loops per processor second."""
        return self.loops / self.loops_s

    @property
    def games_per_s(self) -> float:
        """On this machine as fast as it was."""
        return self.games / self.wall_s

    @property
    def answer(self) -> Answer:
        """As JSON."""
        shown = {"games_per_s": self.games_per_s, "cores": self.cores, "speed": self.speed}
        return {name: round(value, 3) for name, value in shown.items()}

    @classmethod
    def both(cls, one: "Pace", other: "Pace") -> "Pace":
        """Two times as one."""
        names = ("games", "cpu_s", "wall_s", "loops", "loops_s")
        return cls(**{name: getattr(one, name) + getattr(other, name) for name in names})


class Stopped:
    """One run."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.faults: list[str] = []

    def measured(self, minutes: float) -> Pace:
        """The pace of all nodes over so long."""
        pace, began = Pace(), monotonic()
        while monotonic() - began < 60 * minutes:
            for name in NAMES:
                pace.look(name, self.cluster.ask(name))
            pace.run([it for name in NAMES for it in self.processes(name, "ringrift_core.jobs")])
            pace.weigh()
            sleep(POLL_S)
        pace.wall_s = monotonic() - began
        return pace

    def raft_processes(self) -> list[psutil.Process]:
        """Those of all nodes."""
        return [it for name in NAMES for it in self.processes(name, "p2p.consensus")]

    def processes(self, name: str, module: str) -> list[psutil.Process]:
        """Those of a node that run a module."""
        found = []
        for process in psutil.Process(self.cluster.processes[name].pid).children(recursive=True):
            with suppress(psutil.Error):
                if module in process.cmdline():
                    found.append(process)
        return found

    def jobs(self) -> Mapping[str, Answer]:
        """The jobs that run, by name, with what has happened to them."""
        rows = rows_of(self.cluster.ask("a", path="/jobs?status=active&kind=selfplay"), "jobs")
        details = [self.cluster.ask("a", path=f"/jobs/{row['id']}") for row in rows]
        names = ("status", "node", "fence", "attempts", "losses")
        return {str(it["id"]): {name: it[name] for name in names} for it in details}

    def shards(self) -> Mapping[str, int]:
        """The shards that were made, by name, with their games."""
        found: dict[str, int] = {}
        for name in NAMES:
            for path in shards_in(NodeFolder(self.cluster.folder / name).shards(GAME)):
                found[path.name] = read_manifest(path).counts.games
        return found

    def places(self) -> Mapping[str, int]:
        """On how many nodes each shard lies."""
        found: dict[str, int] = {}
        for name in NAMES:
            folder = NodeFolder(self.cluster.folder / name)
            here = {
                path.name for place in (folder.shards(GAME), folder.fetched_shards(GAME)) for path in shards_in(place)
            }
            for shard in here:
                found[shard] = found.get(shard, 0) + 1
        return found

    def counted(self) -> int:
        """The games that the state knows."""
        return sum(int(str(it["games"])) for it in rows_of(self.cluster.ask("a"), "games"))

    def delivered(self, shards: Mapping[str, int]) -> float | None:
        """Seconds until all those lie on two nodes and are counted; None when that takes too long."""
        began = monotonic()
        while monotonic() - began < DELIVERED_S:
            places = self.places()
            if all(places.get(name, 0) >= 2 for name in shards) and self.counted() >= sum(shards.values()):
                return monotonic() - began
            sleep(POLL_S)
        places = self.places()
        alone = [name for name in shards if places.get(name, 0) < 2]
        self.faults.append(
            f"{len(alone)} shards lie on one node; {self.counted()} games of {sum(shards.values())} count"
        )
        return None


def playing(found: Sequence[Answer]) -> bool:
    """Whether three vote and each node plays."""
    nodes = {it["node"] for it in rows_of(found[0], "jobs")}
    return agreed(found) and found[0]["voters"] == list(NAMES) and nodes == set(NAMES)


def rows_of(answer: Answer, name: str) -> list[Answer]:
    """A list of an answer; none where it has none."""
    rows = answer.get(name, [])
    assert isinstance(rows, list)
    return rows


def run(folder: Path, minutes: float) -> Answer:
    """Play, stop the raft processes, let them go on; what came of it."""
    cluster = Cluster(folder, NAMES, SETTINGS)
    stopped = Stopped(cluster)
    try:
        for name in NAMES:
            cluster.start(name, NAMES.replace(name, ""))
        cluster.until(playing)
        sleep(WARM_S)
        before = stopped.measured(BEFORE_SHARE * minutes)
        jobs, made = stopped.jobs(), set(stopped.shards())
        processes = stopped.raft_processes()
        assert len(processes) == len(NAMES), processes
        try:
            for process in processes:
                process.send_signal(signal.SIGSTOP)
            for process in stopped.processes(KILLED, "ringrift_core.jobs"):
                process.kill()
            during = stopped.measured(minutes)
            refused = cluster.ask("a", "POST", "/admin/halt", {})
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)
        went_on = monotonic()
        shards = stopped.shards()
        cluster.until(playing)
        agreed_s = monotonic() - went_on
        delivered_s = stopped.delivered(shards)
        after = stopped.measured(BEFORE_SHARE * minutes)
        return judged(stopped, before, during, after) | {
            "refused": refused,
            "shards_made_meanwhile": len(set(shards) - made),
            "agreed_s": round(agreed_s, 1),
            "delivered_s": None if delivered_s is None else round(delivered_s, 1),
            "jobs_before": jobs,
            "jobs_after": stopped.jobs(),
            "faults": [*stopped.faults, *changed(jobs, stopped.jobs())],
        }
    finally:
        cluster.end()


def judged(stopped: Stopped, before: Pace, during: Pace, after: Pace) -> Answer:
    """How fast it was; slower than it may be is a fault. Others work on this machine: its speed is taken out."""
    otherwise = Pace.both(before, after)
    shares = {
        "games_per_s": during.games_per_s / otherwise.games_per_s,
        "cores": during.cores / otherwise.cores,
        "games": during.games_per_s / otherwise.games_per_s * otherwise.speed / during.speed,
    }
    for name in ("cores", "games"):
        if shares[name] < LEAST_SHARE:
            stopped.faults.append(f"the workers went on at {shares[name]:.1%} of their {name}")
    return {
        "before": before.answer,
        "during": during.answer,
        "after": after.answer,
        "shares": {name: round(value, 3) for name, value in shares.items()},
    }


def changed(before: Mapping[str, Answer], after: Mapping[str, Answer]) -> list[str]:
    """Jobs that were lost, given up or begun anew; the killed one must have failed once."""
    found = []
    for name, it in before.items():
        now = after.get(name, {})
        failed = it["node"] == KILLED and (now.get("attempts"), now.get("losses")) == (1, it["losses"])
        if now != it and not failed:
            found.append(f"{name}: {it}, now {now}")
    return found


def main() -> int:
    """The command line; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(description="Three nodes play while their raft processes stand still.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    wish = parser.parse_args()
    wish.folder.mkdir(parents=True, exist_ok=True)
    found = run(wish.folder, wish.minutes)
    print(json.dumps(found))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
