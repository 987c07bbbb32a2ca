"""NodeStore: the SQLite file of what a node keeps for itself; nothing in it is authoritative for anybody.

One connection, on one thread (`StateManager` has it). A file that is damaged is set aside and begun anew, one of
another program or of a newer version is refused. What a transaction wrote survives a power cut. Rows that are too old,
or come from a clock that was ahead, are forgotten as new ones are written.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from managers.circuit_breaker import BreakerRow
from managers.resource_watch import Resources
from ringrift_core.database import storage_errors
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.storage import make_folder

APPLICATION_ID = 0x52524E31  # "RRN1"
MIGRATIONS = (  # statements that lead from each version to the next; one that was shipped is never changed
    (
        "CREATE TABLE node_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE resource_samples (minute INTEGER PRIMARY KEY, at REAL NOT NULL,
           disk_free_bytes INTEGER NOT NULL, memory_free_bytes INTEGER NOT NULL, cpu_percent REAL NOT NULL,
           gpus INTEGER NOT NULL, gpu_memory_free_bytes INTEGER, gpu_busy_percent REAL)""",
        """CREATE TABLE refusals (hour INTEGER NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,
           PRIMARY KEY (hour, code)) WITHOUT ROWID""",
        """CREATE TABLE breakers (target TEXT PRIMARY KEY, failures INTEGER NOT NULL, reason TEXT NOT NULL,
           retry_at REAL) WITHOUT ROWID""",
    ),
)
NAME, DAMAGED = "state of a node", "stop the node and move the file away: it begins a new one"
EPOCH = "cluster_epoch"  # a name in node_meta; its value never falls
MINUTE_S, HOUR_S = 60, 3600
SAMPLES_S = 48 * HOUR_S  # how long samples are kept
REFUSALS_S = 7 * 24 * HOUR_S
AHEAD_S = 2 * HOUR_S  # rows that are further ahead than this come from a clock that was set back since
CODES_MAX = 100  # per hour; further ones count as OTHER
OTHER = "other"
COUNT_MAX = 1 << 40  # of refusals that are added at once
FACTS_MAX = 256
NAME_LETTERS_MAX = 100
VALUE_BYTES_MAX = 1 << 16  # of a fact as JSON
TIME_MAX = 1e12  # unix seconds
BUSY_S = 5.0  # nobody else should have the file; a person may look into it

Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Action = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """The machine in one minute."""

    at: float  # unix seconds
    disk_free_bytes: int
    memory_free_bytes: int
    cpu_percent: float
    gpus: int = 0  # that could be used
    gpu_memory_free_bytes: int | None = None  # of all of them
    gpu_busy_percent: float | None = None  # on average

    @classmethod
    def of(cls, found: Resources, at: float) -> "ResourceSample":
        """What was found at a time."""
        working = [gpu for gpu in found.gpus.devices if not gpu.trouble]
        free = [gpu.memory_free_bytes for gpu in working if gpu.memory_free_bytes is not None]
        busy = [gpu.busy_percent for gpu in working if gpu.busy_percent is not None]
        return cls(
            at,
            found.disk_free_bytes,
            found.memory_free_bytes,
            found.cpu_percent,
            len(working),
            sum(free) if free else None,
            sum(busy) / len(busy) if busy else None,
        )


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """How often something was refused in an hour."""

    hour: int  # it begins at 3600 times this, in unix seconds
    code: str
    count: int


