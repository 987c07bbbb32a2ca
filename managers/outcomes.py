"""Outcomes: what happened, one line each, for people, logs and scripts; made from the transitions of the state.

Nothing in the pipeline listens to them.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from managers.line import Line
from managers.state.cluster_state import ClusterState, Result, Transition, What
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner
from managers.state.record import Record, Time
from managers.state.tasks import GauntletOutcome, GauntletTask, TrainingOutcome, TrainingTask

DIGEST_CHARS = 10  # of a net, as people read it


class Outcome(Record):
    """One thing that happened."""

    at: Time
    event: str  # a transition such as champion_promoted, or trouble, recovered
    game: str | None = None
    job: str | None = None
    node: str | None = None
    weight: Literal["outcome", "step", "trouble"]  # what the loop is for; how it gets there; what went wrong
    text: Line


def outcomes_of(state: ClusterState, result: Result) -> Iterator[Outcome]:
    """What a command led to, told from the state after it."""
    for transition in result.transitions:
        weight, text = _told(state, transition)
        yield Outcome(
            at=state.now,
            event=transition.what.value,
            game=transition.game,
            job=transition.job,
            node=transition.node,
            weight=weight,
            text=text,
        )


def short(sha256: str | None) -> str:
    """A net as people read it."""
    return "none" if sha256 is None else sha256[:DIGEST_CHARS]


Weight = Literal["outcome", "step", "trouble"]
Told = tuple[Weight, str]


def _told(state: ClusterState, transition: Transition) -> Told:
    job = state.jobs.get(transition.job or "")
    if transition.what.startswith("job_") and job is not None:
        return _of_job(transition.what, job, transition.node)
    if transition.what is What.HALTED and state.halt is not None:
        return "outcome", f"halted by {state.halt.by}: {state.halt.reason}"
    if transition.what is What.RESUMED:
        return "outcome", "goes on"
    tell = _OF_LEARNER.get(transition.what)
    if tell is not None and transition.game is not None:
        return tell(state.learner(transition.game))
    subject = transition.game or transition.node or ""
    return "step", f"{subject} {transition.what.value.replace('_', ' ')}".strip()


def _of_job(what: What, job: Job, node: str | None) -> Told:
    if what in {What.JOB_FAILED, What.JOB_RETRIED, What.JOB_LOST}:
        again = "; it is queued again" if job.status is JobStatus.QUEUED else ""
        where = "" if node is None else f" on {node}"
        return "trouble", f"{job.id} {what.removeprefix('job_')}{where}: {job.reason}{again}"
    match job.task, job.outcome:
        case _, GauntletOutcome() as outcome:
            assert isinstance(job.task, GauntletTask)
            return "outcome", f"gauntlet of {short(job.task.candidate)}: {outcome.verdict}: {outcome.reason}"
        case _, TrainingOutcome() as outcome:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in sorted(outcome.losses.items()))
            return "step", f"trained {short(outcome.candidate)}: {outcome.steps} steps, {losses or 'no validation'}"
        case GauntletTask() as task, _ if what is What.JOB_STARTED:
            return "outcome", f"gauntlet of {short(task.candidate)} begins"
        case TrainingTask() as task, _ if what is What.JOB_STARTED:
            return "outcome", f"training begins: {task.steps} steps from {short(task.parent)}"
        case _:
            reason = f": {job.reason}" if job.reason else ""
            return "step", f"{job.id} {what.removeprefix('job_')}{reason}"


def _added(learner: Learner) -> Told:
    net = next(reversed(learner.nets.values()))
    return "outcome", f"candidate {short(net.sha256)}, version {net.version}"


def _current(learner: Learner) -> Told:
    return "outcome", f"selfplay goes on with {short(learner.current)}"


def _promoted(learner: Learner) -> Told:
    reign, rating = learner.reign, learner.rating(learner.champion)
    assert reign is not None, "a promotion begins a reign"
    elo = "" if rating is None else f", Elo {rating.elo:.0f} +- {rating.margin:.0f}"
    return "outcome", f"champion {short(reign.sha256)} ({reign.kind}{elo}): {reign.reason}"


def _rolled_back(learner: Learner) -> Told:
    last = learner.rollbacks[-1]
    return "trouble", (
        f"champion {short(last.from_sha256)} was taken back ({last.trigger}): {last.reason}; "
        f"{short(last.to_sha256)} is champion again"
    )


def _held(learner: Learner) -> Told:
    if not learner.held:
        return "outcome", "automatic rollbacks are decided again"
    return "trouble", f"automatic rollbacks stand still until a person has looked: {learner.held}"


def _counted(learner: Learner) -> Told:
    total = learner.total
    return "step", f"{total.games} games, {total.rows} rows"


_OF_LEARNER: dict[What, Callable[[Learner], Told]] = {
    What.CANDIDATE_ADDED: _added,
    What.CURRENT_CHANGED: _current,
    What.CHAMPION_PROMOTED: _promoted,
    What.CHAMPION_ROLLED_BACK: _rolled_back,
    What.ROLLBACKS_HELD: _held,
    What.DATA_COUNTED: _counted,
}
