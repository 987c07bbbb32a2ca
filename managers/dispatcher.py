"""Dispatcher: which node gets which job, and which selfplay gives way.

The more important job goes first, an old one rises. Selfplay keeps its share of every node, but for canaries: they are
short and get in anywhere. A job that finds no core takes that of the selfplay job that has run for the shortest time.
That one ends: what it played is on the disk and counts, and whose turn it is then is decided anew; a job that went back
to the queue would never come to its end.
"""

from collections.abc import Mapping
from types import MappingProxyType

from config.schema import Settings
from managers.decision import Decision
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.cluster_state import ClusterState
from managers.state.commands import Assign, Body, Cancel
from managers.state.jobs import Job, JobStatus
from managers.state.members import Member

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
        bodies: list[Body] = []
        for member in state.members.values():
            if member.draining:
                bodies += _drained(member, state)
            elif member.cores and member.node not in unfit:
                taken = self._fill(member, state, queued, bodies, now)
                queued = [job for job in queued if job.id not in taken]
        return Decision(tuple(bodies))

    def _fill(self, member: Member, state: ClusterState, queued: list[Job], bodies: list[Body], now: float) -> set[str]:
        """Give a node what it can take; returns the names of the jobs it got."""
        running = list(state.jobs.on(member.node))
        selfplay = sorted((job for job in running if job.kind == "selfplay"), key=lambda job: job.started_at or 1e12)
        free = member.cores - sum(job.cores for job in running)
        others = sum(job.cores for job in running if job.kind != "selfplay")
        others_max = member.cores - self._scheduler.cores_of_selfplay(member)
        taken: set[str] = set()
        kept = False  # for a job that has waited long: no other one goes before it
        for job in queued:
            cores = min(job.cores, member.cores)  # a job that asks for more than there is runs with what there is
            if job.kind != "selfplay":
                full = others > 0 and others + cores > others_max
                if job.kind != "canary" and (kept or full):  # a canary is short, and a champion depends on it
                    kept = kept or now - job.queued_at > AGEING_S
                    continue
                while free < cores and selfplay:
                    victim = selfplay.pop()
                    bodies.append(Cancel(job=victim.id, reason=f"makes room for {job.id}"))
                    free += victim.cores
            if free < cores:
                continue
            bodies.append(Assign(job=job.id, node=member.node, session=member.session))
            taken.add(job.id)
            free -= cores
            others += cores if job.kind != "selfplay" else 0
        return taken


def _drained(member: Member, state: ClusterState) -> list[Body]:
    jobs = (job for job in state.jobs.on(member.node) if job.kind == "selfplay")
    return [Cancel(job=job.id, reason=f"{member.node} is draining") for job in jobs]


def rank(job: Job, now: float) -> float:
    """Its priority, higher the longer it waits; selfplay does not rise above what trains and judges."""
    if job.kind == "selfplay":
        return job.priority
    return job.priority + AGEING * max(0.0, now - job.queued_at) / AGEING_S
