"""NodeSelector: which node a job should go to, and why.

Nodes that cannot have the job are filtered out with a reason. The others get a score of four parts in [0, 1]: how
fast the node has been at such jobs, compared with the fastest one; how few of its latest jobs failed; how much of it
is free; how much of what the job needs is there already. A node that has not had such a job counts as fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import median
from types import MappingProxyType
from typing import assert_never

from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job, JobStatus
from managers.state.members import Member
from managers.state.tasks import (
    CanaryTask,
    GauntletOutcome,
    GauntletTask,
    PartOutcome,
    PartTask,
    SelfplayOutcome,
    SelfplayTask,
    Task,
    TrainingOutcome,
    TrainingTask,
)

WEIGHTS = {"throughput": 0.35, "reliability": 0.3, "free": 0.15, "locality": 0.2}
LATEST_JOBS = 1000  # ended ones that are looked at
MEASURED_JOBS = 5  # of one kind on one node: the median of the latest counts
PRIOR_JOBS = 4  # that every node is taken to have done well, so that one failure is no verdict
LEAST_S = 1.0  # a job that took less says nothing about speed
MATCHES = frozenset({"gauntlet", "part", "canary"})
BLAMED = frozenset({JobStatus.FAILED, JobStatus.LOST})
NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node and what it is worth for a job; `unfit` says why it cannot have it."""

    node: str
    score: float
    parts: Mapping[str, float]  # unweighted
    unfit: str = ""


@dataclass(slots=True)
class Record:
    """What the latest jobs of a node were like."""

    done: int = 0
    failed: int = 0


class NodeSelector:
    """Ranks the nodes of one state; what it measures it measures once."""

    def __init__(self, state: ClusterState, unfit: Mapping[str, str] = NOBODY) -> None:
        """`unfit` nodes, and why, get nothing."""
        self._state = state
        self._unfit = unfit
        self._records: dict[str, Record] = {}
        self._rates: dict[tuple[str, str], dict[str, list[float]]] = {}  # by kind of work and game, then by node
        self._helped: dict[str, int] = {}  # games of gauntlets that others have played
        self._makers: dict[str, str] = {}  # of nets, by digest
        self._busy: dict[str, int] = {}  # cores with what is no selfplay, by node
        for job in state.jobs.active.values():
            if job.node is not None and job.kind != "selfplay":
                self._busy[job.node] = self._busy.get(job.node, 0) + job.cores
        latest = list(islice(reversed(state.jobs.finished.values()), LATEST_JOBS))
        for job in latest:
            if isinstance(job.task, PartTask) and isinstance(job.outcome, PartOutcome):
                whole = job.task.gauntlet
                self._helped[whole] = self._helped.get(whole, 0) + job.outcome.games
        for job in latest:
            self._remember(job)

    def rank_nodes(self, job: Job, taken: Mapping[str, int] = MappingProxyType({})) -> tuple[Ranked, ...]:
        """All members for a job, the best first; `taken` cores by node are not free, beside those of its jobs."""
        ranked = [self._rank(member, job, taken.get(member.node, 0)) for member in self._state.members.values()]
        return tuple(sorted(ranked, key=lambda it: (it.unfit != "", -it.score, it.node)))

    def select_best_node(self, job: Job, taken: Mapping[str, int] = MappingProxyType({})) -> str | None:
        """The best node for a job; None when there is none."""
        best = next(iter(self.rank_nodes(job, taken)), None)
        return None if best is None or best.unfit else best.node

    def _rank(self, member: Member, job: Job, taken: int) -> Ranked:
        unfit = self.why_unfit(member)
        parts = {} if unfit else self._parts(member, job, taken)
        return Ranked(member.node, sum(WEIGHTS[name] * part for name, part in parts.items()), parts, unfit)

    def why_unfit(self, member: Member) -> str:
        """Why a node gets no jobs; "" when it does."""
        if member.draining:
            return "draining"
        return "it has no cores for jobs" if not member.cores else self._unfit.get(member.node, "")

    def _parts(self, member: Member, job: Job, taken: int) -> Mapping[str, float]:
        record = self._records.get(member.node, Record())
        busy = taken + self._busy.get(member.node, 0)
        return {
            "throughput": self._throughput(member.node, job),
            "reliability": 1 - record.failed / (record.done + record.failed + PRIOR_JOBS),
            "free": max(0.0, 1 - busy / member.cores),
            "locality": self._locality(member.node, job),
        }

    def speed_of(self, node: str) -> float | None:
        """How fast a node is at its jobs, compared with the fastest one at each; None where nothing was measured."""
        shares = [self._share(node, rates) for rates in self._rates.values() if node in rates]
        return sum(shares) / len(shares) if shares else None

    def _throughput(self, node: str, job: Job) -> float:
        return self._share(node, self._rates.get((work_of(job.kind), job.game), {}))

    def _share(self, node: str, measured: Mapping[str, list[float]]) -> float:
        rates = {who: median(it) for who, it in measured.items()}
        return rates[node] / max(rates.values()) if node in rates else 1.0

    def _locality(self, node: str, job: Job) -> float:
        """The share of a training's games, or of another job's nets, that the node has made itself."""
        if isinstance(job.task, TrainingTask):
            learner = self._state.learner(job.game)
            return learner.data[node].games / max(1, learner.total.games) if node in learner.data else 0.0
        nets = [self._makers.get(net) for net in nets_of(job.task)]
        return sum(maker == node for maker in nets) / len(nets) if nets else 1.0

    def _remember(self, job: Job) -> None:
        if job.node is None:
            return
        record = self._records.setdefault(job.node, Record())
        if job.status is JobStatus.SUCCEEDED:
            record.done += 1
        elif job.status in BLAMED:
            record.failed += 1
        if job.outcome is not None and job.outcome.kind == "training":
            self._makers.setdefault(job.outcome.candidate, job.node)
        rate = rate_of(job, self._helped.get(job.id, 0))
        if rate is not None:
            measured = self._rates.setdefault((work_of(job.kind), job.game), {}).setdefault(job.node, [])
            if len(measured) < MEASURED_JOBS:
                measured.append(rate)


