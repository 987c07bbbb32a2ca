"""QueuePopulator: enough selfplay jobs for every core, each with the net that should play now.

Jobs play until they are ended: when another net is current, when their time is over and another configuration is behind
its share, or when a core is wanted for something else.
"""

from collections.abc import Collection, Iterator

from config.schema import Settings
from managers.decision import Decision, Wait, paused
from managers.selfplay_scheduler import SelfplayScheduler, Turns
from managers.state.cluster_state import ClusterState
from managers.state.commands import Cancel, Enqueue
from managers.state.jobs import Job, JobStatus
from managers.state.tasks import SelfplayTask

SELFPLAY_PRIORITY = 50
BOOTSTRAPPED = "the heuristic has played its games; the first training is next"


class QueuePopulator:
    """Decides about selfplay jobs."""

    def __init__(self, settings: Settings, scheduler: SelfplayScheduler) -> None:
        self._settings = settings
        self._scheduler = scheduler

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Jobs to end and jobs to queue."""
        if state.halt is not None:
            return Decision()
        waits = tuple(self._resting(state, now))
        resting = {wait.game for wait in waits}
        turns = self._scheduler.turns(state, now)
        ended = tuple(self._ended(state, turns, resting, now))
        gone = {body.job for body in ended}
        draining = {member.node for member in state.members.values() if member.draining}
        kept = [job for job in _selfplay(state) if job.id not in gone and job.node not in draining]
        missing = self.wanted(state) - sum(job.cores for job in kept)
        for name in gone:
            turns = self._without(turns, state.jobs.active[name], now)
        return Decision((*ended, *self._queued(state, turns, resting, missing)), waits)

    def wanted(self, state: ClusterState) -> int:
        """How many selfplay jobs there should be: the cores that no other job has, at least those kept for selfplay."""
        wanted = 0
        for member in state.members.values():
            if member.draining:
                continue
            others = sum(job.cores for job in state.jobs.on(member.node) if job.kind != "selfplay")
            wanted += max(member.cores - others, self._scheduler.cores_of_selfplay(member))
        return wanted

    def _resting(self, state: ClusterState, now: float) -> Iterator[Wait]:
        """Configurations that get no job now, and why."""
        for game in self._settings.games:
            pause = paused(state, game, "selfplay", now, self._settings.safety.max_consecutive_failures)
            if pause is not None:
                yield pause
            elif self._scheduler.bootstrapped(state, game, now):
                training = paused(state, game, "training", now, self._settings.safety.max_consecutive_failures)
                yield Wait(game, "selfplay", BOOTSTRAPPED if training is None else f"{BOOTSTRAPPED}: {training.why}")

    def _ended(self, state: ClusterState, turns: Turns, resting: Collection[str], now: float) -> Iterator[Cancel]:
        for job in _selfplay(state):
            assert isinstance(job.task, SelfplayTask)
            if job.game not in self._settings.games:
                yield Cancel(job=job.id, reason=f"{job.game} is not learned any more")
            elif job.task.model != self._scheduler.model_of(state, job.game):
                yield Cancel(job=job.id, reason="another net is current")
            elif self._scheduler.bootstrapped(state, job.game, now):
                yield Cancel(job=job.id, reason=BOOTSTRAPPED)
            elif self._overdue(job, turns, resting, now):
                yield Cancel(job=job.id, reason="its time is over and another configuration waits")

    def _overdue(self, job: Job, turns: Turns, resting: Collection[str], now: float) -> bool:
        played_s = 0.0 if job.started_at is None else now - job.started_at
        if played_s < 60 * self._settings.selfplay.minutes_per_job:
            return False
        return self._without(turns, job, now).next(resting) not in {None, job.game}

    def _without(self, turns: Turns, job: Job, now: float) -> Turns:
        """The turns as if a job were not there."""
        if job.game not in turns.received:
            return turns
        return turns.with_more(job.game, -self._scheduler.core_seconds(job, now))

    def _queued(self, state: ClusterState, turns: Turns, resting: Collection[str], missing: int) -> Iterator[Enqueue]:
        """One job after the other, each chosen as if those before it were queued already."""
        for _ in range(missing):
            game = turns.next(resting)
            if game is None:
                break
            yield Enqueue(
                task=self._scheduler.selfplay_task(state, game),
                priority=SELFPLAY_PRIORITY,
                attempts_max=self._settings.jobs.attempts_max,
            )
            turns = turns.with_more(game, 60 * self._settings.selfplay.minutes_per_job)


def _selfplay(state: ClusterState) -> list[Job]:
    unended = (JobStatus.QUEUED, JobStatus.LEASED, JobStatus.RUNNING)
    return [job for job in state.jobs.active.values() if job.kind == "selfplay" and job.status in unended]
