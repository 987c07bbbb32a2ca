"""Jobs: queued, leased to a node, running, ended.

Assigning a job gives it a fence, the seq of the assignment; whoever comes with another fence is too late. Three ways
lead back to the queue: a failure costs an attempt, the loss of the node costs a loss, a release costs nothing.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from managers.state.record import Count, Name, Record, Refused, Text, Time
from managers.state.tasks import GauntletTask, Outcome, PartTask, SelfplayTask, Task, TrainingTask

FINISHED_MAX = 10_000  # ended jobs that the state remembers
QUEUED_MAX = 10_000  # jobs that have not ended
LOSSES_MAX = 20  # nodes that may vanish under a job before it is given up: it may be what kills them


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    LEASED = "leased"  # assigned, not yet said to have started
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # given up: too many nodes vanished under it


ASSIGNED = frozenset({JobStatus.LEASED, JobStatus.RUNNING})


class Job(Record):
    """A job and its history in numbers."""

    id: Name
    task: Task
    priority: int
    cores: int
    attempts_max: int
    status: JobStatus = JobStatus.QUEUED
    queued_at: Time
    not_before: Time = 0.0
    attempts: Count = 0  # that failed
    losses: Count = 0
    fence: Count = 0  # of the latest assignment
    node: Name | None = None
    session: Count = 0  # of the node, at the assignment
    started_at: Time | None = None
    ended_at: Time | None = None
    outcome: Outcome | None = None
    reason: Text = ""  # why it is where it is

    @property
    def kind(self) -> str:
        """selfplay, training, gauntlet, part or canary."""
        return self.task.kind

    @property
    def game(self) -> str:
        """Its config key."""
        return self.task.game


class Jobs(Record):
    """All jobs, oldest first in both tables."""

    active: dict[str, Job] = Field(default_factory=dict)
    finished: dict[str, Job] = Field(default_factory=dict)

    def get(self, job: str) -> Job | None:
        """A job, ended or not."""
        return self.active.get(job) or self.finished.get(job)

    def of(self, game: str, kind: str | None = None) -> tuple[Job, ...]:
        """The jobs of a configuration that have not ended."""
        return tuple(job for job in self.active.values() if job.game == game and kind in {None, job.kind})

    def on(self, node: str) -> tuple[Job, ...]:
        """The jobs that a node has."""
        return tuple(job for job in self.active.values() if job.node == node and job.status in ASSIGNED)


def enqueue(jobs: Jobs, job: Job) -> Jobs:
    """A new job; one that would do what another one is doing is refused."""
    if len(jobs.active) >= QUEUED_MAX:
        raise Refused(f"{QUEUED_MAX} jobs wait or run already")
    twin = next((other for other in jobs.of(job.game, job.kind) if same_work(other.task, job.task)), None)
    if twin is not None:
        raise Refused(f"{twin.id} does that already")
    return _with(jobs, job)


def same_work(one: Task, other: Task) -> bool:
    """Whether two jobs of a kind and a configuration must not run at once."""
    if isinstance(one, SelfplayTask):
        return False
    if isinstance(one, GauntletTask) and isinstance(other, GauntletTask):
        return one.candidate == other.candidate
    if isinstance(one, PartTask) and isinstance(other, PartTask):
        return (one.gauntlet, one.row, one.first) == (other.gauntlet, other.row, other.first)
    return True


def refuse_part(jobs: Jobs, task: PartTask) -> None:
    """A part of anything but a gauntlet that a node has, as that one is, is refused."""
    whole = jobs.active.get(task.gauntlet)
    if whole is None or whole.status not in ASSIGNED or whole.task != task.of:
        raise Refused(f"{task.gauntlet} is no gauntlet that is under way")
    if task.first >= task.last:
        raise Refused(f"there are no blocks from {task.first} to before {task.last}")


def assign(jobs: Jobs, job: str, *, node: str, session: int, fence: int, now: float) -> Jobs:
    """Lease a queued job to a node."""
    known = _active(jobs, job)
    if known.status is not JobStatus.QUEUED:
        raise Refused(f"{job} is {known.status}, not queued")
    if known.not_before > now:
        raise Refused(f"{job} waits {known.not_before - now:.0f} s before its next attempt")
    return _with(jobs, known, status=JobStatus.LEASED, node=node, session=session, fence=fence, reason="")


def start(jobs: Jobs, job: str, fence: int, now: float) -> Jobs:
    """The node has begun."""
    known = fenced(jobs, job, fence)
    if known.status is not JobStatus.LEASED:
        raise Refused(f"{job} is {known.status}, not leased")
    return _with(jobs, known, status=JobStatus.RUNNING, started_at=now)


def complete(jobs: Jobs, job: str, fence: int, outcome: Outcome, now: float) -> Jobs:
    """The work is done and stored."""
    known = fenced(jobs, job, fence)
    if outcome.kind != known.kind:
        raise Refused(f"{job} is a {known.kind} job; that is the outcome of a {outcome.kind} job")
    return _end(jobs, known, JobStatus.SUCCEEDED, now, outcome=outcome, reason="")


def fail(jobs: Jobs, job: str, fence: int, reason: str, now: float, *, retry_at: float | None) -> Jobs:
    """The work went wrong: queued again from `retry_at` on, or given up (None, or no attempt is left)."""
    known = fenced(jobs, job, fence)
    attempts = known.attempts + 1
    if retry_at is None or attempts >= known.attempts_max:
        return _end(jobs, known, JobStatus.FAILED, now, attempts=attempts, reason=reason)
    return _requeue(jobs, known, attempts=attempts, not_before=retry_at, reason=reason)


def release(jobs: Jobs, job: str, fence: int, reason: str) -> Jobs:
    """The node gives the job back; nobody is to blame."""
    return _requeue(jobs, fenced(jobs, job, fence), reason=reason)


def cancel(jobs: Jobs, job: str, reason: str, now: float) -> Jobs:
    """Nobody wants the job any more."""
    return _end(jobs, _active(jobs, job), JobStatus.CANCELLED, now, reason=reason)


def lose(jobs: Jobs, node: str, session: int, reason: str, now: float) -> tuple[Jobs, tuple[str, ...]]:
    """A node is gone, or began anew as `session`: its earlier leases end; also tells which jobs that were."""
    gone = [job for job in jobs.on(node) if job.session < session]
    for job in gone:
        losses = job.losses + 1
        if losses > LOSSES_MAX or isinstance(job.task, PartTask):  # whoever judges plays what is missing
            jobs = _end(jobs, job, JobStatus.LOST, now, losses=losses, reason=reason)
        else:
            jobs = _requeue(jobs, job, losses=losses, reason=reason)
    return jobs, tuple(job.id for job in gone)


def fenced(jobs: Jobs, job: str, fence: int) -> Job:
    """The job, if this is the assignment that counts."""
    known = _active(jobs, job)
    if known.status not in ASSIGNED:
        raise Refused(f"{job} is {known.status}, assigned to nobody")
    if known.fence != fence:
        raise Refused(f"{job} was assigned anew: fence {known.fence}, not {fence}")
    return known


def _active(jobs: Jobs, job: str) -> Job:
    known = jobs.active.get(job)
    if known is None:
        ended = jobs.finished.get(job)
        raise Refused(f"{job} has ended: {ended.status}" if ended else f"there is no job {job}")
    return known


def _requeue(jobs: Jobs, job: Job, **changes: object) -> Jobs:
    return _with(jobs, job, status=JobStatus.QUEUED, node=None, session=0, started_at=None, **changes)


def _with(jobs: Jobs, job: Job, **changes: object) -> Jobs:
    changed = job.model_copy(update=changes)
    return jobs.model_copy(update={"active": {**jobs.active, job.id: changed}})


def _end(jobs: Jobs, job: Job, status: JobStatus, now: float, **changes: object) -> Jobs:
    ended = job.model_copy(update={"status": status, "ended_at": now, **changes})
    active = {name: other for name, other in jobs.active.items() if name != job.id}
    return jobs.model_copy(update={"active": active, "finished": _newest(jobs.finished, ended)})


def _newest(finished: Mapping[str, Job], ended: Job) -> dict[str, Job]:
    """The ended jobs with one more, without the oldest ones beyond what is remembered."""
    kept = {**finished, ended.id: ended}
    for name in list(kept)[: max(0, len(kept) - FINISHED_MAX)]:
        del kept[name]
    return kept


def training_of(jobs: Jobs, game: str) -> TrainingTask | None:
    """The training that waits or runs for a configuration."""
    return next((job.task for job in jobs.of(game, "training") if isinstance(job.task, TrainingTask)), None)
