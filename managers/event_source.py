"""Events out of transitions: what changed in the state, as people and subscribers read it.

Derived from the states before and after a command alone, so every node tells the same events with the same names, and a
node that tells none loses nothing. What only this node knows (progress of its jobs, its disk) is published by whoever
knows it.
"""

from collections.abc import Callable, Iterator, Mapping

from managers.runtime.event import DataEventType, Event
from managers.runtime.events import EVENTS
from managers.signal_computer import rating_of
from managers.state.cluster_state import ClusterState, Result, Transition, What
from managers.state.jobs import Job
from managers.state.tasks import (
    CanaryOutcome,
    GauntletOutcome,
    GauntletTask,
    TrainingOutcome,
    TrainingTask,
)

SOURCE = "cluster"  # replicated facts have no one node as their source
UNSAID = "no reason given"
Payload = dict[str, object]
Told = Iterator[tuple[DataEventType, Payload]]


def events_of(before: ClusterState, after: ClusterState, result: Result) -> tuple[Event, ...]:
    """The events of an accepted command, in order; none of a refused one."""
    told = [(name, payload) for transition in result.transitions for name, payload in _told(transition, before, after)]
    return tuple(
        EVENTS[name].model_validate(
            {
                **{key: value for key, value in payload.items() if value is not None},
                "at": after.now,
                "source": SOURCE,
                "seq": result.seq,
                "index": index,
            }
        )
        for index, (name, payload) in enumerate(told)
    )


def _told(transition: Transition, before: ClusterState, after: ClusterState) -> Told:
    if transition.job is not None and transition.what in JOB_EVENTS:
        job = after.jobs.get(transition.job)
        if job is not None:
            yield from JOB_EVENTS[transition.what](job, before, after)
    elif transition.game is not None and transition.what in GAME_EVENTS:
        yield from GAME_EVENTS[transition.what](transition.game, before, after)
    elif transition.what is What.HALTED and after.halt is not None:
        yield DataEventType.LOOP_HALTED, {"reason": after.halt.reason or UNSAID, "by": after.halt.by}
    elif transition.what is What.RESUMED:
        yield DataEventType.LOOP_RESUMED, {}


# ---- jobs ----


def _work(job: Job) -> Payload:
    return {"work_id": job.id, "work_type": job.kind, "config_key": job.game}


