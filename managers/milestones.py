"""What is expected next of a configuration, and when: from rates and durations that were measured, or not at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from managers.job_progress import training_left_s
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job, JobStatus
from managers.state.tasks import TrainingTask
from managers.status_records import Milestone

DURATIONS_MAX = 5  # latest jobs of a kind that its duration is taken from
LOOKED_MAX = 2_000  # finished jobs that are looked at for them

Work = Mapping[str, Mapping[str, object]]  # what each running job last reported


@dataclass(frozen=True, slots=True)
class Outlook:
    """What expectations are made of."""

    state: ClusterState
    now: float
    reports: Work = field(default_factory=dict)

    def duration_s(self, game: str, kind: str) -> float | None:
        """How long a job of a kind took lately, the median; None: none has ended well."""
        found: list[float] = []
        for number, job in enumerate(reversed(self.state.jobs.finished.values())):
            if number >= LOOKED_MAX or len(found) >= DURATIONS_MAX:
                break
            if (job.game, job.kind, job.status) == (game, kind, JobStatus.SUCCEEDED) and job.started_at is not None:
                found.append((job.ended_at or job.started_at) - job.started_at)
        return median(found) if found else None

    def left_s(self, job: Job) -> float | None:
        """How long a job will still take."""
        if isinstance(job.task, TrainingTask):
            told = training_left_s(self.reports.get(job.id, {}), job.task.batch)
            if told is not None:
                return told
        whole = self.duration_s(job.game, job.kind)
        if whole is None:
            return None
        return max(0.0, whole - (0.0 if job.started_at is None else self.now - job.started_at))


def milestones_of(
    outlook: Outlook, game: str, missing: int, per_h: float | None, *, held: bool = False
) -> tuple[Milestone, ...]:
    """The next steps in their order; `missing` games come before the next training, `per_h` of them per hour.

    `held`: something else stands in its way, and nobody knows for how long.
    """
    if outlook.state.halt is not None:
        return ()
    return tuple(_milestones(outlook, game, missing, per_h, held=held))


def _milestones(outlook: Outlook, game: str, missing: int, per_h: float | None, *, held: bool) -> Iterator[Milestone]:
    first = "first candidate" if not outlook.state.learner(game).nets else "next candidate"
    gauntlet_s = outlook.duration_s(game, "gauntlet")
    training = next(iter(outlook.state.jobs.of(game, "training")), None)
    gauntlet = next(iter(outlook.state.jobs.of(game, "gauntlet")), None)
    if training is not None:
        left_s = outlook.left_s(training)
        yield _milestone("candidate", f"{first} is trained", left_s)
        yield _milestone("verdict", "its verdict", _sum(left_s, gauntlet_s))
        return
    verdict_s: float | None = 0.0
    if gauntlet is not None:
        verdict_s = outlook.left_s(gauntlet)
        yield _milestone("verdict", "verdict on the candidate", verdict_s)
    games_s = None if not per_h else missing * 3600 / per_h
    if missing <= 0:
        games_s = None if held and gauntlet is None else 0.0
    begins_s = None if games_s is None or verdict_s is None else max(games_s, verdict_s)
    ready_s = _sum(begins_s, outlook.duration_s(game, "training"))
    yield _milestone("training", f"{first} begins to train", begins_s)
    yield _milestone("candidate", f"{first} is trained", ready_s)
    if gauntlet is None:
        yield _milestone("verdict", "its verdict", _sum(ready_s, gauntlet_s))


def span(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _milestone(what: str, text: str, in_s: float | None) -> Milestone:
    when = "unknown yet" if in_s is None else f"in about {span(in_s)}" if in_s >= 1 else "any moment"
    return Milestone.model_validate({"what": what, "in_s": in_s, "text": f"{text}: {when}"})


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
