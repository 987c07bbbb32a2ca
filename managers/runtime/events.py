"""The events, one class each, and the table from public names to classes (docs/reference/events.md, generated).

A class docstring says when it happens. Fields carry the names that users know from the documents; those that may be
unknown are None, and left out of the payload. Ratios are shares from 0 to 1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import ValidationError

from managers.runtime.event import (
    Count,
    DataEventType,
    Event,
    GameEvent,
    Numbers,
    Positive,
    Reason,
    Seconds,
    Share,
    refusal,
)
from ringrift_core.errors import RulesError
from ringrift_core.evaluation.record import Digest, GameName, Label


class WorkEvent(Event):
    """A fact about one job."""

    work_id: Label
    work_type: Label
    config_key: GameName | None = None
    node_id: Label | None = None


class WorkQueued(WorkEvent):
    """A job was put into the queue, or back into it."""

    type = DataEventType.WORK_QUEUED


class WorkClaimed(WorkEvent):
    """A job was assigned to a node."""

    type = DataEventType.WORK_CLAIMED
    node_id: Label
    fence: Positive
    attempt: Positive = 1


class WorkStarted(WorkEvent):
    """The node runs the job's process."""

    type = DataEventType.WORK_STARTED
    node_id: Label
    fence: Positive | None = None


class WorkCompleted(WorkEvent):
    """A job succeeded and its result was committed."""

    type = DataEventType.WORK_COMPLETED
    duration_seconds: Seconds | None = None


class WorkFailed(WorkEvent):
    """A job's attempt failed."""

    type = DataEventType.WORK_FAILED
    reason: Reason
    attempts_left: Count = 0


class WorkLost(WorkEvent):
    """The node of a job was not heard of until the lease ended."""

    type = DataEventType.WORK_LOST
    reason: Reason
    attempts_left: Count = 0


class WorkCancelled(WorkEvent):
    """A job is not wanted any more."""

    type = DataEventType.WORK_CANCELLED
    reason: Reason


class SelfplayComplete(GameEvent):
    """Games of selfplay are there to be learned from: a shard was verified and counted."""

    type = DataEventType.SELFPLAY_COMPLETE
    games_completed: Positive
    total_games: Count | None = None
    samples: Count | None = None
    node_id: Label | None = None
    model_id: Label | None = None
    shard_sha256: Digest | None = None
    duration_seconds: Seconds | None = None
    games_per_second: Seconds | None = None


class TrainingThresholdReached(GameEvent):
    """There are enough new samples for a training run."""

    type = DataEventType.TRAINING_THRESHOLD_REACHED
    sample_count: Count
    threshold: Count
    quality_score: Share | None = None


class TrainingEvent(GameEvent):
    """A fact about one training run."""

    job_id: Label | None = None
    node_id: Label | None = None


class TrainingStarted(TrainingEvent):
    """A training run began."""

    type = DataEventType.TRAINING_STARTED
    steps: Count | None = None
    samples: Count | None = None
    parent_sha256: Digest | None = None


class TrainingProgress(TrainingEvent):
    """A training run went on; told now and then."""

    type = DataEventType.TRAINING_PROGRESS
    step: Count | None = None
    steps: Count | None = None
    epoch: Count | None = None
    loss: float | None = None


class TrainingCompleted(TrainingEvent):
    """A training run finished and its candidate was committed."""

    type = DataEventType.TRAINING_COMPLETED
    model_sha256: Digest | None = None
    model_path: Label | None = None
    epochs: Count | None = None
    steps: Count | None = None
    final_loss: float | None = None
    samples_trained: Count | None = None
    duration_seconds: Seconds | None = None
    early_stopped: bool | None = None
    trained_by: Label | None = None


class TrainingFailed(TrainingEvent):
    """A training run ended without a candidate."""

    type = DataEventType.TRAINING_FAILED
    reason: Reason


class ModelEvent(GameEvent):
    """A fact about one net."""

    model_sha256: Digest | None = None
    model_path: Label | None = None


class EvaluationStarted(ModelEvent):
    """A candidate's gauntlet began."""

    type = DataEventType.EVALUATION_STARTED
    job_id: Label | None = None


class EvaluationProgress(ModelEvent):
    """A gauntlet went on; told now and then."""

    type = DataEventType.EVALUATION_PROGRESS
    job_id: Label | None = None
    opponent: Label | None = None
    games_played: Count | None = None
    win_rate: Share | None = None


class EvaluationCompleted(ModelEvent):
    """A gauntlet finished; it played at least one game."""

    type = DataEventType.EVALUATION_COMPLETED
    games_played: Positive
    passed: bool
    job_id: Label | None = None
    elo: float | None = None
    win_rate: Share | None = None
    opponent_results: Numbers | None = None
    vs_random_rate: Share | None = None
    vs_heuristic_rate: Share | None = None
    vs_previous_rate: Share | None = None


class CurrentNetChanged(GameEvent):
    """Selfplay uses another net."""

    type = DataEventType.CURRENT_NET_CHANGED
    model_sha256: Digest
    previous_sha256: Digest | None = None


