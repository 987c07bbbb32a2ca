"""The parts of gauntlets: what a judge says that it will need, and which chunks other nodes play or have played."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job, JobStatus
from managers.state.record import Record
from managers.state.tasks import PartTask

AHEAD_MAX = 16  # chunks that a judge tells of
Number = Annotated[int, Field(ge=0, lt=1 << 31)]


class AheadChunk(Record):
    """A chunk of a row: from the block `first` to before `last`."""

    row: Number
    first: Number
    last: Number


Ahead = Annotated[tuple[AheadChunk, ...], Field(max_length=AHEAD_MAX)]
_AHEAD: TypeAdapter[tuple[AheadChunk, ...]] = TypeAdapter(Ahead)


def ahead_of(report: Mapping[str, object]) -> tuple[AheadChunk, ...]:
    """What a gauntlet last reported of the chunks to come; none where that cannot be understood."""
    row, ahead = report.get("row"), report.get("ahead")
    if not isinstance(ahead, list):
        return ()
    try:
        return _AHEAD.validate_python([{"row": row, "first": it[0], "last": it[1]} for it in ahead])
    except (ValidationError, TypeError, LookupError):
        return ()


def parts_of(state: ClusterState, gauntlet: Job) -> tuple[Job, ...]:
    """The parts of a gauntlet that the state remembers, ended ones too."""
    found = []
    for job in reversed(state.jobs.finished.values()):
        if (job.ended_at or 0.0) < gauntlet.queued_at:
            break  # thousands are remembered, and all that ended before it are none of it
        if isinstance(job.task, PartTask) and job.task.gauntlet == gauntlet.id:
            found.append(job)
    found.reverse()
    found += [
        job for job in state.jobs.active.values()
        if isinstance(job.task, PartTask) and job.task.gauntlet == gauntlet.id
    ]  # fmt: skip
    return tuple(found)


def chunk_of(part: Job) -> AheadChunk:
    """Which chunk a part is."""
    assert isinstance(part.task, PartTask), "it is a part"
    return AheadChunk(row=part.task.row, first=part.task.first, last=part.task.last)


def played_by(state: ClusterState, gauntlet: Job) -> Mapping[str, int]:
    """How many chunks each other node has played of a gauntlet."""
    found: dict[str, int] = {}
    for part in parts_of(state, gauntlet):
        if part.status is JobStatus.SUCCEEDED and part.node is not None:
            found[part.node] = found.get(part.node, 0) + 1
    return found
