"""From the last report of a job to its outcome; a report that is not what it should be is a failed job."""

from collections.abc import Mapping

from pydantic import ValidationError

from managers.state.jobs import Job
from managers.state.tasks import (
    CanaryBlocks,
    CanaryOutcome,
    CanaryTask,
    GauntletOutcome,
    GauntletRow,
    GauntletTask,
    Outcome,
    PartOutcome,
    PartTask,
    Rating,
    SelfplayOutcome,
    SelfplayTask,
    TrainingOutcome,
    TrainingTask,
)
from ringrift_core.errors import InvariantError

RATINGS_MAX = 64  # of the strongest agents; the state holds no more
Report = Mapping[str, object]


def outcome_of(job: Job, done: Report) -> Outcome:
    """What a `done` report says; InvariantError when it does not say it."""
    try:
        return _outcome(job, dict(done))
    except (ValidationError, LookupError, TypeError, ValueError) as error:
        raise InvariantError(f"{job.id} reported what it should not: {str(error).splitlines()[0]}") from error


def _outcome(job: Job, done: dict[str, object]) -> Outcome:
    match job.task:
        case SelfplayTask():
            return SelfplayOutcome.model_validate({"games": done["written_games"], "rows": done["written_samples"]})
        case TrainingTask():
            names = ("size_bytes", "version", "samples_total", "rows", "evaluations", "steps")
            form = {name: done[name] for name in names}
            return TrainingOutcome.model_validate({**form, "candidate": done["sha256"], "losses": done["validation"]})
        case GauntletTask():
            form = {name: done[name] for name in ("result", "verdict", "reason")}
            rows = [GauntletRow.model_validate(_only(row, GauntletRow)) for row in _list(done["rows"])]
            return GauntletOutcome.model_validate({**form, "rows": rows, "ratings": _ratings(done)})
        case PartTask():
            return PartOutcome.model_validate({name: done[name] for name in ("sha256", "games")})
        case CanaryTask():
            blocks = [CanaryBlocks.model_validate(_only(it, CanaryBlocks)) for it in _list(done["blocks"])]
            return CanaryOutcome.model_validate({"blocks": blocks, "ratings": _ratings(done)})


def _ratings(done: dict[str, object]) -> list[Rating]:
    """Of agents that the games of others measure; a guess is no rating."""
    found = [dict(it) for it in _list(done["ratings"])]
    known = [Rating.model_validate(_only(it, Rating)) for it in found if it.get("link") == "measured"]
    return known[:RATINGS_MAX]


def _only(report: Report, record: type[GauntletRow | CanaryBlocks | Rating]) -> dict[str, object]:
    """The part of a report that a record takes."""
    return {name: value for name, value in report.items() if name in record.model_fields}


def _list(value: object) -> list[Report]:
    if not isinstance(value, list) or not all(isinstance(it, dict) for it in value):
        raise TypeError("a list of objects is missing")
    return value
