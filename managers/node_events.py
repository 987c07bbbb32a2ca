"""What a node tells its router: what changed in the state, how its jobs go on, what is wrong with it.

Told here and nowhere else. An event that cannot be made is logged and left out: nothing that must happen hangs on one.
"""

import logging
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from managers.event_source import events_of
from managers.model_installer import Finding
from managers.ports import Report
from managers.resource_watch import Resources
from managers.runtime.event import DataEventType
from managers.runtime.event_router import EventRouter
from managers.state.cluster_state import ClusterState, Result
from managers.state.jobs import Job
from managers.state.tasks import GauntletTask, TrainingTask
from ringrift_core.errors import RulesError

PROGRESS_S = 5.0  # between two progress events of a job

logger = logging.getLogger(__name__)


class NodeEvents:
    """Publishes; `monotonic` is for the rate of progress events."""

    def __init__(self, router: EventRouter, node: str, monotonic: Callable[[], float]) -> None:
        self._router = router
        self._node = node
        self._monotonic = monotonic
        self._told: dict[str, float] = {}  # when progress of a job was last told, by its name

    def changed(self, before: ClusterState, after: ClusterState, result: Result) -> None:
        """A command was applied."""
        try:
            for event in events_of(before, after, result):
                self._router.publish(event)
        except (RulesError, ValidationError, LookupError):
            logger.exception("the events of transition %s cannot be told", result.seq)

    def reported(self, job: Job, report: Report) -> None:
        """A job has reported."""
        now = self._monotonic()
        if report.get("event") != "progress" or now - self._told.get(job.id, -PROGRESS_S) < PROGRESS_S:
            return
        self._told = {name: at for name, at in self._told.items() if now - at < PROGRESS_S} | {job.id: now}
        match job.task:
            case TrainingTask():
                loss = report.get("total")
                payload = {"step": report.get("step"), "steps": report.get("steps"), "loss": loss}
                self._publish(DataEventType.TRAINING_PROGRESS, {**self._of(job), "node_id": self._node, **payload})
            case GauntletTask() as task:
                games, share = report.get("games"), _share(report)
                payload = {"opponent": report.get("opponent"), "games_played": games, "win_rate": share}
                who = {**self._of(job), "model_sha256": task.candidate}
                self._publish(DataEventType.EVALUATION_PROGRESS, {**who, **payload})
            case _:
                pass

    def resources(self, found: Resources, root: str) -> None:
        """The node has become unfit for work."""
        if found.disk_low:
            payload = {"path": root, "free_bytes": found.disk_free_bytes, "threshold_bytes": found.disk_floor_bytes}
            self._publish(DataEventType.DISK_SPACE_LOW, {"node_id": self._node, **payload})
        else:
            payload = {"available_bytes": found.memory_free_bytes, "threshold_bytes": found.memory_floor_bytes}
            self._publish(DataEventType.MEMORY_PRESSURE, {"node_id": self._node, **payload})

    def damaged(self, finding: Finding, expected: str) -> None:
        """A canonical file is not what it should be."""
        payload = {"expected_sha256": expected, "found_sha256": finding.sha256}
        place = f"models/canonical_{finding.game}.pth"
        self._publish(
            DataEventType.CANONICAL_DAMAGED,
            {"config_key": finding.game, "node_id": self._node, "path": place, **payload},
        )

    def missed(self, before: int, after: int) -> None:
        """The state of a seq took the place of that of an earlier one; nobody is told what happened in between."""
        payload = {"node_id": self._node, "first_seq": before + 1, "last_seq": after}
        self._publish(DataEventType.EVENTS_MISSED, payload)

    def rebalanced(self, weights: Mapping[str, float], before: Mapping[str, float]) -> None:
        """The configurations' curriculum weights are others."""
        self._publish(DataEventType.CURRICULUM_REBALANCED, {"weights": weights, "previous_weights": before or None})

    def _of(self, job: Job) -> dict[str, object]:
        return {"config_key": job.game, "job_id": job.id}

    def _publish(self, name: DataEventType, payload: Mapping[str, object]) -> None:
        known = {key: value for key, value in payload.items() if value is not None}
        try:
            self._router.publish(name.value, known, self._node)
        except RulesError:
            logger.exception("%s cannot be told", name)


def _share(report: Report) -> float | None:
    """The games won of those played, where a report says both."""
    games, wins = report.get("games"), report.get("wins")
    return wins / games if isinstance(games, int) and isinstance(wins, int) and 0 <= wins <= games > 0 else None
