"""Checking shards: every promise of the format, every game replayed, and what killed writers left behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.selfplay.fault import Fault, ShardError
from ringrift_core.selfplay.manifest import ARRAYS, MANIFEST, QUARANTINE, Manifest
from ringrift_core.selfplay.shard import Shard, read_manifest, read_shard
from ringrift_core.selfplay.shard_folder import leftovers, shards_in
from ringrift_core.storage import make_folder, sync_folder, write_whole


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of one shard found."""

    path: Path  # of the `.npz`
    fault: Fault | None  # None: sound
    reason: str  # what is wrong and where; "" when sound
    manifest: Manifest | None = None  # where it could be read
    game_ids: tuple[str, ...] = ()  # of a shard that replays
    known_games: int = 0  # of these, how many other shards hold too


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """What the check of a folder found."""

    verdicts: tuple[Verdict, ...]
    leftovers: tuple[Path, ...]  # files of killed writers; they count for nothing and may be deleted


def check_shard(path: Path | str, known: Mapping[str, str] | None = None) -> Verdict:
    """Check one shard; `known` gives the names of the shards that hold games already, by game id."""
    arrays = Path(path).with_suffix(ARRAYS)
    manifest = None
    try:
        manifest = read_manifest(arrays)
        shard = read_shard(arrays)
        _check_games(arrays, shard)
    except ShardError as error:
        return Verdict(arrays, error.fault, str(error), manifest)
    ids = tuple(shard.game_ids())
    holders = [known[game] for game in ids if game in known] if known else []
    fault, reason = None, ""
    if len(holders) == len(ids):
        fault, reason = Fault.DUPLICATE, f"{arrays}: duplicate of {', '.join(sorted(set(holders)))}"
    elif arrays.stem != manifest.stem:
        fault, reason = Fault.NAME, f"{arrays}: its content is that of {manifest.stem}"
    return Verdict(arrays, fault, reason, manifest, ids, len(holders))


def _check_games(arrays: Path, shard: Shard) -> None:
    manifest = shard.manifest
    if manifest.rules_digest != RULES_DIGEST:
        raise ShardError(
            Fault.FOREIGN_RULES,
            f"{arrays}: played by rules {manifest.rules_digest[:16]}, ours are {RULES_DIGEST[:16]}",
        )
    try:
        shard.replayer().check_all()
    except StorageError as error:
        raise ShardError(Fault.REPLAY, f"{arrays}: {error}") from error
    if shard.columns.count() != manifest.counts:
        found = shard.columns.count()
        raise ShardError(Fault.COUNTS, f"{arrays}: the manifest says {manifest.counts}, found {found}")


def check_folder(folder: Path, now_s: float) -> FolderCheck:
    """Check every shard of a folder, duplicates included; `now_s` is the time since the epoch."""
    known: dict[str, str] = {}
    verdicts = []
    for path in sorted(shards_in(folder), key=lambda path: (not _well_named(path), path)):
        verdict = check_shard(path, known)
        verdicts.append(verdict)
        if verdict.fault is None:
            known.update(dict.fromkeys(verdict.game_ids, path.stem))
    return FolderCheck(tuple(verdicts), tuple(leftovers(folder, now_s)))


def _well_named(path: Path) -> bool:
    """True when the name is that of the content; such a shard is the original and another one its copy."""
    try:
        return read_manifest(path).stem == path.stem
    except ShardError:
        return False


def quarantine(path: Path, reason: str) -> Path:
    """Move a shard out of the way, into `quarantine/` in its folder, with the reason beside it; return where to."""
    arrays = path.with_suffix(ARRAYS)
    room = arrays.parent / QUARANTINE
    make_folder(room)
    target = room / arrays.name
    count = 1
    while any(target.with_suffix(ending).exists() for ending in (ARRAYS, MANIFEST)):
        count += 1
        target = room / f"{arrays.stem}-{count}{ARRAYS}"
    try:
        for ending in (MANIFEST, ARRAYS):  # without its manifest it counts no more
            if arrays.with_suffix(ending).exists():
                arrays.with_suffix(ending).rename(target.with_suffix(ending))
    except OSError as error:
        raise StorageError(f"{arrays}: cannot be moved to {room}: {error.strerror}") from error
    note = {"shard": arrays.name, "reason": reason}
    write_whole(target.with_suffix(".reason.json"), (json.dumps(note, indent=1) + "\n").encode())
    sync_folder(room)
    sync_folder(arrays.parent)
    return target
