"""The history of rollbacks as a file that people read: `jq '.[0:5]' data/rollback_history.json` shows the newest five.

A projection: made anew from the events whenever one is added, so a lost or damaged file costs nothing.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.record import Digest
from ringrift_core.registry.rollback_policy import Trigger
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole

ENTRIES_MAX = 1000  # the newest ones; all of them are in the log they come from
BYTES_MAX = 1 << 24


class RollbackEvent(BaseModel):
    """A rollback that was tried. ValidationError (a ValueError) for values that cannot be."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    model_id: Annotated[str, Field(min_length=1, max_length=200)]  # the configuration, such as square8_2p
    from_version: Annotated[int, Field(ge=1)]
    from_sha256: Digest
    to_version: Annotated[int, Field(ge=1)]
    to_sha256: Digest
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    trigger: Trigger
    metrics_before: dict[str, float | None] = {}
    metrics_after: dict[str, float | None] = {}
    timestamp: AwareDatetime
    success: bool

    @field_validator("reason", "model_id")
    @classmethod
    def _encodable(cls, value: str) -> str:
        value.encode()
        return value


_ENTRIES = TypeAdapter(tuple[RollbackEvent, ...])


def rollback_history(events: Iterable[RollbackEvent]) -> str:
    """The newest events, newest first, as a JSON array; of equal times the later one in `events` is newer."""
    ordered = sorted(enumerate(events), key=lambda pair: (pair[1].timestamp, pair[0]), reverse=True)
    entries = [event.model_dump(mode="json") for _, event in ordered[:ENTRIES_MAX]]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def write_history(path: Path, events: Iterable[RollbackEvent]) -> None:
    """Write the file, complete or not at all."""
    content = rollback_history(events).encode()
    make_folder(path.parent)
    write_whole(path, content)
    sync_folder(path.parent)


def read_history(path: Path) -> tuple[RollbackEvent, ...]:
    """The events of a file, newest first; none where there is no file. StorageError for any other file."""
    if not path.exists():
        return ()
    try:
        events = _ENTRIES.validate_json(read_bounded(path, BYTES_MAX))
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(map(str, found["loc"]))
        raise StorageError(
            f"{path}: no history of rollbacks: {place}: {found['msg']}; delete it, it is made anew from the events"
        ) from None
    if any(newer.timestamp < older.timestamp for newer, older in pairwise(events)):
        raise StorageError(f"{path}: not newest first; delete it, it is made anew from the events")
    return events
