"""One job, told whole: what it is to do, what became of it, and why it waits, runs there or ended so; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from managers.dispatcher import judge_of
from managers.event_journal import Entry, EventRow
from managers.gauntlet_parts import played_by
from managers.line import Line
from managers.state.cluster_state import ClusterState
from managers.state.jobs import ASSIGNED, Job, JobStatus
from managers.state.members import Member
from managers.state.tasks import GauntletOutcome, GauntletTask, PartTask, SelfplayTask, TrainingTask
from managers.status import Work, job_row
from managers.status_records import JobStatusRow

HISTORY_MAX = 100  # events of a job, the latest
NAMES_MAX = 5  # of jobs that are named in a reason
ENDED = frozenset(JobStatus) - ASSIGNED - {JobStatus.QUEUED}


class JobDetail(JobStatusRow):
    """A job and its history."""

    priority: int
    cores: int
    attempts_max: int
    losses: int  # nodes that vanished under it
    fence: int  # of the latest assignment
    ended_at: float | None
    spec: dict[str, object]  # what it is to do
    outcome: dict[str, object] | None
    history: tuple[EventRow, ...]  # events of it that are still kept, the oldest first
    why: Line


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides about jobs."""

    state: ClusterState
    now: float
    unfit: Mapping[str, str] = field(default_factory=dict)  # nodes that get no jobs, and why


def job_rows(
    state: ClusterState, work: Mapping[str, Work], *, status: str | None, game: str | None, kind: str | None, limit: int
) -> tuple[tuple[JobStatusRow, ...], int]:
    """The first rows of those asked for, and how many there are: those that run, that wait, that ended lately."""
    active = sorted(state.jobs.active.values(), key=lambda job: (job.started_at is None, job.queued_at))
    ended = reversed(state.jobs.finished.values())
    wanted = [job for job in (*active, *ended) if _fits(job, status, game, kind)]
    return tuple(job_row(job, work.get(job.id)) for job in wanted[:limit]), len(wanted)


def job_detail(job: Job, work: Work | None, around: Surroundings, entries: Iterable[Entry]) -> JobDetail:
    """Everything about a job; `entries` are events, of whatever."""
    of_it = [entry.row for entry in entries if job.id in _jobs_of(entry)]
    return JobDetail(
        **dict(job_row(job, work)),
        priority=job.priority,
        cores=job.cores,
        attempts_max=job.attempts_max,
        losses=job.losses,
        fence=job.fence,
        ended_at=job.ended_at,
        spec=job.task.model_dump(mode="json"),
        outcome=None if job.outcome is None else job.outcome.model_dump(mode="json"),
        history=tuple(of_it[-HISTORY_MAX:]),
        why=why_of(job, around),
    )


def why_of(job: Job, around: Surroundings) -> str:
    """Why a job stands where it stands."""
    match job.status:
        case JobStatus.QUEUED:
            return _why_queued(job, around)
        case JobStatus.LEASED:
            return f"assigned to {job.node} (fence {job.fence}), which has not said yet that it began"
        case JobStatus.RUNNING:
            return f"runs on {job.node}: {_aim(job)}{_helped(job, around.state)}"
        case JobStatus.SUCCEEDED:
            found = job.outcome
            if isinstance(found, GauntletOutcome):
                return f"{found.verdict}: {found.reason}{_helped(job, around.state)}"
            return "it did what it was for"
        case _:
            return f"{job.status}: {job.reason or 'no reason given'}"


def _why_queued(job: Job, around: Surroundings) -> str:
    state, wait_s = around.state, job.not_before - around.now
    if state.halt is not None:
        return f"halted by {state.halt.by}: {state.halt.reason}"
    if wait_s > 0:
        return f"tried again in {wait_s:.0f} s; attempt {job.attempts} failed: {job.reason}"
    reasons = [f"{member.node}: {_why_not_on(member, job, around)}" for member in state.members.values()]
    back = f"; it came back: {job.reason}" if job.reason else ""
    return f"waits for a node ({'; '.join(reasons[:NAMES_MAX]) or 'there is none'}){back}"


def _why_not_on(member: Member, job: Job, around: Surroundings) -> str:
    if member.draining:
        return "is draining"
    if not member.cores:
        return "does not compute"
    if member.node in around.unfit:
        return around.unfit[member.node]
    if member.node == judge_of(job, around.state):
        return "judges that gauntlet itself"
    here = around.state.jobs.on(member.node)
    free = member.cores - sum(other.cores for other in here)
    if free >= min(job.cores, member.cores):
        return f"has {free} cores free; the dispatcher looks every second"
    names = ", ".join(other.id for other in here[:NAMES_MAX])
    return f"{free} of {member.cores} cores are free, it needs {job.cores}; {names} go before it"


def _aim(job: Job) -> str:
    match job.task:
        case SelfplayTask() as task:
            return f"games of {task.game} with {task.model[:16]}"
        case TrainingTask() as task:
            return f"{task.steps} steps on {task.rows_made} rows of {task.game}"
        case GauntletTask() as task:
            return f"candidate {task.candidate[:16]} is number {task.candidate_number} of this reign"
        case PartTask() as task:
            return f"blocks {task.first} to {task.last - 1} of row {task.row} of {task.gauntlet}, played ahead"
        case task:
            return f"shadow tournament {task.number} of the champion {task.model[:16]}"


def _helped(job: Job, state: ClusterState) -> str:
    """Which chunks of a gauntlet others have played; "" for other jobs and where nobody has."""
    helpers = played_by(state, job) if isinstance(job.task, GauntletTask) else {}
    named = ", ".join(f"{node} {count}" for node, count in list(helpers.items())[:NAMES_MAX])
    return f"; chunks played ahead: {named}" if named else ""


def _fits(job: Job, status: str | None, game: str | None, kind: str | None) -> bool:
    by_status = status in {None, job.status.value} or (status == "ended") is (job.status in ENDED)
    if status not in {None, "active", "ended"}:
        by_status = status == job.status.value
    return by_status and game in {None, job.game} and kind in {None, job.kind}


def _jobs_of(entry: Entry) -> set[object]:
    return {getattr(entry.event, name, None) for name in ("work_id", "job_id")}
