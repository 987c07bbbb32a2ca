"""A cluster of three that learns and is killed: nothing is lost, nothing is done twice, somebody leads again soon.

    python -m tests.e2e.cluster_killer FOLDER --kills 100 --seed 1

Real nodes with tiny settings play, train, judge and promote on cores that are busy all the time. Kills (kill -9 of
the leader, of the node that works on what the kill is aimed at, or of all) hit selfplay, trainings, gauntlets, the
moment between a verdict and the promotion, the moment after it, and any time. The schedule is drawn here, and what was
told and acknowledged is kept here, outside the cluster (cluster_ledger.py). A line of JSON per kill and one at the end;
exit code 1 for a fault. `--planted BUG` lets all nodes have a bug (cluster_node.py) and ends at the first fault.

Each promotion comes `--promotion-s` seconds later than it would: the moment between a verdict and its promotion is too
short to be hit otherwise. A kill counts as one between both when the verdict was told before the kill and the net was
promoted by a later office.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from config.yaml_file import Plain
from ringrift_core.registry.model_files import digest_of
from tests.e2e.cluster_ledger import TYPES, Ledger
from tests.e2e.cluster_node import PLANTED, PROMOTION_S
from tests.e2e.cluster_watch import Watch
from tests.e2e.easy_gate import H0
from tests.e2e.loop_killer import MARKER, marked
from tests.e2e.loop_process import GAME, TINY
from tests.mesh_cluster import SETTINGS, Answer, Cluster
from tests.tidy import ROOT

NAMES = "abc"
CHANGES: Mapping[str, Plain] = {
    "training.bootstrap_steps": 10,
    "training.steps": 10,
    "evaluation.anchors_max": 0,
    "evaluation.shadow_interval_seconds": 60,  # canaries take cores from what is waited for
    "exchange.interval_seconds": 1,
    "jobs.backoff_seconds": 3,  # a net is with a killed node alone at times, and who gives up waits for minutes
    "jobs.lease_seconds": 5,
    "promotion.random_win_rate": H0,
    "promotion.heuristic_win_rate": H0,
    "promotion.vs_previous_win_rate": H0,
}
ELSEWHERE = {"node.node_id", "node.disable_local_tasks", "log.snapshot_records"}  # said per node; not here
VICTIMS = ("leader",) * 16 + ("worker",) * 2 + ("all",) * 2
INSTANTS = (
    *("selfplay",) * 3, *("training",) * 4, *("gauntlet",) * 4, *("verdict",) * 5, *("promotion",) * 2, "part", "time",
)  # fmt: skip
MOMENT_S: Mapping[str, float] = {
    "selfplay": 2,
    "training": 4,
    "gauntlet": 4,
    "verdict": 0.3,
    "part": 1,
    "promotion": 0.5,
    "time": 5,
}
PATIENCE_S: Mapping[str, float] = {"verdict": 75, "promotion": 30}  # then the kill comes without it
PATIENCE_ELSE_S = 12.0
AWAY_S = 1.0  # at most, before a killed node is started again
STUCK_S = 60.0  # without a write is a fault
PAUSE_S = 0.03
UP_S = 90.0
GONE_S = 60.0  # for what a killed node has left to be gone, once it is back
ORDER_SHARE = 0.15  # of the kills before which somebody halts and resumes
REST_S = 90.0
PROGRESS_S = 180.0
WARM_S = 180.0  # for a first champion; then the kills begin anyhow
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed when, and what came of it."""

    at: str  # the instant that it was aimed at
    came: bool  # or else it was too late
    during: tuple[str, ...]  # kinds of jobs that ran
    victim: str
    killed: str  # nodes
    leader: str
    epoch: int
    waiting: tuple[int, str] | None  # seq of a verdict that nobody had acted on, as far as was told, and its net
    first_write_s: float | None  # since the kill of a leader, but not of all

    @property
    def led(self) -> bool:
        """Whether the leader was killed."""
        return self.leader in self.killed