def _queued(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    yield DataEventType.WORK_QUEUED, _work(job)
    if isinstance(job.task, TrainingTask) and not job.attempts:
        payload: Payload = {"config_key": job.game, "sample_count": job.task.rows_made}
        yield DataEventType.TRAINING_THRESHOLD_REACHED, {**payload, "threshold": job.task.steps * job.task.batch}


def _leased(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    more = {"node_id": job.node, "fence": job.fence, "attempt": job.attempts + 1}
    yield DataEventType.WORK_CLAIMED, {**_work(job), **more}


def _started(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    yield DataEventType.WORK_STARTED, {**_work(job), "node_id": job.node, "fence": job.fence}
    if isinstance(job.task, TrainingTask):
        yield (
            DataEventType.TRAINING_STARTED,
            {
                "config_key": job.game,
                "job_id": job.id,
                "node_id": job.node,
                "steps": job.task.steps,
                "samples": job.task.rows_made,
                "parent_sha256": job.task.parent,
            },
        )
    elif isinstance(job.task, GauntletTask):
        yield (
            DataEventType.EVALUATION_STARTED,
            {"config_key": job.game, "job_id": job.id, "model_sha256": job.task.candidate},
        )


def _succeeded(job: Job, before: ClusterState, _after: ClusterState) -> Told:
    took_s = None if job.started_at is None or job.ended_at is None else job.ended_at - job.started_at
    yield DataEventType.WORK_COMPLETED, {**_work(job), "node_id": job.node, "duration_seconds": took_s}
    match job.outcome:
        case TrainingOutcome() as made:
            yield (
                DataEventType.TRAINING_COMPLETED,
                {
                    "config_key": job.game,
                    "job_id": job.id,
                    "node_id": job.node,
                    "trained_by": job.node,
                    "model_sha256": made.candidate,
                    "steps": made.steps,
                    "samples_trained": made.samples_total,
                    "final_loss": made.losses.get("total"),
                    "duration_seconds": took_s,
                },
            )
        case GauntletOutcome() as found:
            yield from _judged(job, found)
            yield from _rated(job.game, before, found)
        case CanaryOutcome() as seen:
            yield from _rated(job.game, before, seen)


def _judged(job: Job, found: GauntletOutcome) -> Told:
    assert isinstance(job.task, GauntletTask)
    rates = {row.opponent: row.share for row in found.rows}
    shared: Payload = {
        "config_key": job.game,
        "model_sha256": job.task.candidate,
        "vs_random_rate": rates.get("random"),
        "vs_heuristic_rate": rates.get("heuristic"),
        "vs_previous_rate": rates.get("champion"),
    }
    passed = found.verdict == "passed"
    mine = next((it.elo for it in found.ratings if it.sha256 == job.task.candidate), None)
    yield (
        DataEventType.EVALUATION_COMPLETED,
        {
            **shared,
            "job_id": job.id,
            "games_played": sum(row.games for row in found.rows),
            "win_rate": sum(row.wins for row in found.rows) / sum(row.games for row in found.rows),
            "opponent_results": {f"{row.opponent} {row.sha256[:8]}": row.share for row in found.rows},
            "passed": passed,
            "elo": mine,
        },
    )
    if not passed:
        thresholds = {"random": job.task.form.random, "heuristic": job.task.form.heuristic}
        yield (
            DataEventType.MODEL_PROMOTION_FAILED,
            {
                **shared,
                "reason": found.reason or UNSAID,
                "thresholds": {**thresholds, "previous": job.task.form.champion},
            },
        )


def _rated(game: str, before: ClusterState, found: GauntletOutcome | CanaryOutcome) -> Told:
    """Nets whose rating moved, as they are judged."""
    known = {(it.sha256, it.sims): it.elo for it in before.learner(game).ratings}
    nets = before.learner(game).nets
    for rating in found.ratings:
        earlier = known.get((rating.sha256, rating.sims))
        if rating.sha256 in nets and rating.elo != earlier:
            payload: Payload = {"model_id": rating.sha256, "new_elo": rating.elo, "previous_elo": earlier}
            yield DataEventType.ELO_UPDATED, {"config_key": game, **payload}


def _failed(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    yield (
        DataEventType.WORK_FAILED,
        {**_work(job), "reason": job.reason or UNSAID, "attempts_left": _attempts_left(job)},
    )


def _failed_for_good(job: Job, before: ClusterState, after: ClusterState) -> Told:
    yield from _failed(job, before, after)
    yield from _given_up(job)


def _given_up(job: Job) -> Told:
    if isinstance(job.task, TrainingTask):
        payload: Payload = {"config_key": job.game, "job_id": job.id, "node_id": job.node}
        yield DataEventType.TRAINING_FAILED, {**payload, "reason": job.reason or UNSAID}


def _attempts_left(job: Job) -> int:
    """How often a job will still be tried; never, when it has ended."""
    return job.attempts_max - job.attempts if job.ended_at is None else 0


def _released(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    yield DataEventType.WORK_QUEUED, _work(job)


def _cancelled(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    yield DataEventType.WORK_CANCELLED, {**_work(job), "reason": job.reason or UNSAID}


def _lost(job: Job, _before: ClusterState, _after: ClusterState) -> Told:
    payload: Payload = {"reason": job.reason or UNSAID, "attempts_left": _attempts_left(job)}
    yield DataEventType.WORK_LOST, {**_work(job), **payload}
    if job.ended_at is not None:
        yield from _given_up(job)


# ---- learners ----


def _counted(game: str, before: ClusterState, after: ClusterState) -> Told:
    earlier, now = before.learner(game).total, after.learner(game).total
    if now.games > earlier.games:
        payload: Payload = {"games_completed": now.games - earlier.games, "total_games": now.games}
        payload |= {"samples": now.rows - earlier.rows, "model_id": after.learner(game).current}
        yield DataEventType.SELFPLAY_COMPLETE, {"config_key": game, **payload}


def _current(game: str, before: ClusterState, after: ClusterState) -> Told:
    payload: Payload = {"config_key": game, "model_sha256": after.learner(game).current}
    yield DataEventType.CURRENT_NET_CHANGED, {**payload, "previous_sha256": before.learner(game).current}


def _promoted(game: str, _before: ClusterState, after: ClusterState) -> Told:
    learner = after.learner(game)
    reign = learner.reign
    assert reign is not None, "a promotion begins one"
    mine, earlier = rating_of(learner, reign.sha256), rating_of(learner, reign.replaced)
    yield (
        DataEventType.MODEL_PROMOTED,
        {
            "config_key": game,
            "model_sha256": reign.sha256,
            "model_path": f"models/canonical_{game}.pth",
            "version": learner.nets[reign.sha256].version or None,
            "new_elo": None if mine is None else mine[0],
            "previous_elo": None if earlier is None else earlier[0],
            "elo_delta": None if mine is None or earlier is None else mine[0] - earlier[0],
            "promoted_at": reign.at,
            "supersedes": reign.replaced,
            "forced": reign.kind == "manual",
        },
    )


def _rolled_back(game: str, _before: ClusterState, after: ClusterState) -> Told:
    rollback = after.learner(game).rollbacks[-1]
    if rollback.trigger == "auto_elo":  # failing games say nothing about strength
        yield from _regression(game, rollback.metrics)
    yield (
        DataEventType.MODEL_ROLLED_BACK,
        {
            "config_key": game,
            "from_sha256": rollback.from_sha256,
            "to_sha256": rollback.to_sha256,
            "reason": rollback.reason or UNSAID,
            "trigger": rollback.trigger,
        },
    )


def _regression(game: str, metrics: Mapping[str, float | None]) -> Told:
    drop = metrics.get("drop_elo")
    if drop is None:
        return
    severity = next((name for name, least in SEVERITIES if drop >= least), "minor")
    yield DataEventType.REGRESSION_DETECTED, {"config_key": game, "severity": severity, "elo_drop": drop}


SEVERITIES = (("critical", 75.0), ("severe", 50.0), ("moderate", 35.0))  # Elo lost; below that it is minor
JOB_EVENTS: Mapping[What, Callable[[Job, ClusterState, ClusterState], Told]] = {
    What.JOB_QUEUED: _queued,
    What.JOB_LEASED: _leased,
    What.JOB_STARTED: _started,
    What.JOB_SUCCEEDED: _succeeded,
    What.JOB_RETRIED: _failed,
    What.JOB_FAILED: _failed_for_good,
    What.JOB_RELEASED: _released,
    What.JOB_CANCELLED: _cancelled,
    What.JOB_LOST: _lost,
}
GAME_EVENTS: Mapping[What, Callable[[str, ClusterState, ClusterState], Told]] = {
    What.DATA_COUNTED: _counted,
    What.CURRENT_CHANGED: _current,
    What.CHAMPION_PROMOTED: _promoted,
    What.CHAMPION_ROLLED_BACK: _rolled_back,
}
