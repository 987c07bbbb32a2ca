"""The chunks of a job that plays matches, as a file that survives kill -9: what was played is not played again.

One line per chunk, appended and flushed to the disk once it is played; a line begins with a digest over its content
and over what the job is. A half line, a damaged one or one of another job is not believed, and none after it.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import AwareDatetime, ValidationError

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.record import Record
from ringrift_core.evaluation.stored_match import MATCH_BYTES_MAX, StoredGame
from ringrift_core.storage import ADVICE, make_folder, read_bounded, sync_folder

CHUNK_FILE_BYTES_MAX = 2 * MATCH_BYTES_MAX  # some matches of a few megabytes are usual


class Head(Record):
    """The first line."""

    form: Literal["ringrift.chunks/1"] = "ringrift.chunks/1"
    begun_at: AwareDatetime


class Chunk(Record):
    """Every other line: games of a series, block by block."""

    series: str
    first: int  # number of the first block
    games: tuple[StoredGame, ...]


Line = TypeVar("Line", Head, Chunk)


class ChunkFile:
    """A Memory in a file; one process at a time has it, from `with` to its end."""

    def __init__(self, path: Path, job: bytes, now: datetime) -> None:
        """`job` is what the job is: other bytes, other chunks. `now` is when it begins, where it has not yet."""
        self._path = path
        self._job = job
        self._head = Head(begun_at=now)
        self._chunks: dict[tuple[str, int], tuple[MatchGame, ...]] = {}
        self._file = -1

    def __enter__(self) -> Self:
        """Read what is there and cut off what cannot be believed; StorageError when the disk or another job refuses."""
        make_folder(self._path.parent)
        with self._errors():
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
            self._read()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which ends the lock."""
        os.close(self._file)

    @property
    def begun_at(self) -> datetime:
        """When the job began, in its first process."""
        return self._head.begun_at

    @property
    def games(self) -> int:
        """How many games are known."""
        return sum(len(games) for games in self._chunks.values())

    def recall(self, series: str, first: int) -> Sequence[MatchGame]:
        """The games of a chunk, none where it is not known."""
        return self._chunks.get((series, first), ())

    def keep(self, series: str, first: int, games: Sequence[MatchGame]) -> None:
        """Write a chunk; when it returns, the chunk survives a power cut."""
        kept = tuple(StoredGame.model_validate(game, from_attributes=True) for game in games)
        self._append(Chunk(series=series, first=first, games=kept))
        self._chunks[series, first] = tuple(games)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StorageError(f"{self._path}: another process plays these games: wait for it to end") from None

    def _read(self) -> None:
        lines = read_bounded(self._path, CHUNK_FILE_BYTES_MAX).splitlines(keepends=True)
        heads = [self._content(line, Head) for line in lines[:1]]
        if not heads or heads[0] is None:
            with self._errors():
                os.ftruncate(self._file, 0)
            self._append(self._head)
            sync_folder(self._path.parent)
            return
        self._head = heads[0]
        size_bytes = len(lines[0])
        for line in lines[1:]:
            chunk = self._content(line, Chunk)
            if chunk is None:
                break
            size_bytes += len(line)
            self._chunks[chunk.series, chunk.first] = tuple(MatchGame(**dict(game)) for game in chunk.games)
        with self._errors():
            os.ftruncate(self._file, size_bytes)

    def _content(self, line: bytes, kind: type[Line]) -> Line | None:
        """What a line says, None where it cannot be believed."""
        digest, _, content = line.partition(b" ")
        if not line.endswith(b"\n") or digest != self._digest(content[:-1]):
            return None
        try:
            return kind.model_validate_json(content)
        except ValidationError:
            return None

    def _append(self, line: Record) -> None:
        content = line.model_dump_json().encode()
        with self._errors():
            left = memoryview(self._digest(content) + b" " + content + b"\n")
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)

    def _digest(self, content: bytes) -> bytes:
        whole = hashlib.sha256(hashlib.sha256(self._job).digest() + content)
        return whole.hexdigest().encode()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = ADVICE.get(error.errno or 0, "check the disk")
            raise StorageError(f"{self._path}: cannot be written ({error.strerror}); {advice}") from error
