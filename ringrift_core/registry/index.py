"""The index of the registry: one SQLite file (database.py) and what stands in it."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ringrift_core.database import Database, Form
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.model_version import Measured, ModelVersion, Stage, Transition, utc_text

APPLICATION_ID = 0x52525247  # "RRRG": how a registry is told from other SQLite files
SCHEMA_VERSION = 1
VERSION_MAX = (1 << 63) - 1  # of a net; what an integer of SQLite holds
TABLES = """
CREATE TABLE versions (
    sha256 TEXT PRIMARY KEY, config_key TEXT NOT NULL, version INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    stage TEXT NOT NULL, arch TEXT NOT NULL, rules_digest TEXT NOT NULL, label INTEGER NOT NULL,
    trained_at TEXT NOT NULL, elo REAL, parent TEXT, data TEXT NOT NULL, train TEXT NOT NULL, gauntlet TEXT NOT NULL,
    registered_at TEXT NOT NULL, UNIQUE (config_key, version));
CREATE UNIQUE INDEX one_production ON versions (config_key) WHERE stage = 'production';
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL REFERENCES versions, from_stage TEXT, to_stage TEXT NOT NULL,
    at TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL REFERENCES versions, at TEXT NOT NULL, measured TEXT NOT NULL);
CREATE TABLE installs (
    config_key TEXT PRIMARY KEY, sha256 TEXT NOT NULL REFERENCES versions, at TEXT NOT NULL, reason TEXT NOT NULL,
    restores INTEGER NOT NULL);
CREATE TABLE blocked (sha256 TEXT PRIMARY KEY, at TEXT NOT NULL, reason TEXT NOT NULL);
"""
DAMAGED = (
    "move it away (with its -wal and -shm files) and call ModelRegistry.repair(), "
    "which makes a new index from the files of the versions"
)
FORM = Form("index of a registry", APPLICATION_ID, SCHEMA_VERSION, TABLES, DAMAGED)


@dataclass(frozen=True, slots=True)
class PendingInstall:
    """An install that was begun: written before the first file is touched, taken away after the last."""

    key: ConfigKey
    sha256: str
    at: datetime
    reason: str
    restores: bool  # it brings the backup back


class Index:
    """The index file; there is nothing to close."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, FORM)

    @property
    def path(self) -> Path:
        """Where the index is."""
        return self._database.path

    @contextmanager
    def read(self) -> "Iterator[Rows]":
        """A consistent view; where there is no index yet, an empty one. StorageError when it is damaged."""
        with self._database.read() as connection:
            yield Rows(connection)

    @contextmanager
    def write(self) -> "Iterator[Rows]":
        """One transaction, alone: all of it happens or, when the block raises, nothing. Makes a missing index."""
        with self._database.write() as connection:
            yield Rows(connection)

    def quick_check(self) -> str | None:
        """What SQLite itself finds wrong with the file, if anything."""
        with self.read() as rows:
            found = rows.quick_check()
        return None if found == "ok" else found


