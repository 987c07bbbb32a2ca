"""Every shard that was ever in the folders of a node, in one SQLite file: how many rows were made, deleted ones too.

    index = ShardIndex(Path("data/shards.sqlite"))
    found = index.scan(Path("data/shards"))
    index.totals(key).rows

A scan lists the folder and reads only the manifests that it does not know, so it can be called every few seconds. What
has gone from a folder counts on, unless it lies in the folder's quarantine. A shard counts once, whatever folders have
it. The index is made anew from the folders when it is lost; it then knows nothing of shards deleted before.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from ringrift_core.database import Database, Form
from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.players.names import RULES_OF_THUMB
from ringrift_core.selfplay.manifest import (
    MANIFEST,
    MANIFEST_BYTES_MAX,
    QUARANTINE,
    STEM,
    STEM_DIGITS,
    TIME_FORM,
    Manifest,
)
from ringrift_core.storage import read_bounded

APPLICATION_ID = 0x52525348  # "RRSH"
TABLES = """
CREATE TABLE shards (
    stem TEXT PRIMARY KEY, config_key TEXT NOT NULL, games INTEGER NOT NULL, samples INTEGER NOT NULL,
    evaluations INTEGER NOT NULL, created_at TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX by_key ON shards (config_key, state, games, samples, evaluations, created_at);
CREATE TABLE places (folder TEXT NOT NULL, stem TEXT NOT NULL, PRIMARY KEY (stem, folder)) WITHOUT ROWID;
CREATE INDEX by_folder ON places (folder);
CREATE TABLE refused (
    folder TEXT NOT NULL, stem TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (folder, stem)) WITHOUT ROWID;
"""
DAMAGED = (
    "move it away (with its -wal and -shm files): the next scan makes it anew, without the shards that were deleted "
    "before"
)
FORM = Form("index of shards", APPLICATION_ID, 1, TABLES, DAMAGED)
SUMS = """
SELECT config_key, sum(games), sum(samples), sum(evaluations), max(created_at), count(*), sum(state = 'kept')
FROM shards WHERE state != 'quarantined'
"""


class State(StrEnum):
    """Where a shard is."""

    KEPT = "kept"
    DELETED = "deleted"  # in no folder any more; it counts on
    QUARANTINED = "quarantined"  # taken out because something is wrong with it: it does not count


@dataclass(frozen=True, slots=True)
class Totals:
    """What was ever made of one configuration."""

    games: int = 0
    rows: int = 0
    evaluations: int = 0  # positions judged by nets in the selfplay; those of rules of thumb are not counted
    newest_at: datetime | None = None  # of any shard, deleted ones included
    shards: int = 0
    shards_kept: int = 0  # of these, still in a folder


@dataclass(frozen=True, slots=True)
class Refused:
    """A shard of the folder that does not count, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found; totals are those of all folders ever scanned."""

    totals: Mapping[str, Totals]  # by config key
    new: int  # manifests that were not known in this folder
    gone: int  # since the scan before
    refused: tuple[Refused, ...]  # all that lie there, by name

    def of(self, key: ConfigKey) -> Totals:
        """The totals of one configuration."""
        return self.totals.get(str(key), Totals())


@dataclass(frozen=True, slots=True)
class _Known:
    """What the index knows of a folder."""

    stems: Set[str]
    refused: Mapping[str, tuple[str, str]]  # version of the file, and the reason, by stem


@dataclass(frozen=True, slots=True)
class _Change:
    """What is new in a folder."""

    found: tuple[Manifest, ...]
    refused: Mapping[str, tuple[str, str]]  # now, by stem
    gone: Set[str]
    quarantined: Set[str]  # of those gone


class ShardIndex:
    """The index file; nothing is held open, and several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, FORM)

    def scan(self, folder: Path) -> Scan:
        """Bring the index up to date with a folder; StorageError when it cannot be listed, or the index is damaged.

        All of a scan is kept or, after a kill, nothing, and then the next one finds the same.
        """
        place = self._place(folder)
        with self._database.read() as connection:
            known = _known(connection, place)
        change = _changes(folder, known)  # after what is known was read: a scan beside this one loses nothing
        if not (change.found or change.gone or change.refused != known.refused) and self._database.path.exists():
            with self._database.read() as connection:
                totals = _totals(connection)
        else:
            with self._database.write() as connection:
                _keep(connection, place, change)
                totals = _totals(connection)
        refused = tuple(Refused(f"{stem}{MANIFEST}", change.refused[stem][1]) for stem in sorted(change.refused))
        return Scan(totals, len(change.found), len(change.gone), refused)

    def totals(self, key: ConfigKey, without: Set[str] = frozenset()) -> Totals:
        """What was ever made of a configuration, in all folders that were scanned; `without` the shards of these names.

        The time of the newest one is that of all.
        """
        with self._database.read() as connection:
            total = _totals(connection, key).get(str(key), Totals())
            return total if not without else _less(connection, total, without)

    def kept(self, folder: Path) -> frozenset[str]:
        """The names of the shards that lay in a folder at its last scan."""
        with self._database.read() as connection:
            return frozenset(_known(connection, self._place(folder)).stems)

    def _place(self, folder: Path) -> str:
        """A folder relative to the index, so that both may move together."""
        return os.path.relpath(folder.resolve(), self._database.path.parent.resolve())


