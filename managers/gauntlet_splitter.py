"""GauntletSplitter: chunks of a gauntlet that other nodes play ahead of the one that judges it.

A part is help and nothing else: the judge looks at its chunks in their order, takes those that have been played, and
plays what is missing. So a part is tried once, ends when it is of no use any more, and waits for nobody.
"""

from collections.abc import Iterator, Mapping

from config.schema import Settings
from managers.decision import Decision, Wait, paused
from managers.gauntlet_parts import AheadChunk, chunk_of, parts_of
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.cluster_state import ClusterState
from managers.state.commands import Body, Cancel, Enqueue
from managers.state.jobs import ASSIGNED, Job, JobStatus
from managers.state.members import Member
from managers.state.tasks import GauntletTask, PartTask

Told = Mapping[str, tuple[AheadChunk, ...]]  # what judges say that they will need, by job


class GauntletSplitter:
    """Decides about parts."""

    def __init__(self, settings: Settings, scheduler: SelfplayScheduler) -> None:
        self._settings = settings
        self._scheduler = scheduler

    def decide(self, state: ClusterState, now: float, told: Told, unfit: Mapping[str, str]) -> Decision:
        """Parts to end and parts to queue; `unfit` nodes help nobody."""
        if state.halt is not None:
            return Decision()
        bodies: list[Body] = list(_orphans(state))
        waits: list[Wait] = []
        for job in state.jobs.active.values():
            if isinstance(job.task, GauntletTask) and job.status in ASSIGNED:
                decision = self._decide(state, job, job.task, told.get(job.id), unfit, now)
                bodies += decision.bodies
                waits += decision.waits
        return Decision(tuple(bodies), tuple(waits))

    def _decide(
        self,
        state: ClusterState,
        job: Job,
        task: GauntletTask,
        ahead: tuple[AheadChunk, ...] | None,
        unfit: Mapping[str, str],
        now: float,
    ) -> Decision:
        parts = parts_of(state, job)
        useless = tuple(_useless(job, parts, ahead))
        gone = {body.job for body in useless}
        places = self._places(state, job, unfit)
        if not ahead or not places:
            return Decision(useless)
        pause = paused(state, job.game, "part", now, self._settings.safety.max_consecutive_failures)
        if pause is not None:
            return Decision(useless, (pause,))
        active = sum(part.id in state.jobs.active and part.id not in gone for part in parts)
        tried = {chunk_of(part) for part in parts}
        new = [chunk for chunk in ahead if chunk not in tried][: max(0, places - active)]
        wished = (PartTask(gauntlet=job.id, of=task, row=it.row, first=it.first, last=it.last) for it in new)
        return Decision((*useless, *(Enqueue(task=it, priority=job.priority, attempts_max=1) for it in wished)))

    def _places(self, state: ClusterState, job: Job, unfit: Mapping[str, str]) -> int:
        """How many parts may be under way: one for each other node that could play one now."""
        helpers = (
            it
            for it in state.members.values()
            if it.node != job.node and it.node not in unfit and self._has_room(state, it)
        )
        return min(self._settings.evaluation.split_max, sum(1 for _ in helpers))

    def _has_room(self, state: ClusterState, member: Member) -> bool:
        """Whether a node has a core for a part, beside what is neither selfplay nor a part itself."""
        if member.draining or not member.cores:
            return False
        others = sum(job.cores for job in state.jobs.on(member.node) if job.kind not in {"selfplay", "part"})
        return not others or others + 1 <= member.cores - self._scheduler.cores_of_selfplay(member)


def _orphans(state: ClusterState) -> Iterator[Cancel]:
    """Parts of gauntlets that nobody judges now."""
    for job in state.jobs.active.values():
        if isinstance(job.task, PartTask):
            whole = state.jobs.active.get(job.task.gauntlet)
            if whole is None or whole.status not in ASSIGNED:
                yield Cancel(job=job.id, reason=f"{job.task.gauntlet} is not under way any more")


def _useless(job: Job, parts: tuple[Job, ...], ahead: tuple[AheadChunk, ...] | None) -> Iterator[Cancel]:
    """Parts that came to the judge itself, and those that it does not need any more, where it says what it needs."""
    for part in parts:
        if part.status in ASSIGNED and part.node == job.node:
            yield Cancel(job=part.id, reason=f"{job.node} judges this gauntlet itself")
        elif part.status in {JobStatus.QUEUED, *ASSIGNED} and ahead is not None and chunk_of(part) not in ahead:
            yield Cancel(job=part.id, reason="its gauntlet does not need it any more")