class Killer:
    """Three nodes, a ledger, a schedule."""

    def __init__(self, folder: Path, seed: int, environment: Mapping[str, str]) -> None:
        said = {**TINY, **CHANGES}
        settings = [it for it in SETTINGS if it.partition("=")[0] not in {*said, *ELSEWHERE}]
        settings += [f"{name}={json.dumps(it)}" for name, it in said.items() if name not in ELSEWHERE]
        self.cluster = Cluster(folder, NAMES, settings, ("-m", "tests.e2e.cluster_node"))
        self.ledger, self.chance = Ledger(), random.Random(seed)
        self.kills: list[Kill] = []
        self.orders = 0  # acknowledged
        self.watch = Watch(self.cluster, self.ledger)
        self.cluster_id = ""
        self._folder, self._environment = folder, environment
        self._token = f"{os.getpid()}-{monotonic()}"
        self._lives = dict.fromkeys(NAMES, 0)
        self._epochs = dict.fromkeys(NAMES, 0)

    # ---- nodes ----

    def start(self, name: str) -> None:
        """A life of a node."""
        self._lives[name] += 1
        own = {MARKER: f"{self._token}.{name}.{self._lives[name]}"}
        path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
        environment = {**self._environment, **own, "PYTHONPATH": path}
        self.cluster.start(name, NAMES.replace(name, ""), environment=environment)

    def status(self, name: str) -> Answer:
        """How a node is; epochs never fall, and nobody else leads in them."""
        found = self.cluster.ask(name)
        epoch = found.get("epoch")
        if isinstance(epoch, int) and found.get("role") in {"leader", "follower"}:
            with self.watch.lock:
                if epoch < self._epochs[name]:
                    self.ledger.faults.append(f"{name} was in epoch {self._epochs[name]}, now in {epoch}")
                if found.get("leader_id") is not None:
                    self.ledger.in_office(str(found["leader_id"]), epoch)
            self._epochs[name] = max(self._epochs[name], epoch)
        return found

    def together(self, timeout_s: float = UP_S) -> list[Answer]:
        """Wait until all follow one leader and vote; their statuses."""
        until = monotonic() + timeout_s
        names = ("cluster_id", "leader_id", "epoch", "voters")
        while True:
            found = [self.status(name) for name in NAMES]
            same = {str([it.get(name) for name in names]) for it in found}
            leads = [it for it in found if it.get("role") == "leader" and it.get("leader_id") == it.get("node_id")]
            if len(same) == 1 and len(leads) == 1 and found[0].get("voters") == list(NAMES):
                break
            ended = [name for name, process in self.cluster.processes.items() if process.poll() is not None]
            if ended:
                raise AssertionError(f"{ended} ended by themselves: see {self._folder}/*.log")
            if monotonic() > until:
                self.ledger.faults.append(f"not together: {[self.cluster.short(it) for it in found]}")
                break
            sleep(0.1)
        self.cluster_id = self.cluster_id or str(found[0].get("cluster_id"))
        for it in found:
            if it.get("cluster_id") != self.cluster_id:
                self.ledger.faults.append(f"{it.get('node_id')} is in the cluster {it.get('cluster_id')}")
        return found

    def leader(self) -> str:
        """Who leads now, as most say."""
        said = [str(it["leader_id"]) for name in NAMES if (it := self.status(name)).get("leader_id") is not None]
        return statistics.mode(said) if said else NAMES[0]

    # ---- writes ----

    def order(self, name: str, order: str) -> bool:
        """Ask a node for an order; whether it was answered that it is written."""
        answer = self.cluster.ask(name, "POST", f"/admin/{order}", {})
        seq = answer.get("seq")
        if not isinstance(seq, int):
            return False
        with self.watch.lock:
            self.ledger.acknowledged = max(self.ledger.acknowledged, seq)
            self.orders += answer.get("changed") is True
        return True

    def ordered(self, order: str) -> None:
        """The same until somebody has done it."""
        until = monotonic() + STUCK_S
        while not self.order(self.chance.choice(NAMES), order):
            if monotonic() > until:
                self.ledger.faults.append(f"{order} was not written for {STUCK_S:g} s")
                return
            sleep(PAUSE_S)

    def first_write(self, victims: Sequence[str], began: float) -> float | None:
        """Ask all others at once, again and again, until the first one answers; how long after the kill that was."""
        done, times = threading.Event(), []

        def ask(name: str) -> None:
            while not done.is_set() and monotonic() - began < STUCK_S:
                if self.order(name, "resume"):
                    times.append(monotonic() - began)
                    done.set()
                sleep(PAUSE_S)

        threads = [threading.Thread(target=ask, args=(name,)) for name in NAMES if name not in victims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not times:
            self.ledger.faults.append(f"nothing was written for {STUCK_S:g} s after a kill of {victims}")
            return None
        return min(times)

    # ---- kills ----

    def kill(self, instant: str) -> None:
        """One kill at an instant, and all together again."""
        began, known = monotonic(), len(self.ledger.faults)
        if self.chance.random() < ORDER_SHARE:
            self.ordered("halt")
            self.ordered("resume")
        came, worker = self._instant(instant)
        sleep(self.chance.uniform(0, MOMENT_S[instant]))
        leader, victim = self.leader(), self.chance.choice(VICTIMS)
        victims = NAMES if victim == "all" else worker if victim == "worker" and worker else leader
        with self.watch.lock:
            waiting, during = self.ledger.waiting(), tuple(sorted({it.kind for it in self.ledger.active()}))
            epoch = max(self.ledger.offices, default=0)
        at = monotonic()
        for name in victims:
            self.cluster.processes[name].kill()
        for name in victims:
            self.cluster.kill(name)
        first = self.first_write(victims, at) if leader in victims and victims != NAMES else None
        sleep(self.chance.uniform(0, AWAY_S))
        for name in victims:
            self.start(name)
        self.together()
        self._orphans()
        first = first and round(first, 2)
        self.kills.append(Kill(instant, came, during, victim, victims, leader, epoch, waiting, first))
        self._say(monotonic() - began, known)

    def _say(self, took_s: float, known: int) -> None:
        """The line of the latest kill."""
        more = {
            "seq": self.ledger.acknowledged, "took_s": round(took_s, 1), "load": round(os.getloadavg()[0], 1),
            "faults": self.ledger.faults[known:],
        }  # fmt: skip
        print(json.dumps({"kill": len(self.kills), **asdict(self.kills[-1]), **more}), flush=True)

    def _instant(self, instant: str) -> tuple[bool, str]:
        """Wait for an instant; whether it came, and who works on it."""
        self.watch.forget()

        def verdict(_ledger: Ledger, news: list[dict[str, Any]]) -> bool:
            return any(it["type"] == "EVALUATION_COMPLETED" and it["payload"]["passed"] for it in news)

        def promotion(_ledger: Ledger, news: list[dict[str, Any]]) -> bool:
            return any(it["type"] == "MODEL_PROMOTED" for it in news)

        patience_s = PATIENCE_S.get(instant, PATIENCE_ELSE_S)
        whats = {"verdict": verdict, "promotion": promotion, "time": lambda *_: True}
        came = self.watch.until(whats.get(instant, lambda ledger, _: bool(ledger.active(instant))), patience_s)
        with self.watch.lock:
            at_work = self.ledger.active(instant) or self.ledger.active("gauntlet") or self.ledger.active()
            worker = at_work[-1].node if at_work else ""
        return came, worker

    def _orphans(self) -> None:
        """Nothing of earlier lives is left, once the nodes are back."""
        until = monotonic() + GONE_S
        lives = {f"{self._token}.{name}.{number}" for name, number in self._lives.items()}
        while old := [(process.pid, mark) for process, mark in marked(self._token) if mark not in lives]:
            if monotonic() > until:
                self.ledger.faults.append(f"processes of earlier lives are still there: {old}")
                return
            sleep(0.2)

    def failed(self, planted: str) -> bool:
        """Whether a fault is known already; where a bug is planted, one that is only a part of the history, too."""
        with self.watch.lock:
            return bool(self.ledger.unsound() if planted else self.ledger.faults)

    # ---- the end ----

    def settled(self) -> None:
        """Let the cluster make progress, come to rest, and compare everything."""
        self.ordered("resume")
        self.watch.forget()
        if not self.watch.until(learns, PROGRESS_S):
            self.ledger.faults.append(f"nothing was learned within {PROGRESS_S:g} s after the last kill")
        self.ordered("halt")
        found = self._at_rest()
        for it in found:
            if int(str(it.get("seq"))) < self.ledger.acknowledged:
                self.ledger.faults.append(f"{it['node_id']} knows seq {it['seq']}, {self.ledger.acknowledged} was told")
        kept = {name: self._kept(name) for name in NAMES}
        with self.watch.lock:
            for name, (jobs, rows, since) in kept.items():
                self.ledger.faults += self.ledger.forgotten(name, rows, since)
                self.ledger.faults += self.ledger.differs(name, jobs)
            if (left := self.ledger.waiting()) is not None:
                self.ledger.faults.append(f"{left[1]} has passed at {left[0]}, and nobody promotes it")
        self._champions()

    def _at_rest(self) -> list[Answer]:
        """Wait until nobody has a job, nothing happens any more, and all know the same."""
        until, quiet = monotonic() + REST_S, 0
        before: list[object] = []
        while True:
            found = [self.status(name) for name in NAMES]
            seqs = [it.get("seq") for it in found]
            quiet = quiet + 1 if len(set(seqs)) == 1 and seqs == before and not any(map(at_work, found)) else 0
            if quiet > 5:
                return found
            if monotonic() > until:
                self.ledger.faults.append(f"no rest: {[self.cluster.short(it) for it in found]}")
                return found
            before = list(seqs)
            sleep(0.5)

    def _kept(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
        """The jobs of a node, all events that it remembers, and the seq behind which those are all."""
        rows: list[dict[str, Any]] = []
        cursor, gap = "0", False
        while True:
            page: dict[str, Any] = self.cluster.ask(name, "GET", f"/events?since={cursor}&limit={PAGE}")
            rows += page["events"]
            gap, cursor = gap or page["gap"], page["next"]
            if len(page["events"]) < PAGE:
                break
        with self.watch.lock:
            for row in rows:
                if row["type"] in TYPES:
                    self.ledger.note(name, row)
            known = tuple(self.ledger.jobs)
        jobs = {job: self.cluster.ask(name, "GET", f"/jobs/{job}") for job in known}
        return {job: it for job, it in jobs.items() if "status" in it}, rows, rows[0]["seq"] if gap and rows else 0

    def _champions(self) -> None:
        """All nodes have the champion of the latest reign, in the state and as a file."""
        until, reigns = monotonic() + UP_S, self.ledger.reigns
        champion = reigns[max(reigns)] if reigns else None
        while True:
            found = {}
            for name in NAMES:
                champions: Any = self.status(name).get("champions") or {}
                path = self._folder / name / "models" / f"canonical_{GAME}.pth"
                found[name] = (champions.get(GAME, {}).get("sha256"), digest_of(path))
            if set(found.values()) == {(champion, champion)}:
                return
            if monotonic() > until:
                self.ledger.faults.append(f"the champion is {champion}; in the state and as files: {found}")
                return
            sleep(0.5)

    def close(self) -> None:
        """End all, and see that nothing is left."""
        self.cluster.end()
        if left := marked(self._token):
            self.ledger.faults.append(f"processes are left at the end: {left}")
            for process, _ in left:
                process.kill()


def learns(_ledger: Ledger, news: Sequence[dict[str, Any]]) -> bool:
    """Whether a job has begun that brings the cluster on."""
    return any(it["type"] == "WORK_STARTED" and it["payload"]["work_type"] in {"training", "gauntlet"} for it in news)


def at_work(status: Mapping[str, Any]) -> bool:
    """Whether somebody has a job, as far as this node knows; jobs that are ended take a while to be given back."""
    return any(job["status"] in {"leased", "running"} for job in status.get("jobs", ()))


def run(wish: argparse.Namespace) -> Answer:
    """Kill as often as is wished; what came of it."""
    environment = {PLANTED: wish.planted, PROMOTION_S: str(wish.promotion_s)}
    killer, began = Killer(wish.folder, wish.seed, environment), monotonic()
    over = began + 60 * wish.minutes
    try:
        with killer.watch:
            for name in NAMES:
                killer.start(name)
            killer.together()
            killer.watch.until(lambda ledger, _: ledger.count("MODEL_PROMOTED") > 0, WARM_S)
            while len(killer.kills) < wish.kills and monotonic() < over and not killer.failed(wish.planted):
                killer.kill(killer.chance.choice(wish.instant))
            killer.settled()
    finally:
        killer.close()
    told = {"seed": wish.seed, "took_s": round(monotonic() - began), "orders": killer.orders}
    return {**told, **figures(killer.kills, killer.ledger)}


def figures(kills: Sequence[Kill], ledger: Ledger) -> Answer:
    """What the kills have shown."""
    led = [it for it in kills if it.led]
    times = sorted(it.first_write_s for it in led if it.first_write_s is not None)
    between = [it for it in led if it.waiting is not None and ledger.inherited(it.waiting[1], it.epoch)]
    first = {"kills": len(times), "p50": statistics.median(times), "max": times[-1]} if times else {}
    return {
        "kills": len(kills), "of_leaders": len(led), "nodes_killed": sum(len(it.killed) for it in kills),
        "at": Counter(it.at if it.came else "none" for it in kills), "victims": Counter(it.victim for it in kills),
        "leaders_during": Counter(kind for it in led for kind in it.during),
        "leaders_between_verdict_and_promotion": len(between),
        "first_write_s": first, "acknowledged_seq": ledger.acknowledged, "events": len(ledger.events),
        "jobs": ledger.ends(), "epochs": len(ledger.offices), "trainings": ledger.count("TRAINING_COMPLETED"),
        "gauntlets": ledger.count("EVALUATION_COMPLETED"), "champions": ledger.count("MODEL_PROMOTED"),
        "faults": ledger.unsound(),
    }  # fmt: skip


def main() -> int:
    """The command line; exit code 1 for a fault."""
    parser = argparse.ArgumentParser(description="A cluster of three that learns and whose nodes are killed.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=180.0, help="after these no kill begins")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", default="")
    parser.add_argument("--promotion-s", type=float, default=1.0, help="by which promotions come later")
    parser.add_argument("--instant", nargs="*", default=INSTANTS, help="when to kill; several: drawn")
    wish = parser.parse_args()
    wish.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nodes are ended, whoever ends this
    found = run(wish)
    print(json.dumps(found))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
