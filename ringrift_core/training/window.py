"""The replay window: which shards a training run reads, written down and named by digest (docs/formats/training.md).

The newest rows count: with N rows ever made the window has `window_rows(N)` of them (KataGo's power law). A run reads
exactly the shards that its window names, by digest, so the same window and seed give the same net.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.heuristic import HEURISTIC_V1_DIGEST
from ringrift_core.search.evaluator import UNIFORM_DIGEST
from ringrift_core.selfplay.check import shards_in
from ringrift_core.selfplay.fault import ShardError
from ringrift_core.selfplay.manifest import STEM_DIGITS, Manifest
from ringrift_core.selfplay.shard import ARRAYS, Shard, read_manifest, read_shard
from ringrift_core.storage import read_bounded
from ringrift_core.training.quality import quality_problem

# KataGo's law in its settings for small runs: everything up to WINDOW_MIN rows, then growing ever more slowly
WINDOW_MIN = 250_000
WINDOW_EXPONENT = 0.65
WINDOW_SCALE = 0.4
WINDOW_BYTES_MAX = 1 << 28
RULES_OF_THUMB = frozenset({HEURISTIC_V1_DIGEST, UNIFORM_DIGEST})  # judges that are no nets

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


def window_rows(total: int) -> int:
    """How many of `total` rows, the newest ones, a window holds."""
    if total <= WINDOW_MIN:
        return total
    grown = (total**WINDOW_EXPONENT - WINDOW_MIN**WINDOW_EXPONENT) / (
        WINDOW_EXPONENT * WINDOW_MIN ** (WINDOW_EXPONENT - 1)
    )
    return int(WINDOW_MIN + WINDOW_SCALE * grown)


class Record(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowShard(Record):
    """A shard of the window."""

    sha256: Digest  # of the `.npz`
    games: Count
    samples: Count
    duplicates: tuple[Count, ...] = ()  # numbers of games that an older shard of the store holds too
    searched_by_net: bool  # else by rules of thumb, whose root values say little about the winner

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.sha256[:STEM_DIGITS]}{ARRAYS}"


class Refusal(Record):
    """A shard that was left out, and why."""

    file: str
    reason: str


class Window(Record):
    """A committed window; totals count every sound shard of the store, inside the window or not."""

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
        return Window.model_validate_json(read_bounded(path, WINDOW_BYTES_MAX))
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
        """A shard of a window; StorageError when it is not in the store as the window names it."""
        for folder in self.folders:
            path = folder / wanted.file
            if path.exists():
                shard = read_shard(path)
                if shard.manifest.blob.sha256 != wanted.sha256:
                    raise StorageError(f"{path}: not the shard that the window names")
                return shard
        raise StorageError(
            f"{wanted.file} of the window is in none of {', '.join(map(str, self.folders))}; "
            "bring it back, or start a new run"
        )


@dataclass(slots=True)
class _Found:
    path: Path
    manifest: Manifest


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
    found.sort(key=lambda it: (it.manifest.head.created_at, it.manifest.stem), reverse=True)
    newest = found[0].manifest.head.created_at
    if age_max is not None and now - newest > age_max:
        hours = (now - newest).total_seconds() / 3600
        raise StorageError(
            f"the newest shard of {key} is {hours:.0f} hours old, more than {age_max.total_seconds() / 3600:.0f}: "
            "make new games, or say --max-age-hours 0 to train on old ones"
        )
    wanted = window_rows(sum(it.manifest.counts.samples for it in found))
    chosen, oldest = _choose(found, wanted, refused)
    if not chosen:
        raise StorageError(f"no sound shard of {key}; {refused[0].file}: {refused[0].reason}")
    return Window(
        config_key=str(key),
        rules_digest=Game.RULES_DIGEST,
        shards=tuple(chosen),
        newest_at=newest,
        oldest_at=oldest,
        games_total=sum(it.manifest.counts.games for it in found),
        rows_total=sum(it.manifest.counts.samples for it in found),
        evaluations_total=sum(it.manifest.head.evaluations for it in found if _by_net(it.manifest)),
        refused=tuple(refused),
    )


def _survey(store: Store, key: ConfigKey) -> tuple[list[_Found], list[Refusal]]:
    """The shards of a configuration, once each, by their manifests."""
    found: dict[str, _Found] = {}
    refused = []
    for path, manifest in store.manifests():
        if isinstance(manifest, ShardError):
            refused.append(Refusal(file=path.name, reason=str(manifest)))
        elif manifest.head.config_key != key:
            continue
        elif manifest.rules_digest != Game.RULES_DIGEST:
            reason = f"played by rules {manifest.rules_digest[:16]}, ours are {Game.RULES_DIGEST[:16]}"
            refused.append(Refusal(file=path.name, reason=reason))
        elif manifest.counts.samples == 0:
            refused.append(Refusal(file=path.name, reason="no row in it has a policy target"))
        else:
            found.setdefault(manifest.blob.sha256, _Found(path, manifest))
    return list(found.values()), refused


def _choose(found: Sequence[_Found], wanted: int, refused: list[Refusal]) -> tuple[list[WindowShard], datetime]:
    """The newest sound shards with so many rows, and the time of the oldest of them."""
    chosen: list[WindowShard] = []
    known: set[str] = set()
    oldest = found[0].manifest.head.created_at
    rows = 0
    for it in found:
        if rows >= wanted:
            break
        try:
            shard = read_shard(it.path)
        except ShardError as error:
            refused.append(Refusal(file=it.path.name, reason=str(error)))
            continue
        problem = quality_problem(shard)
        if problem:
            refused.append(Refusal(file=it.path.name, reason=problem))
            continue
        ids = shard.game_ids()
        duplicates = tuple(number for number, game in enumerate(ids) if game in known or game in ids[:number])
        if len(duplicates) == len(ids):
            refused.append(Refusal(file=it.path.name, reason="every game of it is in newer shards"))
            continue
        known.update(ids)
        counts = it.manifest.counts
        rows += counts.samples
        oldest = it.manifest.head.created_at
        chosen.append(
            WindowShard(
                sha256=it.manifest.blob.sha256,
                games=counts.games,
                samples=counts.samples,
                duplicates=duplicates,
                searched_by_net=_by_net(it.manifest),
            )
        )
    return chosen, oldest


def _by_net(manifest: Manifest) -> bool:
    return manifest.head.players[0].sha256 not in RULES_OF_THUMB
