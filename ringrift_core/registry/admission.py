"""A net that a person brings: read, found to be of one game and of these rules, registered, and described.

Reading a net takes torch, so a process that answers others does it in a child: `python -m ringrift_core.registry`.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.model_files import SIZE_MAX
from ringrift_core.registry.model_registry import PREFIX, ModelRegistry
from ringrift_core.registry.model_version import ModelVersion
from ringrift_core.storage import read_bounded

COUNT_MAX = 1 << 62  # as the replicated state counts


class AdmittedNet(BaseModel):
    """A net of the registry; what it says of itself counts as 0 or None where it makes no sense."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=1)]
    version: Annotated[int, Field(ge=0)]  # label
    parent: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    evaluations: Annotated[int, Field(ge=0)]
    samples_total: Annotated[int, Field(ge=0)]
    rules_digest: str


def admit(models: Path, path: Path, key: ConfigKey, now: datetime) -> AdmittedNet:
    """Register a checkpoint; StorageError, and nothing is registered, for one that is none of this game and rules."""
    from ringrift_core.nn.checkpoint import load_checkpoint  # noqa: PLC0415 - torch takes seconds to import

    load_checkpoint(path, key)
    version = ModelRegistry(models).register(path, now)
    if version.key != key:
        raise StorageError(f"{path}: changed while it was read: bring it once it is complete")
    return described(version)


def admitted(models: Path, path: Path, key: ConfigKey) -> AdmittedNet | None:
    """A net that is registered already, told by its content; None where it is not, RulesError for another game's."""
    sha256 = hashlib.sha256(read_bounded(path, SIZE_MAX)).hexdigest()
    try:
        version = ModelRegistry(models).find(sha256)
    except RulesError:
        return None
    if version.key != key:
        raise RulesError(f"{path} holds a net of {version.key}, not of {key}")
    return described(version)


def described(version: ModelVersion) -> AdmittedNet:
    """A version as the replicated state takes it."""
    parent = version.parent
    known = parent is not None and len(parent) == 64 and PREFIX.fullmatch(parent) is not None
    return AdmittedNet(
        sha256=version.sha256,
        size_bytes=version.size_bytes,
        version=min(max(0, version.label), COUNT_MAX - 1),
        parent=parent if known else None,
        evaluations=_count(version.data, "evaluations"),
        samples_total=_count(version.train, "samples_total"),
        rules_digest=version.rules_digest,
    )


def _count(said: Mapping[str, object], name: str) -> int:
    value = said.get(name)
    return value if type(value) is int and 0 <= value < COUNT_MAX else 0