def work_of(kind: str) -> str:
    """What jobs of a kind do, as far as their speed goes: games of matches are games of matches."""
    return "match" if kind in MATCHES else kind


def rate_of(job: Job, helped: int = 0) -> float | None:
    """Work per second and core of a job that succeeded; None where it says nothing.

    `helped`: games of it that others have played.
    """
    if job.status is not JobStatus.SUCCEEDED or job.started_at is None or job.ended_at is None:
        return None
    took_s = job.ended_at - job.started_at
    work = _work(job) - helped
    return work / took_s / job.cores if work > 0 and took_s >= LEAST_S else None


def _work(job: Job) -> int:
    """Games, or steps of a training."""
    match job.outcome:
        case TrainingOutcome() as found:
            return found.steps
        case SelfplayOutcome() | PartOutcome() as found:
            return found.games
        case GauntletOutcome() as found:
            return sum(row.games for row in found.rows)
    return job.task.games if isinstance(job.task, CanaryTask) else 0


def nets_of(task: Task) -> tuple[str, ...]:
    """The digests of the nets that a job needs."""
    named: tuple[str | None, ...]
    match task:
        case SelfplayTask():
            named = (task.model, *(it.model for it in task.opponents))
        case TrainingTask():
            named = (task.parent,)
        case GauntletTask():
            named = (task.candidate, task.champion, *task.anchors)
        case PartTask():
            named = (task.of.candidate, task.of.champion, *task.of.anchors)
        case CanaryTask():
            named = (task.model, *task.opponents)
        case _:
            assert_never(task)
    return tuple(name for name in named if name is not None and len(name) == 64)