def _known(connection: sqlite3.Connection, place: str) -> _Known:
    stems = connection.execute("SELECT stem FROM places WHERE folder = ?", (place,)).fetchall()
    refused = connection.execute("SELECT stem, version, reason FROM refused WHERE folder = ?", (place,)).fetchall()
    return _Known({stem for (stem,) in stems}, {stem: (version, reason) for stem, version, reason in refused})


def _changes(folder: Path, known: _Known) -> _Change:
    """Compare a folder with what is known of it; reads the manifests that are not."""
    there = set(_stems(folder))
    found, refused = [], {}
    for stem in sorted(there - known.stems):
        path = folder / f"{stem}{MANIFEST}"
        version = _version(path)
        if version is None:  # deleted since it was listed
            continue
        if stem in known.refused and known.refused[stem][0] == version:
            refused[stem] = known.refused[stem]
            continue
        try:
            found.append(_manifest(path))
        except StorageError as error:
            if _version(path) is not None:
                refused[stem] = version, str(error).removeprefix(f"{path}: ")
    gone = known.stems - there
    quarantined = gone & set(_quarantined(folder / QUARANTINE)) if gone else set()
    return _Change(tuple(found), refused, gone, quarantined)


def _stems(folder: Path) -> Iterator[str]:
    """The names of the shards that have a manifest in a folder; other people's JSON is none."""
    for name in _names(folder):
        stem = name.removesuffix(MANIFEST)
        if stem != name and STEM.fullmatch(stem):
            yield stem


def _quarantined(room: Path) -> Iterator[str]:
    """The shards of a quarantine, whose files may have a number or `.reason` after the stem."""
    for name in _names(room) if room.is_dir() else []:
        if STEM.fullmatch(name[:STEM_DIGITS]):
            yield name[:STEM_DIGITS]


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error


def _version(path: Path) -> str | None:
    """What tells a file from the one that stood there before; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ino}"


def _manifest(path: Path) -> Manifest:
    """The manifest of a shard that counts; StorageError says why it does not."""
    manifest = Manifest.parse(read_bounded(path, MANIFEST_BYTES_MAX))
    if manifest.stem != path.stem:
        raise StorageError(f"{path}: not named by its content, which is {manifest.stem}")
    if manifest.rules_digest != RULES_DIGEST:
        raise StorageError(f"{path}: played by rules {manifest.rules_digest[:16]}, ours are {RULES_DIGEST[:16]}")
    return manifest


def _keep(connection: sqlite3.Connection, place: str, change: _Change) -> None:
    """Write down what has changed in a folder."""
    connection.executemany(
        "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stem) DO UPDATE SET state = excluded.state, "
        "created_at = min(created_at, excluded.created_at)",
        [_row(manifest) for manifest in change.found],
    )
    there = [(place, manifest.stem) for manifest in change.found]
    connection.executemany("INSERT OR IGNORE INTO places VALUES (?, ?)", there)
    connection.executemany("DELETE FROM places WHERE folder = ? AND stem = ?", [(place, stem) for stem in change.gone])
    states = [(State.QUARANTINED if stem in change.quarantined else State.DELETED, stem) for stem in change.gone]
    connection.executemany(
        "UPDATE shards SET state = ?1 WHERE stem = ?2 AND NOT EXISTS (SELECT 1 FROM places WHERE stem = ?2)", states
    )
    connection.execute("DELETE FROM refused WHERE folder = ?", (place,))
    rows = [(place, stem, version, reason) for stem, (version, reason) in change.refused.items()]
    connection.executemany("INSERT INTO refused VALUES (?, ?, ?, ?)", rows)


def _row(manifest: Manifest) -> tuple[str, str, int, int, int, str, str]:
    head, counts = manifest.head, manifest.counts
    by_net = head.players[0].sha256 not in RULES_OF_THUMB
    created_at = head.created_at.astimezone(UTC).strftime(TIME_FORM)
    judged = head.evaluations if by_net else 0
    return manifest.stem, str(head.config_key), counts.games, counts.samples, judged, created_at, State.KEPT


def _less(connection: sqlite3.Connection, total: Totals, stems: Set[str]) -> Totals:
    """Totals without some shards."""
    games, rows, evaluations, count, kept = connection.execute(
        "SELECT ifnull(sum(games), 0), ifnull(sum(samples), 0), ifnull(sum(evaluations), 0), count(*), "
        "ifnull(sum(state = 'kept'), 0) FROM shards WHERE state != 'quarantined' "
        "AND stem IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(stems)),),
    ).fetchone()
    return replace(
        total,
        games=total.games - games,
        rows=total.rows - rows,
        evaluations=total.evaluations - evaluations,
        shards=total.shards - count,
        shards_kept=total.shards_kept - kept,
    )


def _totals(connection: sqlite3.Connection, key: ConfigKey | None = None) -> dict[str, Totals]:
    """The totals of one configuration, or of all, by config key."""
    where, given = ("", ()) if key is None else (" AND config_key = ?", (str(key),))
    rows = connection.execute(f"{SUMS}{where} GROUP BY config_key", given)
    return {
        name: Totals(games, samples, evaluations, datetime.fromisoformat(newest), shards, kept)
        for name, games, samples, evaluations, newest, shards, kept in rows
    }