class Rows:
    """The rows of the index within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row

    def versions(self, key: ConfigKey | None = None) -> tuple[ModelVersion, ...]:
        """The versions of a configuration, or all, oldest first."""
        where = "" if key is None else " WHERE config_key = ?"
        rows = self._db.execute(f"SELECT * FROM versions{where} ORDER BY config_key, version", _given(key))  # noqa: S608
        return tuple(_version(row) for row in rows)

    def version(self, key: ConfigKey, version: int) -> ModelVersion | None:
        """One version by its number; None also for a number that SQLite cannot hold."""
        if not 0 < version <= VERSION_MAX:
            return None
        where = "SELECT * FROM versions WHERE config_key = ? AND version = ?"
        row = self._db.execute(where, (str(key), version)).fetchone()
        return None if row is None else _version(row)

    def by_digest(self, sha256: str) -> ModelVersion | None:
        """One version by its digest."""
        row = self._db.execute("SELECT * FROM versions WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row is None else _version(row)

    def by_prefix(self, prefix: str) -> tuple[ModelVersion, ...]:
        """The versions whose digest begins with these hex digits; two at most, which is one too many."""
        where = "SELECT * FROM versions WHERE substr(sha256, 1, ?) = ? LIMIT 2"
        return tuple(_version(row) for row in self._db.execute(where, (len(prefix), prefix)))

    def production(self, key: ConfigKey) -> ModelVersion | None:
        """The production version of a configuration."""
        where = "SELECT * FROM versions WHERE config_key = ? AND stage = 'production'"
        row = self._db.execute(where, (str(key),)).fetchone()
        return None if row is None else _version(row)

    def next_version(self, key: ConfigKey) -> int:
        """The number of the next version: 1, 2, 3 .. within a configuration."""
        where = "SELECT coalesce(max(version), 0) + 1 FROM versions WHERE config_key = ?"
        return int(self._db.execute(where, (str(key),)).fetchone()[0])

    def add(self, new: ModelVersion, reason: str) -> ModelVersion:
        """Add a version and return it as it is kept; StorageError when a value of it does not fit into the index."""
        mappings = (json.dumps(part, allow_nan=False) for part in (new.data, new.train, new.gauntlet))
        row = (
            new.sha256, str(new.key), new.version, new.size_bytes, new.stage.value, new.arch, new.rules_digest,
            new.label, new.trained_at, new.elo, new.parent, *mappings, utc_text(new.registered_at),
        )  # fmt: skip
        try:
            self._db.execute(f"INSERT INTO versions VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        except (OverflowError, UnicodeEncodeError) as error:
            raise StorageError(f"{new.sha256[:16]}: its head holds what no index can keep: {error}") from None
        self._note(Transition(new.sha256, None, new.stage, new.registered_at, reason))
        return _version(self._db.execute("SELECT * FROM versions WHERE sha256 = ?", (new.sha256,)).fetchone())

    def move(self, version: ModelVersion, stage: Stage, at: datetime, reason: str) -> None:
        """Put a version into another stage and note it."""
        self._db.execute("UPDATE versions SET stage = ? WHERE sha256 = ?", (stage.value, version.sha256))
        self._note(Transition(version.sha256, version.stage, stage, at, reason))

    def _note(self, step: Transition) -> None:
        came = None if step.from_stage is None else step.from_stage.value
        row = (step.sha256, came, step.to_stage.value, utc_text(step.at), step.reason)
        self._db.execute("INSERT INTO transitions VALUES (NULL, ?, ?, ?, ?, ?)", row)

    def transitions(self, sha256: str) -> tuple[Transition, ...]:
        """What a version went through, oldest first."""
        rows = self._db.execute("SELECT * FROM transitions WHERE sha256 = ? ORDER BY id", (sha256,))
        return tuple(_transition(row) for row in rows)

    def add_metrics(self, sha256: str, at: datetime, measured: str) -> None:
        """Append metrics, given as JSON."""
        self._db.execute("INSERT INTO metrics VALUES (NULL, ?, ?, ?)", (sha256, utc_text(at), measured))

    def metrics(self, sha256: str) -> tuple[Measured, ...]:
        """All metrics of a version, in the order in which they came."""
        rows = self._db.execute("SELECT at, measured FROM metrics WHERE sha256 = ? ORDER BY id", (sha256,))
        return tuple(_measured(row) for row in rows)

    def pending(self, key: ConfigKey | None = None) -> tuple[PendingInstall, ...]:
        """The installs that were begun and not finished."""
        where = "" if key is None else " WHERE config_key = ?"
        rows = self._db.execute(f"SELECT * FROM installs{where}", _given(key))  # noqa: S608
        return tuple(_pending(row) for row in rows)

    def begin(self, install: PendingInstall) -> None:
        """Note that an install begins."""
        row = (str(install.key), install.sha256, utc_text(install.at), install.reason, int(install.restores))
        self._db.execute("INSERT INTO installs VALUES (?, ?, ?, ?, ?)", row)

    def end(self, install: PendingInstall) -> None:
        """Forget an install: it is finished or given up."""
        row = (str(install.key), install.sha256)
        self._db.execute("DELETE FROM installs WHERE config_key = ? AND sha256 = ?", row)

    def block(self, sha256: str, at: datetime, reason: str) -> None:
        """Note that a digest must not be installed; the first reason stands."""
        self._db.execute("INSERT OR IGNORE INTO blocked VALUES (?, ?, ?)", (sha256, utc_text(at), reason))

    def unblock(self, sha256: str) -> None:
        """Let a digest be installed again."""
        self._db.execute("DELETE FROM blocked WHERE sha256 = ?", (sha256,))

    def blocked(self) -> Mapping[str, str]:
        """Blocked digests and why."""
        return dict(self._db.execute("SELECT sha256, reason FROM blocked ORDER BY at").fetchall())

    def quick_check(self) -> str:
        """SQLite's own verdict: "ok", or what is wrong."""
        return str(self._db.execute("PRAGMA quick_check").fetchone()[0])


def _given(key: ConfigKey | None) -> tuple[str, ...]:
    return () if key is None else (str(key),)


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RulesError) as error:
        raise StorageError(f"the index holds what no registry writes ({error}); {DAMAGED}") from error


def _version(row: sqlite3.Row) -> ModelVersion:
    plain = ("version", "sha256", "size_bytes", "arch", "rules_digest", "label", "trained_at", "elo", "parent")
    with _decoding():
        return ModelVersion(
            key=ConfigKey.parse(row["config_key"]),
            stage=Stage(row["stage"]),
            registered_at=datetime.fromisoformat(row["registered_at"]),
            **{name: json.loads(row[name]) for name in ("data", "train", "gauntlet")},
            **{name: row[name] for name in plain},
        )


def _transition(row: sqlite3.Row) -> Transition:
    came = row["from_stage"]
    with _decoding():
        return Transition(
            sha256=row["sha256"],
            from_stage=None if came is None else Stage(came),
            to_stage=Stage(row["to_stage"]),
            at=datetime.fromisoformat(row["at"]),
            reason=row["reason"],
        )


def _measured(row: sqlite3.Row) -> Measured:
    with _decoding():
        return Measured(datetime.fromisoformat(row["at"]), json.loads(row["measured"]))


def _pending(row: sqlite3.Row) -> PendingInstall:
    with _decoding():
        at = datetime.fromisoformat(row["at"])
        key = ConfigKey.parse(row["config_key"])
        return PendingInstall(key, row["sha256"], at, row["reason"], bool(row["restores"]))
