"""A SQLite file that several processes use at once and that kill -9 leaves whole.

Every call opens the file, so nothing is held between calls and a fork is harmless. Writers come one after another
(`BEGIN IMMEDIATE`), readers never wait (WAL). A file that is damaged or belongs to another program is a StorageError.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ringrift_core.errors import StorageError
from ringrift_core.storage import TEMPORARY, make_folder

BUSY_S = 30.0  # how long a writer waits for another: copying a large net under the lock takes seconds
ADVICE = {
    "SQLITE_BUSY": f"another process has held it for {BUSY_S:.0f} s: try again",
    "SQLITE_FULL": "the disk is full: free some space",
    "SQLITE_READONLY": "make the file and its folder writable for this user",
    "SQLITE_CANTOPEN": "make the folder writable for this user",
    "SQLITE_PERM": "make the file and its folder writable for this user",
    "SQLITE_IOERR": "the disk is full or failing: free some space or check it",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of file is."""

    name: str  # such as "index of a registry"
    application_id: int  # how it is told from other SQLite files
    version: int
    tables: str  # the statements that make them
    damaged: str  # what to do with a damaged one

    @property
    def schema(self) -> str:
        """The statements that make a new file."""
        return f"{self.tables}PRAGMA application_id = {self.application_id};\nPRAGMA user_version = {self.version};\n"


class Database:
    """One file; there is nothing to close."""

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        self._form = form

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view; where there is no file yet, an empty one. StorageError when it is damaged."""
        with self._errors():
            if self.path.exists():
                opened = self._open()
            else:
                opened = sqlite3.connect(":memory:")
                opened.executescript(self._form.schema)
            with closing(opened) as connection:
                connection.execute("BEGIN")
                yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone: all of it happens or, when the block raises, nothing. Makes a missing file."""
        if not self.path.exists():
            self._create()
        with self._errors(), closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # SQLite takes back by itself when the disk is full
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        if self.path.stat().st_size == 0:
            raise StorageError(f"{self.path}: is empty, and an index never is; {self._form.damaged}")
        uri = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            self._refuse_foreign(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if owner != self._form.application_id:
            raise StorageError(f"{self.path}: belongs to another program; {self._form.damaged}")
        if version != self._form.version:
            raise StorageError(
                f"{self.path}: of version {version}, this program reads version {self._form.version}: "
                "use the program that wrote it"
            )

    def _create(self) -> None:
        """Make the whole file aside and link it into place: nobody ever sees half of it, the first maker wins."""
        make_folder(self.path.parent)
        if Path(f"{self.path}-wal").exists() and not self.path.exists():
            raise StorageError(
                f"{self.path}: is gone, but its -wal file is there; move that away too, with the -shm file"
            )
        aside = self.path.with_name(f"{TEMPORARY}{self.path.name}-{secrets.token_hex(4)}")
        try:
            with self._errors():
                with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(self._form.schema)
                with suppress(FileExistsError):
                    os.link(aside, self.path)
        finally:
            for part in (aside, Path(f"{aside}-wal"), Path(f"{aside}-shm")):
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def _errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.path, self._form.name, self._form.damaged)


@contextmanager
def storage_errors(path: Path, name: str, damaged: str) -> Iterator[None]:
    """What SQLite and the disk say of a file, as StorageError with advice; `name` and `damaged` as in a Form."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorname", None) or ""
        advice = next((text for known, text in ADVICE.items() if code.startswith(known)), damaged)
        raise StorageError(f"{path}: {error}; {advice}") from error
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: damaged, or no {name} ({error}); {damaged}") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; check the disk and the folder") from error
