"""A loop that is killed (kill -9), itself or a child of it, at seeded instants; what it had acknowledged must be there.

`python -m tests.e2e.loop_killer FOLDER [--kills N] [--seed S]`: a line of JSON per kill and one at the end; exit code 1
when anything was lost. With `--planted BUG` it ends at the first fault; `--victim` and `--instant` (several: in turn)
are drawn where they are not given. A life is a fork of this process, which has everything imported already; its jobs
are real child processes. After each kill of the loop a copy of its log is read and compared with the ledger, then the
next life begins: at once, or when the jobs of the last one have ended by themselves. Instants are drawn: a time, or
something acknowledged or reported and a moment after it.
"""

import argparse
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from managers.node_folder import NodeFolder
from ringrift_core.registry.model_files import digest_of
from tests.e2e import loop_process
from tests.e2e.loop_ledger import Ledger, state_on_disk, unsound

MARKER = "RINGRIFT_KILLED_LIFE"  # environment variable of the jobs of one life
UP_S = 120.0  # for a life to begin, what the last one left included
END_S = 90.0  # for jobs to end by themselves after the loop; importing torch is what takes longest
NOTICE_S = 60.0  # for the loop to say that a child was killed
PATIENCE_S = 25.0  # for an instant to come, where nothing else is said; then the kill comes without it
SETTLE_S = 300.0  # for the last life to make progress
QUIET_S = 4.0  # without a word: all there is has been counted and installed
MOMENT_S = 0.5  # after what was acknowledged, at most
AT_ONCE = 0.5  # share of the kills without such a moment
TIME, NEXT = "time", "next"  # instants: at a time, at the n-th thing that happens
INSTANTS = (
    *(TIME,) * 5, *(NEXT,) * 10,
    "up", "job_started of training", "shard report", "saved report", "saved report", "done report of training",
    "done report of gauntlet", "done report of canary", "candidate_added", "job_succeeded of gauntlet",
    "job_succeeded of canary", "champion_promoted", "champion_promoted", "champion_promoted", "halted", "resumed",
)  # fmt: skip
NEXT_MAX = 12
ORDERS = {"champion_promoted": ("crown",), "halted": ("halt",), "resumed": ("halt", "resume")}
VICTIMS = ("loop", "loop", "loop", "child", "child", "both", "frozen")  # frozen: the loop, while a child is stopped


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be killed and when; empty: drawn."""

    instant: str = ""
    victim: str = ""
    patience_s: float = PATIENCE_S


@dataclass(slots=True)
class Life:
    """One fork that is a loop."""

    number: int
    token: str
    pid: int
    orders: int | None  # file to write to
    answers: int  # file to read from
    text: bytearray = field(default_factory=bytearray)

    def hear(self, timeout_s: float) -> list[dict[str, Any]] | None:
        """The lines of the next moments; None when it has ended."""
        if not select.select([self.answers], [], [], max(0.0, timeout_s))[0]:
            return []
        chunk = os.read(self.answers, 1 << 16)
        *lines, rest = (bytes(self.text) + chunk).split(b"\n")
        self.text[:] = rest
        return [json.loads(line) for line in lines] if chunk else None

    def ask(self, order: str) -> None:
        """Give an order."""
        assert self.orders is not None
        os.write(self.orders, f"{order}\n".encode())

    def release(self) -> None:
        """Let it end in good order: no more orders come."""
        if self.orders is not None:
            os.close(self.orders)
            self.orders = None

    def children(self) -> list[psutil.Process]:
        """The living processes of its jobs."""
        return [process for process, marker in marked(self.token) if marker == f"{self.token}.{self.number}"]

    def ended(self) -> int:
        """Wait for its end; its status. Nothing of it is open here any more."""
        status = os.waitpid(self.pid, 0)[1]
        self.release()
        os.close(self.answers)
        return status


def marked(token: str) -> list[tuple[psutil.Process, str]]:
    """The living processes of the jobs of all lives, with their markers."""
    found = []
    for process in psutil.process_iter():
        try:
            marker = process.environ().get(MARKER, "")
            if marker.startswith(token) and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, marker))
        except (psutil.Error, OSError):
            continue
    return found


class Killer:
    """A folder, the lives of the loop in it, and what they have acknowledged."""

    def __init__(self, folder: Path, seed: int, planted: str) -> None:
        self.folder = NodeFolder(folder / "node")
        self.ledger = Ledger()
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}  # of everything that has happened
        self.things = 0  # that have happened since the last kill
        self._folder, self._planted = folder, planted
        self._rng = np.random.default_rng(seed)
        self._token = f"{os.getpid()}-{time.monotonic_ns()}"
        self._lives = 0
        self._pid: int | None = None  # of the loop that lives

    # ---- lives ----

    def born(self) -> Life:
        """A new life, once it is up; processes of earlier ones must be gone then."""
        number = self._lives = self._lives + 1
        modes = [self._planted, *(["ungated"] if number % 2 == 0 else []), *(["busy"] if number % 3 == 0 else [])]
        here, there = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(here[0], 0)
                os.dup2(there[1], 1)
                os.dup2(os.open(self._folder / f"life-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
                os.closerange(3, 256)
                os.environ[MARKER] = f"{self._token}.{number}"
                loop_process.main(self.folder.root, *modes)
                os._exit(0)
            finally:
                os._exit(1)
        self._pid = pid
        os.close(here[0])
        os.close(there[1])
        life = Life(number, self._token, pid, here[1], there[0])
        self.await_(life, lambda names: "up" in names, UP_S, "the loop did not begin")
        old = [(process.pid, marker) for process, marker in marked(self._token) if not marker.endswith(f".{number}")]
        if old:
            self.faults.append(f"life {number}: processes of earlier lives are still there: {old}")
        return life

    def await_(self, life: Life, done: Callable[[set[str]], bool], timeout_s: float, fault: str = "") -> bool:
        """Listen until something has happened; whether it did. A fault where it had to, and when the loop ends."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            lines = life.hear(left_s)
            if lines is None:
                raise AssertionError(f"life {life.number} ended by itself: see life-{life.number}.log")
            if done(self._noted(lines)):
                return True
        if fault:
            self.faults.append(f"life {life.number}: {fault} within {timeout_s:g} s")
        return False

    def _noted(self, lines: list[dict[str, Any]]) -> set[str]:
        names: set[str] = set()
        for line in lines:
            happened = self.ledger.note(line)
            self.things += not happened & {"progress report", "alive report"}
            names |= happened
            for name in happened:
                self.counts[name] = self.counts.get(name, 0) + 1
        return names

    # ---- kills ----

    def kill(self, life: Life, number: int, asked: Wish) -> Life:
        """Kill something at an instant; the life that goes on."""
        began, rng = time.monotonic(), self._rng
        instant, victim = asked.instant or str(rng.choice(INSTANTS)), asked.victim or str(rng.choice(VICTIMS))
        moment_s = 0.0 if rng.random() < AT_ONCE else float(rng.uniform(0, MOMENT_S))
        if instant == TIME:
            moment_s = float(rng.uniform(0, asked.patience_s / 2))
        self.things = 0
        came = self._instant(life, instant, asked.patience_s)
        self.await_(life, lambda _names: False, moment_s)
        children = life.children()
        child = children[int(rng.integers(len(children)))] if children else None
        victim = victim if child is not None else "loop"
        known = len(self.faults)
        if victim == "child" and child is not None:
            self._kill_child(life, child)
        else:
            self._kill_loop(life, child, victim)
            life = self._restarted()
        report = {
            "kill": number,
            "at": instant,
            "came": came,
            "moment_s": round(moment_s, 2),
            "victim": victim,
            "children": len(children),
            "seq": self.ledger.seq,
            "took_s": round(time.monotonic() - began, 1),
            "faults": self.faults[known:],
        }
        print(json.dumps(report), flush=True)
        return life

    def _instant(self, life: Life, instant: str, patience_s: float) -> bool:
        """Wait for an instant; whether it came."""
        if instant == TIME:
            return True
        if self.ledger.halted:
            self.ordered(life, "resume")
        if instant == NEXT:
            things = int(self._rng.integers(1, NEXT_MAX))
            return self.await_(life, lambda _names: self.things >= things, patience_s)
        for order in ORDERS.get(instant, ()):
            self.await_(life, lambda _names: False, float(self._rng.uniform(0, patience_s / 5)))
            self.ledger.asked = order
            life.ask(order)
        return instant == "up" or self.await_(life, lambda names: instant in names, patience_s)

    def ordered(self, life: Life, order: str) -> None:
        """Give an order and wait for the answer."""
        self.ledger.asked = order
        life.ask(order)
        self.await_(life, lambda names: "answer" in names, UP_S, f"no answer to {order}")

    def _kill_child(self, life: Life, child: psutil.Process) -> None:
        job = job_of(child)
        counted = job in self.ledger.running
        slay(child)
        if counted:
            fence = self.ledger.jobs[job]["fence"]
            self.await_(
                life,
                lambda _names: job not in self.ledger.running or self.ledger.jobs[job]["fence"] > fence,
                NOTICE_S,
                f"nothing was said of {job}, whose process was killed,",
            )

    def _kill_loop(self, life: Life, child: psutil.Process | None, victim: str) -> None:
        if child is not None and victim in {"both", "frozen"}:
            slay(child, signal.SIGSTOP if victim == "frozen" else signal.SIGKILL)
        os.kill(life.pid, signal.SIGKILL)
        while (lines := life.hear(UP_S)) is not None:
            self._noted(lines)
        self._ended(life)
        self.faults += self.ledger.lost(self.folder, state_on_disk(self.folder, self._folder / "aside"))
        if victim != "frozen" and self._rng.random() < 0.5:
            until = time.monotonic() + END_S
            while left := marked(self._token):
                if time.monotonic() > until:
                    self.faults.append(f"life {life.number}: {left} did not end by themselves within {END_S:g} s")
                    break
                time.sleep(0.1)

    def _restarted(self) -> Life:
        """The next life; whether a halt was in force is known from the disk, where its answer did not come."""
        if self.ledger.asked in {"halt", "resume"}:
            self.ledger.halted = state_on_disk(self.folder, self._folder / "aside").halt is not None
        self.ledger.asked = ""
        return self.born()

    # ---- the end ----

    def settled(self, life: Life) -> None:
        """Let the last life go on, come to rest and end in good order; compare everything."""
        if self.ledger.halted:
            self.ordered(life, "resume")
        progress = {"data_counted", "candidate_added", "job_succeeded"}
        self.await_(life, lambda names: bool(names & progress), SETTLE_S, "no progress after the last kill")
        self.ordered(life, "halt")
        while self.await_(life, bool, QUIET_S):
            pass
        self._installed()
        life.release()
        if not self.await_(life, lambda names: "down" in names, UP_S, "the loop did not end"):
            os.kill(life.pid, signal.SIGKILL)
        if (status := self._ended(life)) != 0:
            self.faults.append(f"the last life ended with status {status}")
        if left := marked(self._token):
            self.faults.append(f"processes are left at the end: {left}")
        state = state_on_disk(self.folder, self._folder / "aside")
        self.faults += self.ledger.lost(self.folder, state) + unsound(self.folder, state)

    def _installed(self) -> None:
        """Wait until the canonical file is that of the champion, which a halt does not hinder."""
        until = time.monotonic() + UP_S
        reigns = self.ledger.reigns
        path = self.folder.models / f"canonical_{loop_process.GAME}.pth"
        while reigns and digest_of(path) != reigns[max(reigns)]["sha256"] and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(QUIET_S)  # the stages in the index follow the file

    def _ended(self, life: Life) -> int:
        self._pid = None
        return life.ended()

    def close(self) -> None:
        """Leave nothing running, whatever has happened."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
        for process, _ in marked(self._token):
            slay(process)


def job_of(process: psutil.Process) -> str:
    """The job of a process, by its command line; empty when it has ended meanwhile."""
    try:
        return Path(process.cmdline()[-1]).parent.name
    except (psutil.Error, IndexError):
        return ""


def slay(process: psutil.Process, number: int = signal.SIGKILL) -> None:
    """Signal a process that may have ended."""
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def main() -> int:
    """All the kills."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", default="")
    parser.add_argument("--instant", nargs="*", default=[""])
    parser.add_argument("--victim", default="")
    parser.add_argument("--patience", type=float, default=PATIENCE_S)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    killer, began = Killer(asked.folder, asked.seed, asked.planted), time.monotonic()
    try:
        life = killer.born()
        for number in range(1, asked.kills + 1):
            life = killer.kill(
                life, number, Wish(asked.instant[number % len(asked.instant)], asked.victim, asked.patience)
            )
            if asked.planted and killer.faults:
                break
        else:
            killer.settled(life)
    finally:
        killer.close()
    happened = dict(sorted(killer.counts.items()))
    end = {"seed": asked.seed, "kills": asked.kills, "took_s": round(time.monotonic() - began), "counts": happened}
    print(json.dumps({**end, "champions": len(killer.ledger.reigns), "faults": killer.faults}), flush=True)
    return 1 if killer.faults else 0


if __name__ == "__main__":
    sys.exit(main())
