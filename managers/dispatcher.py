"""Dispatcher: which node gets which job, and which selfplay gives way.

The more important job goes first, an old one rises; the NodeSelector says where to, of the nodes that have room.
Selfplay keeps its share of every node, but for canaries: they are short and get in anywhere. A job that finds no core
takes that of the selfplay job that has run for the shortest time. That one ends: what it played is on the disk and
counts, and whose turn it is then is decided anew; a job that went back to the queue would never come to its end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from config.schema import Settings
from managers.decision import Decision
from managers.node_selector import NodeSelector, nets_of
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.cluster_state import ClusterState
from managers.state.commands import Assign, Body, Cancel
from managers.state.jobs import ASSIGNED, Job, JobStatus
from managers.state.members import Member
from managers.state.tasks import PartTask

AGEING_S = 600.0  # a job that waits this long rises by AGEING, and is overtaken by nothing smaller
AGEING = 10
NOBODY: Mapping[str, str] = MappingProxyType({})


class Dispatcher:
    """Decides about assignments."""

    def __init__(self, settings: Settings, scheduler: SelfplayScheduler) -> None:
        self._settings = settings
        self._scheduler = scheduler

    def decide(self, state: ClusterState, now: float, unfit: Mapping[str, str] = NOBODY) -> Decision:
        """Assignments, and ends of selfplay jobs that make room for them; `unfit` nodes, and why, get none.

        Selfplay of a draining node ends, because it would not by itself; what else the node has it finishes.
        """
        if state.halt is not None:
            return Decision()
        queued = [job for job in state.jobs.active.values() if job.status is JobStatus.QUEUED and job.not_before <= now]
        queued.sort(key=lambda job: (-rank(job, now), job.queued_at))
        drained = (member for member in state.members.values() if member.draining)
        bodies: list[Body] = [body for member in drained for body in _drained(member, state)]
        places = Places(state, NodeSelector(state, unfit), self._scheduler)
        for job in queued:
            bodies += places.place(job, now)
        return Decision(tuple(bodies))


@dataclass(slots=True)
class Room:
    """What a node has left while jobs are given out."""

    member: Member
    free: int
    others: int  # cores of jobs that are no selfplay
    others_max: int
    selfplay: list[Job]  # that may be ended, the one that has run for the shortest time last
    given: int = 0  # cores, in this decision
    kept: bool = False  # for a job that has waited long: no other one goes before it

    @classmethod
    def of(cls, member: Member, running: Sequence[Job], kept_for_selfplay: int) -> "Room":
        """A node with the jobs that it has."""
        return cls(
            member,
            free=member.cores - sum(job.cores for job in running),
            others=sum(job.cores for job in running if job.kind != "selfplay"),
            others_max=member.cores - kept_for_selfplay,
            selfplay=sorted((job for job in running if job.kind == "selfplay"), key=lambda it: it.started_at or 1e12),
        )

    def cores(self, job: Job) -> int:
        """What a job takes here: one that asks for more than there is runs with what there is."""
        return min(job.cores, self.member.cores)

    def fits(self, job: Job) -> bool:
        """Whether a job can begin here, selfplay giving way to any other."""
        cores = self.cores(job)
        if job.kind == "selfplay":
            return self.free >= cores
        full = self.others > 0 and self.others + cores > self.others_max
        if job.kind != "canary" and (self.kept or full):  # a canary is short, and a champion depends on it
            return False
        return self.free + sum(it.cores for it in self.selfplay) >= cores

    def give(self, job: Job) -> list[Body]:
        """Put a job here; what is to be said to the state."""
        cores, bodies = self.cores(job), list[Body]()
        while self.free < cores:
            victim = self.selfplay.pop()
            bodies.append(Cancel(job=victim.id, reason=f"makes room for {job.id}"))
            self.free += victim.cores
        self.free -= cores
        self.given += cores
        self.others += cores if job.kind != "selfplay" else 0
        return [*bodies, Assign(job=job.id, node=self.member.node, session=self.member.session)]


class Places:
    """The rooms of all nodes while one decision fills them.

    Rooms only get fuller, so what fits nowhere now fits nowhere later, and a room that is full for one selfplay job is
    full for the next. So the work grows with jobs plus nodes and not with their product.
    """

    def __init__(self, state: ClusterState, selector: NodeSelector, scheduler: SelfplayScheduler) -> None:
        self._state = state
        self._selector = selector
        running: dict[str, list[Job]] = {}
        for job in state.jobs.active.values():
            if job.status in ASSIGNED and job.node is not None:
                running.setdefault(job.node, []).append(job)
        self._rooms = {
            member.node: Room.of(member, running.get(member.node, ()), scheduler.cores_of_selfplay(member))
            for member in state.members.values()
            if not selector.why_unfit(member)
        }
        self._nowhere: set[tuple[str, int, str | None]] = set()  # kinds, cores, and barred nodes, that fit nowhere now
        self._ways: dict[tuple[str, int, tuple[str, ...]], Iterator[Room]] = {}  # best room first, for selfplay

    def place(self, job: Job, now: float) -> list[Body]:
        """Give a job to the best node that has room for it; one that has waited long keeps nodes free for itself."""
        room = self._way(job) if job.kind == "selfplay" else self._best(job)
        if room is not None:
            return room.give(job)
        if job.kind not in {"selfplay", "part", "canary"} and now - job.queued_at > AGEING_S:
            for it in self._rooms.values():
                it.kept = True
        return []

    def _best(self, job: Job) -> Room | None:
        barred = judge_of(job, self._state)
        size = ("canary" if job.kind == "canary" else "", job.cores, barred)
        if size in self._nowhere:
            return None
        given = {node: room.given for node, room in self._rooms.items()}
        for it in self._selector.rank_nodes(job, given):
            if it.node != barred and it.node in self._rooms and self._rooms[it.node].fits(job):
                return self._rooms[it.node]
        self._nowhere.add(size)
        return None

    def _way(self, job: Job) -> Room | None:
        """The next room with a free core, in the order that was best at the beginning."""
        key = (job.game, job.cores, nets_of(job.task))
        if key not in self._ways:
            ranked = self._selector.rank_nodes(job)
            self._ways[key] = repeated(self._rooms[it.node] for it in ranked if it.node in self._rooms)
        return next((room for room in self._ways[key] if room.fits(job)), None)


def judge_of(job: Job, state: ClusterState) -> str | None:
    """The node that judges the gauntlet of a part: it plays what is missing anyway, and gets no part of it."""
    if not isinstance(job.task, PartTask):
        return None
    whole = state.jobs.active.get(job.task.gauntlet)
    return None if whole is None else whole.node


def repeated(rooms: Iterable[Room]) -> Iterator[Room]:
    """Each room as often as it has cores: often enough to be filled, whoever else fills it meanwhile."""
    return (room for room in rooms for _ in range(room.member.cores))


def _drained(member: Member, state: ClusterState) -> list[Body]:
    jobs = (job for job in state.jobs.on(member.node) if job.kind == "selfplay")
    return [Cancel(job=job.id, reason=f"{member.node} is draining") for job in jobs]


def rank(job: Job, now: float) -> float:
    """Its priority, higher the longer it waits; selfplay does not rise above what trains and judges."""
    if job.kind == "selfplay":
        return job.priority
    return job.priority + AGEING * max(0.0, now - job.queued_at) / AGEING_S
