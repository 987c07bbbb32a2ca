"""The index of the registry: one SQLite file that several processes use at once.

Every call opens the file, so nothing is held between calls and a fork is harmless. Writers come one after another
(`BEGIN IMMEDIATE`), readers never wait (WAL). A file that is damaged or belongs to another program is a StorageError.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.model_version import Measured, ModelVersion, Stage, Transition, utc_text
from ringrift_core.storage import TEMPORARY, make_folder

APPLICATION_ID = 0x52525247  # "RRRG": how a registry is told from other SQLite files
SCHEMA_VERSION = 1
BUSY_S = 30.0  # copying a large net under the lock takes seconds
SCHEMA = f"""
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
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
ADVICE = {
    "SQLITE_BUSY": f"another process has held it for {BUSY_S:.0f} s: try again",
    "SQLITE_FULL": "the disk is full: free some space",
    "SQLITE_READONLY": "make the file and its folder writable for this user",
    "SQLITE_CANTOPEN": "make the folder writable for this user",
    "SQLITE_PERM": "make the file and its folder writable for this user",
    "SQLITE_IOERR": "the disk is full or failing: free some space or check it",
}
DAMAGED = (
    "move it away (with its -wal and -shm files) and call ModelRegistry.repair(), "
    "which makes a new index from the files of the versions"
)


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
        self._path = path

    @property
    def path(self) -> Path:
        """Where the index is."""
        return self._path

    @contextmanager
    def read(self) -> "Iterator[Rows]":
        """A consistent view; where there is no index yet, an empty one. StorageError when it is damaged."""
        with self._errors():
            if self._path.exists():
                opened = self._open()
            else:
                opened = sqlite3.connect(":memory:")
                opened.executescript(SCHEMA)
            with closing(opened) as connection:
                connection.execute("BEGIN")
                yield Rows(connection)

    @contextmanager
    def write(self) -> "Iterator[Rows]":
        """One transaction, alone: all of it happens or, when the block raises, nothing. Makes a missing index."""
        if not self._path.exists():
            self._create()
        with self._errors(), closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Rows(connection)
            except BaseException:
                if connection.in_transaction:  # SQLite takes back by itself when the disk is full
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def quick_check(self) -> str | None:
        """What SQLite itself finds wrong with the file, if anything."""
        with self.read() as rows:
            found = rows.quick_check()
        return None if found == "ok" else found

    def _open(self) -> sqlite3.Connection:
        if self._path.stat().st_size == 0:
            raise StorageError(f"{self._path}: is empty, and an index never is; {DAMAGED}")
        uri = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            self._refuse_foreign(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")  # an install survives a power cut
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        if owner != APPLICATION_ID:
            raise StorageError(f"{self._path}: belongs to another program; {DAMAGED}")
        if schema != SCHEMA_VERSION:
            raise StorageError(
                f"{self._path}: of version {schema}, this program reads version {SCHEMA_VERSION}: "
                "use the program that wrote it"
            )

    def _create(self) -> None:
        """Make the whole file aside and link it into place: nobody ever sees half of it, the first maker wins."""
        make_folder(self._path.parent)
        if Path(f"{self._path}-wal").exists() and not self._path.exists():
            raise StorageError(
                f"{self._path}: is gone, but its -wal file is there; move that away too, with the -shm file"
            )
        aside = self._path.with_name(f"{TEMPORARY}{self._path.name}-{secrets.token_hex(4)}")
        try:
            with self._errors():
                with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(SCHEMA)
                with suppress(FileExistsError):
                    os.link(aside, self._path)
        finally:
            for part in (aside, Path(f"{aside}-wal"), Path(f"{aside}-shm")):
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What SQLite and the disk say, as StorageError with advice."""
        try:
            yield
        except sqlite3.OperationalError as error:
            name = getattr(error, "sqlite_errorname", None) or ""
            advice = next((text for known, text in ADVICE.items() if name.startswith(known)), DAMAGED)
            raise StorageError(f"{self._path}: {error}; {advice}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self._path}: damaged, or no index of a registry ({error}); {DAMAGED}") from error
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}; check the disk and the folder") from error


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
        """One version by its number."""
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