class ModelPromoted(GameEvent):
    """A candidate became champion."""

    type = DataEventType.MODEL_PROMOTED
    model_sha256: Digest
    model_path: Label | None = None
    version: Positive | None = None
    new_elo: float | None = None
    previous_elo: float | None = None
    elo_delta: float | None = None
    promoted_at: Seconds | None = None
    supersedes: Digest | None = None
    forced: bool = False


class ModelPromotionFailed(ModelEvent):
    """A candidate was judged and did not become champion."""

    type = DataEventType.MODEL_PROMOTION_FAILED
    reason: Reason
    vs_random_rate: Share | None = None
    vs_heuristic_rate: Share | None = None
    vs_previous_rate: Share | None = None
    thresholds: Numbers | None = None


class ModelRolledBack(GameEvent):
    """The champion was taken back; the one before plays again."""

    type = DataEventType.MODEL_ROLLED_BACK
    from_sha256: Digest
    to_sha256: Digest
    reason: Reason
    trigger: Literal["manual", "auto_elo", "auto_error"]


class RegressionDetected(GameEvent):
    """The champion is weaker than it was shown to be."""

    type = DataEventType.REGRESSION_DETECTED
    severity: Literal["minor", "moderate", "severe", "critical"]
    elo_drop: float
    baseline_elo: float | None = None
    current_elo: float | None = None
    consecutive_regressions: Count | None = None
    recommendation: Reason | None = None


class EloUpdated(GameEvent):
    """A net was rated anew."""

    type = DataEventType.ELO_UPDATED
    model_id: Label
    new_elo: float
    previous_elo: float | None = None
    games_played: Count | None = None


class CurriculumRebalanced(Event):
    """The configurations' shares of selfplay changed."""

    type = DataEventType.CURRICULUM_REBALANCED
    weights: Numbers
    previous_weights: Numbers | None = None
    trigger: Label | None = None


class LoopHalted(Event):
    """No new work is begun until the loop is resumed."""

    type = DataEventType.LOOP_HALTED
    reason: Reason
    by: Label | None = None


class LoopResumed(Event):
    """Work is begun again."""

    type = DataEventType.LOOP_RESUMED
    by: Label | None = None


class DaemonEvent(Event):
    """A fact about one service of a node."""

    daemon: Label
    node_id: Label | None = None


class DaemonStarted(DaemonEvent):
    """A service runs and is ready."""

    type = DataEventType.DAEMON_STARTED
    restarts: Count = 0


class DaemonStopped(DaemonEvent):
    """A service was stopped, or is done."""

    type = DataEventType.DAEMON_STOPPED
    reason: Reason | None = None


class DaemonStatusChanged(DaemonEvent):
    """A service stands elsewhere: it failed, was given up, stalled or goes on."""

    type = DataEventType.DAEMON_STATUS_CHANGED
    status: Label
    stalled: bool = False
    reason: Reason | None = None


class DiskSpaceLow(Event):
    """A node's disk has less free space than it keeps free."""

    type = DataEventType.DISK_SPACE_LOW
    node_id: Label
    path: Label
    free_bytes: Count
    threshold_bytes: Count


class MemoryPressure(Event):
    """A node has less memory left than it keeps free."""

    type = DataEventType.MEMORY_PRESSURE
    node_id: Label
    available_bytes: Count
    threshold_bytes: Count


class CanonicalDamaged(GameEvent):
    """A node's canonical file is not the champion, and nobody said it should not be."""

    type = DataEventType.CANONICAL_DAMAGED
    node_id: Label
    path: Label
    expected_sha256: Digest
    found_sha256: Digest | None = None


class EventsMissed(Event):
    """A node took over a whole state; of the transitions that led to it there it has told no event."""

    type = DataEventType.EVENTS_MISSED
    node_id: Label
    first_seq: Positive
    last_seq: Positive


EVENTS: Mapping[DataEventType, type[Event]] = MappingProxyType(
    {
        kind.type: kind
        for kind in (
            *(WorkQueued, WorkClaimed, WorkStarted, WorkCompleted, WorkFailed, WorkLost, WorkCancelled),
            *(SelfplayComplete, TrainingThresholdReached, TrainingStarted, TrainingProgress, TrainingCompleted),
            *(TrainingFailed, EvaluationStarted, EvaluationProgress, EvaluationCompleted, CurrentNetChanged),
            *(ModelPromoted, ModelPromotionFailed, ModelRolledBack, RegressionDetected, EloUpdated),
            *(CurriculumRebalanced, LoopHalted, LoopResumed, DaemonStarted, DaemonStopped, DaemonStatusChanged),
            *(DiskSpaceLow, MemoryPressure, CanonicalDamaged, EventsMissed),
        )
    }
)


def make_event(name: str, payload: Mapping[str, object], source: str, at: float) -> Event:
    """An event of a public name, alias or dotted topic; RulesError naming the field that is wrong."""
    kind = EVENTS[DataEventType.of(name)]
    if own := set(payload) & set(Event.model_fields):
        raise RulesError(f"{kind.type}: {min(own)}: belongs to the event, not to its payload")
    try:
        return kind.model_validate({**payload, "source": source, "at": at})
    except ValidationError as error:
        raise refusal(kind.type, error) from None
