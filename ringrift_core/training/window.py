"""The replay window: which shards a training run reads, written down and named by digest (docs/formats/training.md).

The newest rows count: with N rows ever made the window has `window_rows(N)` of them (KataGo's power law). A run reads
exactly the shards that its window names, by digest, so the same window and seed give the same net.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.players.names import RULES_OF_THUMB
from ringrift_core.selfplay.fault import ShardError
from ringrift_core.selfplay.manifest import ARRAYS, GAMES_MAX, MANIFEST, SAMPLES_MAX, STEM_DIGITS, Manifest
from ringrift_core.selfplay.shard import Shard, read_manifest, read_shard
from ringrift_core.selfplay.shard_folder import shards_in
from ringrift_core.storage import read_bounded
from ringrift_core.training.quality import quality_problem
from ringrift_core.training.window_size import window_rows

WINDOW_BYTES_MAX = 1 << 28

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=1 << 53)]  # exact as a float


class Record(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowShard(Record):
    """A shard of the window."""

    sha256: Digest  # of the `.npz`
    games: Annotated[int, Field(ge=1, le=GAMES_MAX)]
    samples: Annotated[int, Field(ge=1, le=SAMPLES_MAX)]
    duplicates: tuple[Count, ...] = ()  # numbers of games that stand before in the shard or in a newer one
    searched_by_net: bool  # else by rules of thumb, whose root values say little about the winner

    @model_validator(mode="after")
    def _duplicates_are_games(self) -> Self:
        if any(number >= self.games for number in self.duplicates):
            raise ValueError(f"duplicates: a number of no game; there are {self.games}")
        return self

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.sha256[:STEM_DIGITS]}{ARRAYS}"


class Refusal(Record):
    """A shard that was left out, and why."""

    file: str
    reason: str


class Window(Record):
    """A committed window; totals count every shard of the store that was not refused, inside the window or not."""

    form: Literal["ringrift.window/1"] = "ringrift.window/1"
    config_key: str
    rules_digest: Digest
    shards: Annotated[tuple[WindowShard, ...], Field(min_length=1)]  # the newest first
    newest_at: datetime
    oldest_at: datetime
    games_total: Count
    rows_total: Count
    evaluations_total: Count  # positions judged by nets in selfplay
    refused: tuple[Refusal, ...] = ()

    @model_validator(mode="after")
    def _shards_differ(self) -> Self:
        if len({shard.sha256 for shard in self.shards}) < len(self.shards):
            raise ValueError("a shard is named twice")
        return self

    @property
    def rows(self) -> int:
        """Rows in the window, duplicates included."""
        return sum(shard.samples for shard in self.shards)

    @property
    def games(self) -> int:
        """Games in the window, duplicates included."""
        return sum(shard.games for shard in self.shards)

    def dump(self) -> bytes:
        """The JSON form."""
        return self.model_dump_json(indent=1).encode()

    @property
    def sha256(self) -> str:
        """The digest of the JSON form: the name of the window."""
        return hashlib.sha256(self.dump()).hexdigest()


def read_window(path: Path) -> Window:
    """Read a committed window; StorageError when it is none."""
    try:
        return Window.model_validate_json(read_bounded(path, WINDOW_BYTES_MAX), strict=True)
    except ValidationError as error:
        found = error.errors()[0]
        raise StorageError(f"{path}: no window: {'.'.join(map(str, found['loc']))}: {found['msg']}") from None


@dataclass(frozen=True, slots=True)
class Store:
    """Folders of shards."""

    folders: tuple[Path, ...]

    def manifests(self) -> Iterator[tuple[Path, Manifest | ShardError]]:
        """Every shard with its manifest, or with what is wrong with that; StorageError for a folder that is none."""
        for folder in self.folders:
            for path in shards_in(folder):
                try:
                    yield path, read_manifest(path)
                except ShardError as error:
                    yield path, error

    def read(self, wanted: WindowShard) -> Shard:
        """A shard of a window; StorageError when no folder has it as the window names it."""
        paths = [folder / wanted.file for folder in self.folders if (folder / wanted.file).exists()]
        if not paths:
            raise StorageError(
                f"{wanted.file} of the window is in none of {', '.join(map(str, self.folders))}; "
                "bring it back, or start a new run"
            )
        shard = _read_any(paths)
        counts = shard.manifest.counts
        if (shard.manifest.blob.sha256, counts.games, counts.samples) != (wanted.sha256, wanted.games, wanted.samples):
            raise StorageError(f"{paths[0]}: not the shard that the window names")
        return shard


@dataclass(slots=True)
class _Found:
    """A shard and where its copies are."""

    manifest: Manifest
    paths: list[Path] = field(default_factory=list)


def commit_window(store: Store, key: ConfigKey, now: datetime, age_max: timedelta | None) -> Window:
    """Choose the window of a store; StorageError when there is nothing to train on.

    Shards of other configurations are passed over. Damaged or foreign ones are refused and listed, with the reason.
    `age_max` bounds the age of the newest shard: data that nobody adds to any more is a fault, not a window.
    """
    found, refused = _survey(store, key)
    if not found:
        raise StorageError(
            f"no rows of {key} to train on in {', '.join(map(str, store.folders))}"
            + (f"; {refused[0].file}: {refused[0].reason}" if refused else "; make some with `ringrift selfplay`")
        )
    chosen = _choose(found, refused)
    refused.sort(key=lambda it: (it.file, it.reason))
    if not chosen:
        raise StorageError(f"no sound shard of {key}; {refused[0].file}: {refused[0].reason}")
    times = {it.manifest.blob.sha256: it.manifest.head.created_at for it in found}
    newest = times[chosen[0].sha256]
    if age_max is not None and now - newest > age_max:
        hours = (now - newest).total_seconds() / 3600
        raise StorageError(
            f"the newest shard of {key} is {hours:.0f} hours old, more than {age_max.total_seconds() / 3600:.0f}: "
            "make new games, or say --max-age-hours 0 to train on old ones"
        )
    return Window(
        config_key=str(key),
        rules_digest=RULES_DIGEST,
        shards=tuple(chosen),
        newest_at=newest,
        oldest_at=times[chosen[-1].sha256],
        games_total=sum(it.manifest.counts.games for it in found),
        rows_total=sum(it.manifest.counts.samples for it in found),
        evaluations_total=sum(it.manifest.head.evaluations for it in found if _by_net(it.manifest)),
        refused=tuple(refused),
    )


def _survey(store: Store, key: ConfigKey) -> tuple[list[_Found], list[Refusal]]:
    """The shards of a configuration, once each, by their manifests, the newest first."""
    found: dict[str, _Found] = {}
    refused = []
    for path, manifest in store.manifests():
        if isinstance(manifest, ShardError):
            refused.append(Refusal(file=path.name, reason=_reason(path, manifest)))
        elif manifest.head.config_key != key:
            continue
        elif manifest.rules_digest != RULES_DIGEST:
            reason = f"played by rules {manifest.rules_digest[:16]}, ours are {RULES_DIGEST[:16]}"
            refused.append(Refusal(file=path.name, reason=reason))
        elif manifest.counts.samples == 0:
            refused.append(Refusal(file=path.name, reason="no row in it has a policy target"))
        elif path.stem != manifest.stem:
            refused.append(Refusal(file=path.name, reason=f"not named by its content, which is {manifest.stem}"))
        else:
            it = found.setdefault(manifest.blob.sha256, _Found(manifest))
            it.paths.append(path)
            it.manifest = min(it.manifest, manifest, key=lambda it: (it.head.created_at, it.dump()))
    newest_first = sorted(
        found.values(), key=lambda it: (it.manifest.head.created_at, it.manifest.blob.sha256), reverse=True
    )
    return newest_first, refused


def _choose(found: list[_Found], refused: list[Refusal]) -> list[WindowShard]:
    """The newest sound shards with as many rows as the law gives; the unsound ones go from `found` to `refused`."""
    chosen: list[WindowShard] = []
    known: set[str] = set()
    rows, total = 0, sum(it.manifest.counts.samples for it in found)
    for it in found.copy():
        if rows >= window_rows(total):
            break
        counts = it.manifest.counts
        try:
            duplicates = _examined(it, known)
        except StorageError as error:
            refused.append(Refusal(file=it.paths[0].name, reason=_reason(it.paths[-1], error)))
            found.remove(it)
            total -= counts.samples
            continue
        rows += counts.samples
        chosen.append(
            WindowShard(
                sha256=it.manifest.blob.sha256,
                games=counts.games,
                samples=counts.samples,
                duplicates=duplicates,
                searched_by_net=_by_net(it.manifest),
            )
        )
    return chosen


def _examined(it: _Found, known: set[str]) -> tuple[int, ...]:
    """The numbers of the games in a shard that are known; the others become so. StorageError when it is unfit."""
    shard = _read_any(it.paths)
    shard.replayer().check_all()
    problem = quality_problem(shard)
    if problem:
        raise StorageError(problem)
    duplicates = []
    for number, game in enumerate(shard.game_ids()):
        if game in known:
            duplicates.append(number)
        known.add(game)
    if len(duplicates) == len(shard):
        raise StorageError("every game of it is in newer shards")
    return tuple(duplicates)


def _read_any(paths: Sequence[Path]) -> Shard:
    """The first sound copy of a shard; ShardError of the last one when there is none."""
    for path in paths[:-1]:
        with suppress(ShardError):
            return read_shard(path)
    return read_shard(paths[-1])


def _reason(path: Path, error: StorageError) -> str:
    """What is wrong with a shard, whatever folder it lies in: the digest of a window depends on it."""
    text = str(error)
    for file in (path, path.with_suffix(MANIFEST)):
        text = text.removeprefix(f"{file}: ")
    return text


def _by_net(manifest: Manifest) -> bool:
    return manifest.head.players[0].sha256 not in RULES_OF_THUMB
