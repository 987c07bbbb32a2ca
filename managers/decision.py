"""What a controller decides: commands to propose, and what it waits for and why.

Every controller is a pure `decide(state, now)`: it compares what is with what should be and says what is missing. It
may be asked at any time, again and again; a command that comes too late is refused by the state and does no harm.
"""

import math
from dataclasses import dataclass

from managers.state.cluster_state import ClusterState
from managers.state.commands import Body
from managers.state.jobs import Job, JobStatus

PAUSE_S = 60.0  # after a first failed job of a kind; doubles with each further one
PAUSE_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that is not done now, and why; people read it."""

    game: str
    what: str  # selfplay, training, gauntlet, promotion, canary, rollback, data, jobs
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Commands in the order in which they are to be proposed."""

    bodies: tuple[Body, ...] = ()
    waits: tuple[Wait, ...] = ()

    def __add__(self, other: "Decision") -> "Decision":
        return Decision((*self.bodies, *other.bodies), (*self.waits, *other.waits))


@dataclass(frozen=True, slots=True)
class Setback:
    """Jobs of a kind that failed, `count` of them one after the other, the last one at `ended_at`."""

    count: int
    ended_at: float
    reason: str

    def pause_left_s(self, now: float, failures_max: int) -> float:
        """How long no other job of the kind is queued; after `failures_max` of them the longest time."""
        pause_s = min(PAUSE_S * 2 ** min(self.count - 1, 30), PAUSE_MAX_S) if self.count else 0.0
        if self.count >= failures_max:
            pause_s = PAUSE_MAX_S
        return max(0.0, self.ended_at + pause_s - now)


def setback_of(state: ClusterState, game: str, kind: str) -> Setback:
    """The failures of a kind of job since one last succeeded; none when the latest is older than any pause.

    Jobs that were there already when another one failed were no further try: they count with that one.
    """
    count, ended_at, reason, since = 0, 0.0, "", math.inf
    for job in reversed(state.jobs.finished.values()):
        if not count and state.now - (job.ended_at or 0.0) > PAUSE_MAX_S:
            break  # thousands of jobs are remembered, and everybody asks at every look
        if job.game != game or job.kind != kind:
            continue
        if job.status not in {JobStatus.FAILED, JobStatus.LOST}:
            if job.status is JobStatus.SUCCEEDED or _has_played(job):
                break
            continue  # cancelled: says nothing
        if not count:
            ended_at, reason = job.ended_at or 0.0, job.reason
        if (job.ended_at or 0.0) <= since:
            count, since = count + 1, job.queued_at
        else:
            since = max(since, job.queued_at)  # of those side by side the shortest is the try
    return Setback(count, ended_at, reason)


def _has_played(job: Job) -> bool:
    """Whether a job was ended after it had worked for a while: selfplay never ends by itself."""
    played_s = 0.0 if job.started_at is None or job.ended_at is None else job.ended_at - job.started_at
    return job.kind == "selfplay" and played_s >= PAUSE_S


def paused(state: ClusterState, game: str, kind: str, now: float, failures_max: int) -> Wait | None:
    """Why no job of a kind is queued for now, when the last ones failed (`safety.max_consecutive_failures`)."""
    setback = setback_of(state, game, kind)
    left_s = setback.pause_left_s(now, failures_max)
    if not left_s:
        return None
    times = "" if setback.count == 1 else f" {setback.count} times in a row"
    return Wait(game, kind, f"failed{times} ({setback.reason}); tried again in {left_s:.0f} s")
