"""What the registry knows of a net: its version, the stages it can be in, and what can be wrong with its files."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path

from ringrift_core.errors import InvariantError, RulesError
from ringrift_core.game.config_key import ConfigKey

DEPTH_MAX = 8  # of mappings and lists in each other, as in a checkpoint
PLAIN_BYTES_MAX = 1 << 20  # of one set of metrics as JSON


class Stage(StrEnum):
    """Where a version stands."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    REJECTED = "rejected"


# Production is entered by `install` and left when another version is installed, by nothing else.
LEGAL: Mapping[Stage, frozenset[Stage]] = {
    Stage.DEVELOPMENT: frozenset({Stage.STAGING, Stage.ARCHIVED, Stage.REJECTED}),
    Stage.STAGING: frozenset({Stage.DEVELOPMENT, Stage.ARCHIVED, Stage.REJECTED}),
    Stage.PRODUCTION: frozenset(),
    Stage.ARCHIVED: frozenset({Stage.STAGING, Stage.REJECTED}),
    Stage.REJECTED: frozenset({Stage.STAGING, Stage.ARCHIVED}),
}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A net of one configuration; mappings hold plain values only, as its checkpoint has them."""

    key: ConfigKey
    version: int  # 1, 2, 3 .. within the configuration
    sha256: str  # of the file: the identity
    size_bytes: int
    stage: Stage
    arch: str
    rules_digest: str
    label: int  # the version that the checkpoint gives itself
    trained_at: str
    elo: float | None  # what the checkpoint says of itself
    parent: str | None  # sha256 of the checkpoint it was trained from
    data: Mapping[str, object]
    train: Mapping[str, object]
    gauntlet: Mapping[str, object]
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Transition:
    """A version went from one stage to another; registering comes from no stage."""

    sha256: str
    from_stage: Stage | None
    to_stage: Stage
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics of a version, as they were measured once."""

    at: datetime
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Lineage:
    """A version and its parents, the oldest known one last."""

    versions: tuple[ModelVersion, ...]
    missing: str | None  # the parent that the oldest one names and nobody here knows
    cycle: bool  # a parent came up a second time; the chain ends before it


class Fault(Enum):
    """What can be wrong with the files."""

    UNEXPECTED_CANONICAL = "the canonical file is not the production version"
    MISSING_CANONICAL = "there is a production version and no canonical file"
    MISSING_BLOB = "the file of a version is missing"
    DAMAGED_BLOB = "the file of a version is not what its name says"
    UNKNOWN_BLOB = "a file among the versions that the index does not know"
    DANGLING_LINK = "the link to the best net leads nowhere or elsewhere"
    UNFINISHED_INSTALL = "an install was interrupted"
    LEFTOVER = "an unfinished file of a killed writer"
    DAMAGED_INDEX = "the index contradicts itself"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, where, and what to do about it."""

    fault: Fault
    path: Path
    message: str


def utc_text(at: datetime) -> str:
    """A moment as text that sorts by time; InvariantError without a time zone."""
    if at.tzinfo is None:
        raise InvariantError("a time needs a time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def plain_json(values: Mapping[str, object]) -> str:
    """Plain finite values as JSON; RulesError names what is none."""
    _refuse_unplain("metrics", values, DEPTH_MAX)
    text = json.dumps(values, allow_nan=False, sort_keys=True)
    if len(text) > PLAIN_BYTES_MAX:
        raise RulesError(f"metrics: more than {PLAIN_BYTES_MAX} bytes")
    return text


def _refuse_unplain(name: str, value: object, depth: int) -> None:
    if isinstance(value, Mapping | list | tuple) and depth == 0:
        raise RulesError(f"{name}: nested too deeply")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise RulesError(f"{name}: the key {key!r} is no text")
            _refuse_unplain(f"{name}.{key}", item, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_unplain(name, item, depth - 1)
    elif type(value) is float:
        if not math.isfinite(value):
            raise RulesError(f"{name}: {value} is no finite number")
    elif value is not None and type(value) not in {str, int, bool}:
        raise RulesError(f"{name}: {type(value).__name__} is no plain value")
