"""What becomes of the games while nobody agrees on anything: the raft processes of three nodes stand still for minutes.

python -m tests.e2e.stopped_raft FOLDER --minutes 10

Three nodes play, a core each. Decisions are counted before, while and after their raft processes are stopped; games end
in waves. Workers must play on at 95 % of their pace or more, no job may be lost or begun anew, and when the raft
processes go on every shard must come to lie on two nodes and be counted in the state. Of one node the process that
plays is killed as soon as nobody leads: it must play on by itself, and its job costs one attempt.
"""

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from time import monotonic, sleep, thread_time

import psutil

from managers.node_folder import NodeFolder
from ringrift_core.selfplay.shard import read_manifest
from ringrift_core.selfplay.shard_folder import shards_in
from tests.e2e.counting_node import COUNTS, JOB, counts_in
from tests.mesh_cluster import Answer, Cluster, agreed

NAMES = "abc"
GAME = "hex8_2p"
BEFORE_SHARE = 0.5  # of the minutes, measured before and again after
LEAST_SHARE = 0.95  # of the decisions that are made otherwise
POLL_S = 1.0
LOOP = 50_000  # squares, of the work that is always the same
WARM_S = 20.0  # for jobs to load their kernels
DELIVERED_S = 120.0  # for shards to lie on two nodes and be counted, after the raft processes go on
KILLED = "c"  # whose playing process is killed
SETTINGS = (
    f"games=[{GAME}]", "node.cores=1", "node.disk_floor_gb=0", "node.metrics_port=0", "node.health_port=0",
    "selfplay.bootstrap_games=10000000", "selfplay.bootstrap_sims=2", "jobs.stop_seconds=5",
)  # fmt: skip


@dataclass(slots=True)
class Pace:
    """What all jobs have done and had of the processor over some time, whatever job they are of."""

    decisions: int = 0
    games: int = 0
    cpu_s: float = 0.0
    waited_s: float = 0.0  # for the processor, which others had
    wall_s: float = 0.0
    loops: int = 0  # of work that is always the same, and what it took: how fast the machine was meanwhile
    loops_s: float = 0.0
    _counts: dict[str, Mapping[str, int]] | None = None
    _times: dict[int, tuple[float, float]] | None = None

    def count(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Take what each life of a job has done; one that is new has done it since the last look."""
        before = self._counts if self._counts is not None else counts
        for name, now in counts.items():
            then = before.get(name, {})
            self.decisions += now["decisions"] - then.get("decisions", 0)
            self.games += now["games"] - then.get("games", 0)
        self._counts = dict(counts)

    def run(self, processes: Sequence[psutil.Process]) -> None:
        """Take what the processes of jobs have had of the processor; one that is new began after the last look."""
        found = {it.pid: times for it in processes if (times := scheduled(it.pid)) is not None}
        before = self._times if self._times is not None else found
        for pid, (cpu_s, waited_s) in found.items():
            then = before.get(pid, (0.0, 0.0))
            self.cpu_s += cpu_s - then[0]
            self.waited_s += waited_s - then[1]
        self._times = found

    def weigh(self) -> None:
        """Do a little work that is always the same."""
        began = thread_time()
        sum(number * number for number in range(LOOP))
        self.loops_s += thread_time() - began
        self.loops += 1

    @property
    def busy(self) -> float:
        """Cores that the jobs had, or would have had if nobody else had had them."""
        return (self.cpu_s + self.waited_s) / self.wall_s

    @property
    def speed(self) -> float:
        """Of the machine: loops per processor second."""
        return self.loops / self.loops_s

    @property
    def pace(self) -> float:
        """Decisions in the time of a loop, on a machine without others."""
        return self.busy * self.decisions / self.cpu_s / self.speed

    @property
    def answer(self) -> Answer:
        """As JSON."""
        shown = {
            "decisions_per_s": self.decisions / self.wall_s, "games_per_s": self.games / self.wall_s,
            "decisions_per_cpu_s": self.decisions / self.cpu_s, "cores": self.cpu_s / self.wall_s,
            "busy": self.busy, "speed": self.speed, "pace": self.pace,
        }  # fmt: skip
        return {name: round(value, 4) for name, value in shown.items()}

    @classmethod
    def both(cls, one: "Pace", other: "Pace") -> "Pace":
        """Two times as one."""
        names = [it.name for it in fields(cls) if not it.name.startswith("_")]
        return cls(**{name: getattr(one, name) + getattr(other, name) for name in names})


def scheduled(pid: int) -> tuple[float, float] | None:
    """Seconds that the first thread of a process, of which a job has one, has run and has waited for a core."""
    with suppress(OSError):
        ran_ns, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
        return int(ran_ns) / 1e9, int(waited_ns) / 1e9
    return None


class Stopped:
    """One run."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.counts = cluster.folder / "counts"
        self.faults: list[str] = []

    def measured(self, minutes: float) -> Pace:
        """The pace of all nodes over so long."""
        pace, began = Pace(), monotonic()
        while monotonic() - began < 60 * minutes:
            pace.count(counts_in(self.counts))
            pace.run([it for name in NAMES for it in self.processes(name, JOB)])
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
    cluster = Cluster(folder, NAMES, SETTINGS, ("-m", "tests.e2e.counting_node"))
    stopped = Stopped(cluster)
    stopped.counts.mkdir()
    try:
        for name in NAMES:
            cluster.start(name, NAMES.replace(name, ""), environment={COUNTS: str(stopped.counts)})
        cluster.until(playing)
        sleep(WARM_S)
        before = stopped.measured(BEFORE_SHARE * minutes)
        jobs, made = stopped.jobs(), set(stopped.shards())
        processes = stopped.raft_processes()
        assert len(processes) == len(NAMES), processes
        try:
            for process in processes:
                process.send_signal(signal.SIGSTOP)
            for process in stopped.processes(KILLED, JOB):
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
    shares = {"busy": during.busy / otherwise.busy, "pace": during.pace / otherwise.pace}
    for name, share in shares.items():
        if share < LEAST_SHARE:
            stopped.faults.append(f"the workers went on at {share:.1%} of their {name}")
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
