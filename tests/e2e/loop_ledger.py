"""What a loop has acknowledged, kept outside it, and how that is compared with what stands on its disk."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState
from managers.state.durable_log import DurableLog
from managers.state.jobs import JobStatus
from managers.state.log_files import DiskFiles
from managers.state.machine import StateMachine
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.model_files import digest_of
from ringrift_core.selfplay.check import check_folder
from ringrift_core.selfplay.shard_index import ShardIndex
from tests.e2e.loop_process import GAME, NODE, Fact

UNENDED = {JobStatus.QUEUED, JobStatus.LEASED, JobStatus.RUNNING}


@dataclass(slots=True)
class Ledger:
    """Acknowledged facts, the latest of each kind where a later one replaces it."""

    seq: int = 0
    jobs: dict[str, Fact] = field(default_factory=dict)  # the latest fact of each job
    nets: set[str] = field(default_factory=set)
    reigns: dict[int, Fact] = field(default_factory=dict)  # by seq
    count: Fact = field(default_factory=dict)
    shards: set[str] = field(default_factory=set)
    halted: bool = False
    asked: str = ""  # an order without an answer

    def note(self, line: Fact) -> set[str]:
        """Enter a line of the loop; the names of what has happened."""
        if "report" in line:
            if line["report"] == "shard":
                self.shards.add(line["name"])
            return {f"{line['report']} report", f"{line['report']} report of {line['kind']}"}
        if "answer" in line:
            self.asked = ""
        self.seq = max(self.seq, line.get("seq", 0))
        return {name for fact in line.get("facts", ()) for name in self._note(fact)} | set(line) - {"seq", "facts"}

    def _note(self, fact: Fact) -> Iterator[str]:
        what = fact["what"]
        yield what
        if "status" in fact:
            self.jobs[fact["job"]] = fact
            yield f"{what} of {fact['kind']}"
        if "sha256" in fact:
            self.nets.add(fact["sha256"])
        if "reign" in fact:
            self.reigns[fact["reign"]["seq"]] = fact["reign"]
        if "count" in fact:
            self.count = fact["count"]
        if what in {"halted", "resumed"}:
            self.halted = what == "halted"

    @property
    def running(self) -> set[str]:
        """Jobs that were last heard of as running."""
        return {name for name, fact in self.jobs.items() if fact["status"] in {"leased", "running"}}

    def lost(self, folder: NodeFolder, state: ClusterState) -> list[str]:
        """What was acknowledged and is not there; empty when all is well."""
        learner = state.learner(GAME)
        faults = [] if state.seq >= self.seq else [f"seq {self.seq} was acknowledged, {state.seq} is there"]
        faults += [fault for name in self.jobs if (fault := self._job_lost(name, state))]
        faults += [f"net {it[:16]} is not known" for it in self.nets - learner.nets.keys()]
        reigns = {reign.seq: reign.model_dump(mode="json") for reign in learner.reigns}
        faults += [f"reign {seq} is {reigns.get(seq)}" for seq, it in self.reigns.items() if reigns.get(seq) != it]
        if len(reigns) != len(learner.reigns) or list(reigns) != sorted(reigns):
            faults.append(f"two champions for one seq: {[reign.seq for reign in learner.reigns]}")
        chain = [None, *(reign.sha256 for reign in learner.reigns)]
        if [reign.replaced for reign in learner.reigns] != chain[:-1] or any(a == b for a, b in pairwise(chain)):
            faults.append(f"champions do not follow one another: {learner.reigns}")
        found = learner.data[NODE].model_dump() if NODE in learner.data else {}
        faults += [f"{name}: {it} counted, {found.get(name)} there" for name, it in self.count.items()
                   if found.get(name, -1) < it]  # fmt: skip
        if not self.asked and (state.halt is not None) != self.halted:
            faults.append(f"halted: {self.halted} was acknowledged, {state.halt} is there")
        return faults + self._shards_lost(folder)

    def _job_lost(self, name: str, state: ClusterState) -> str | None:
        fact, job = self.jobs[name], state.jobs.get(name)
        if job is None or job.fence < fact["fence"]:
            return f"job {name}: fence {fact['fence']} was acknowledged, {job} is there"
        outcome = None if job.outcome is None else job.outcome.model_dump(mode="json")
        if fact["status"] not in UNENDED and (job.status, outcome) != (fact["status"], fact["outcome"]):
            return f"job {name}: {fact['status']} was acknowledged, it is {job.status} with {outcome}"
        return None

    def _shards_lost(self, folder: NodeFolder) -> list[str]:
        room = folder.shards(GAME)
        there = {path.name for path in room.glob("*.npz") if path.with_suffix(".json").exists()}
        return [f"shard {name} is not there" for name in self.shards - there]


def state_on_disk(folder: NodeFolder, aside: Path) -> ClusterState:
    """The state that the log leads to; a copy is read, so that recovery is left to the next life."""
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder.log, aside)
    machine, log = StateMachine(), DurableLog(DiskFiles(aside))
    try:
        found = log.recover()
        state = machine.initial() if found.snapshot is None else machine.load(found.snapshot)
        for body in found.records:
            state, _ = machine.apply(state, body)
        return state
    finally:
        log.close()


def unsound(folder: NodeFolder, state: ClusterState) -> list[str]:
    """What is wrong with the files of a loop that is at rest, or does not fit its state."""
    key, learner, registry = ConfigKey.parse(GAME), state.learner(GAME), ModelRegistry(folder.models)
    faults = [f"{finding.fault.name}: {finding.path.name}" for finding in registry.check()]
    versions = registry.versions(key)
    if len({version.version for version in versions}) < len(versions):
        faults.append("two nets have one version")
    faults += [f"net {it[:16]} is not registered" for it in learner.nets.keys() - {it.sha256 for it in versions}]
    production, canonical = registry.production(key), digest_of(registry.files.canonical(key))
    if {learner.champion} != {canonical, None if production is None else production.sha256}:
        faults.append(f"champion {learner.champion}, in production {production}, canonical {canonical}")
    verdicts = check_folder(folder.shards(GAME), 0.0).verdicts if folder.shards(GAME).exists() else ()
    faults += [verdict.reason for verdict in verdicts if verdict.fault is not None]
    games = sum(verdict.manifest.counts.games for verdict in verdicts if verdict.manifest is not None)
    index = ShardIndex(folder.shard_index)
    if verdicts and not games == index.totals(key).games == learner.total.games:
        faults.append(f"{games} games on disk, {index.totals(key).games} in the index, {learner.total.games} counted")
    return faults
