"""Results as files: one JSON document named by the first 16 hex digits of its SHA-256 (docs/formats/match.md).

Matches and gauntlets are such records. A name that is not that of the content is found out when the file is read.
"""

import hashlib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole

STEM_DIGITS = 16


def _known_game(value: str) -> str:
    try:
        ConfigKey.parse(value)
    except RulesError as error:
        raise ValueError(str(error)) from None  # so that the file is named
    return value


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Stem = Annotated[str, Field(pattern=f"^[0-9a-f]{{{STEM_DIGITS}}}$")]
Label = Annotated[str, Field(min_length=1, max_length=200)]
GameName = Annotated[str, AfterValidator(_known_game)]


class Record(BaseModel):
    """A part of a file: nothing unknown, nothing changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PlayedRecord(Record):
    """A whole file: what was played, and by which rules."""

    form: str
    config_key: GameName
    rules_digest: Digest = RULES_DIGEST


Played = TypeVar("Played", bound=PlayedRecord)


def write_record(folder: Path, record: PlayedRecord, indent: int | None = None) -> Path:
    """Write a record under its name, complete or not at all; return where it is."""
    content = record.model_dump_json(indent=indent).encode()
    make_folder(folder)
    path = folder / f"{_stem(content)}.json"
    write_whole(path, content)
    sync_folder(folder)
    return path


def read_record(path: Path, kind: type[Played], what: str, size_max: int) -> Played:
    """Read a record, called `what`; StorageError when it is damaged, of other rules, or none."""
    content = read_bounded(path, size_max)
    try:
        record = kind.model_validate_json(content)
    except ValidationError as error:
        found = error.errors()[0]
        place = "".join(f"{part}: " for part in (".".join(map(str, found["loc"])),) if part)
        raise StorageError(f"{path}: no {what}: {printable(place + found['msg'])}") from None
    if path.stem != _stem(content):
        raise StorageError(f"{path}: damaged or renamed: its name is not that of its content")
    if record.rules_digest != RULES_DIGEST:
        raise StorageError(f"{path}: played by rules {record.rules_digest[:16]}, ours are {RULES_DIGEST[:16]}")
    return record


def printable(label: str) -> str:
    """A label without what could command a terminal or break a picture."""
    return "".join(letter if letter.isprintable() else "?" for letter in label)


def _stem(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:STEM_DIGITS]