class NodeStore:
    """The file; every call may wait for the disk and fails with StorageError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> str:
        """Open the file, make it, or bring it up to date; what a person should know of that, "" for nothing."""
        make_folder(self.path.parent)
        with storage_errors(self.path, NAME, DAMAGED):
            try:
                self._connect()
            except sqlite3.OperationalError:
                self.close()
                raise
            except sqlite3.DatabaseError as error:
                self.close()
                aside = self._set_aside()
                self._connect()
                return f"{self.path}: damaged ({error}); set aside as {aside.name}, a new one is begun"
            except BaseException:
                self.close()
                raise
        return ""

    def write(self, actions: Sequence[Action]) -> None:
        """One transaction: all of it is on the disk when this returns; when it fails, none.

        RulesError when one of the actions may not be.
        """
        connection = self._opened()
        with storage_errors(self.path, NAME, DAMAGED):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for action in actions:
                    action(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:  # SQLite takes back by itself when the disk is full
                    connection.execute("ROLLBACK")
                if isinstance(error, OverflowError | ValueError | sqlite3.InterfaceError):
                    raise RulesError(f"{self.path}: cannot be kept: {error}") from error
                raise

    def facts(self) -> dict[str, Json]:
        """Everything in node_meta."""
        try:
            return {name: json.loads(value) for name, value in self._rows("SELECT name, value FROM node_meta")}
        except (ValueError, TypeError) as error:
            raise StorageError(f"{self.path}: a fact is no JSON ({error}); {DAMAGED}") from error

    def epoch(self) -> int:
        """The highest epoch that was ever seen, 0 before the first."""
        found = self._rows("SELECT CAST(value AS INTEGER) FROM node_meta WHERE name = ?", EPOCH)
        return int(found[0][0]) if found else 0

    def samples(self, since: float) -> tuple[ResourceSample, ...]:
        """Samples from a time on, the oldest first."""
        rows = self._rows("SELECT * FROM resource_samples WHERE at >= ? ORDER BY minute", since)
        return tuple(ResourceSample(*columns) for _minute, *columns in rows)

    def refusals(self) -> tuple[RefusalCount, ...]:
        """Refusals by hour and code."""
        return tuple(RefusalCount(*row) for row in self._rows("SELECT hour, code, count FROM refusals"))

    def breakers(self) -> tuple[BreakerRow, ...]:
        """The circuits that were kept."""
        return tuple(BreakerRow(*row) for row in self._rows("SELECT target, failures, reason, retry_at FROM breakers"))

    def close(self) -> None:
        """Close the file. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # everything that was acknowledged is on the disk
                connection.close()

    def _rows(self, query: str, *given: object) -> list[Any]:
        with storage_errors(self.path, NAME, DAMAGED):
            return self._opened().execute(query, given).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"{self.path}: is not open")
        return self._connection

    def _connect(self) -> None:
        """Open and check; sqlite3.DatabaseError for a file that is damaged."""
        self._connection = connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner != APPLICATION_ID and (owner or version or tables):
            raise StorageError(f"{self.path}: belongs to another program; {DAMAGED}")
        if version > len(MIGRATIONS):
            raise StorageError(
                f"{self.path}: of version {version}, this program knows {len(MIGRATIONS)}: use the program that wrote "
                "it, or move the file away; what is in it can be done without"
            )
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise sqlite3.DatabaseError(" ".join(found))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        self._migrate(connection, version)

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        """All missing steps, or none."""
        if version == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")

    def _set_aside(self) -> Path:
        """Rename the file and what belongs to it; the last one that was set aside gives way."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        for part in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(f"{self.path}{part}", f"{aside}{part}")
        self.path.replace(aside)
        return aside


def put_facts(facts: Mapping[str, Json]) -> Action:
    """Facts by name; None forgets one. RulesError for what cannot be kept."""
    texts = {name: _json(name, value) for name, value in facts.items()}

    def act(connection: sqlite3.Connection) -> None:
        for name, text in texts.items():
            if text is None:
                connection.execute("DELETE FROM node_meta WHERE name = ?", (name,))
                continue
            connection.execute(
                "INSERT INTO node_meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = "
                "CASE WHEN ?1 = ?3 THEN max(CAST(value AS INTEGER), CAST(?2 AS INTEGER)) ELSE ?2 END",
                (name, text, EPOCH),
            )
        (count,) = connection.execute("SELECT count(*) FROM node_meta").fetchone()
        if count > FACTS_MAX:
            raise RulesError(f"a node keeps at most {FACTS_MAX} facts; forget some")

    return act


def put_sample(sample: ResourceSample) -> Action:
    """A sample; of one minute the last one stays."""
    if not 0 <= sample.at < TIME_MAX:
        raise RulesError(f"a sample is of a time in unix seconds, not {sample.at}")
    minute = int(sample.at // MINUTE_S)

    def act(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO resource_samples VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (minute, *astuple(sample))
        )
        connection.execute(
            "DELETE FROM resource_samples WHERE at < ? OR at > ?", (sample.at - SAMPLES_S, sample.at + AHEAD_S)
        )

    return act


def add_refusals(code: str, count: int, at: float) -> Action:
    """Refusals of a kind, counted in their hour."""
    hour, name = int(at // HOUR_S), code[:NAME_LETTERS_MAX]
    if not 0 < count <= COUNT_MAX:
        raise RulesError(f"refusals are counted from 1 to {COUNT_MAX}, not {count}")

    def act(connection: sqlite3.Connection) -> None:
        others = {row[0] for row in connection.execute("SELECT code FROM refusals WHERE hour = ?", (hour,))} - {OTHER}
        known = name if name in others or len(others) < CODES_MAX else OTHER
        connection.execute(
            "INSERT INTO refusals VALUES (?, ?, ?) "
            "ON CONFLICT (hour, code) DO UPDATE SET count = count + excluded.count",
            (hour, known, count),
        )
        first, last = int((at - REFUSALS_S) // HOUR_S), int((at + AHEAD_S) // HOUR_S)
        connection.execute("DELETE FROM refusals WHERE hour < ? OR hour > ?", (first, last))

    return act


def put_breakers(rows: Iterable[BreakerRow]) -> Action:
    """The circuits as they are, in place of those that are kept."""
    values = [astuple(row) for row in rows]

    def act(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM breakers")
        connection.executemany("INSERT INTO breakers VALUES (?, ?, ?, ?)", values)

    return act


def _json(name: str, value: Json) -> str | None:
    if not 0 < len(name) <= NAME_LETTERS_MAX:
        raise RulesError(f"a fact has a name of 1 to {NAME_LETTERS_MAX} letters, not {name[:60]!r}")
    if name == EPOCH and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62):
        raise RulesError(f"{EPOCH} is a whole number from 0, not {value!r}"[:200])
    if value is None:
        return None
    try:
        text = json.dumps(value, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise RulesError(f"the fact {name} cannot be kept as JSON: {error}") from None
    if len(text) > VALUE_BYTES_MAX:
        raise RulesError(f"the fact {name} has {len(text)} bytes; at most {VALUE_BYTES_MAX} are kept")
    return text
