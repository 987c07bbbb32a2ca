"""PartialFile: a file that comes chunk by chunk, in any order; what is there survives a restart.

Nothing is written down beside it: whoever goes on reads it and finds which chunks have the right digest. For threads
other than the event loop's. Every failure of the disk is a StorageError that says what to do.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ringrift_core.blob import CHUNK_BYTES
from ringrift_core.errors import StorageError
from ringrift_core.storage import ADVICE, make_folder, move_whole

SUFFIX = ".part"
ROOM_FACTOR = 2  # times the size that must be free before a file is begun


class PartialFile:
    """`<folder>/<sha256>.part`."""

    def __init__(self, folder: Path, sha256: str, size_bytes: int, chunks: Sequence[str]) -> None:
        self.path = folder / f"{sha256}{SUFFIX}"
        self._sha256 = sha256
        self._size = size_bytes
        self._chunks = chunks

    def open(self) -> frozenset[int]:
        """Make it where there is none; the chunks that it has already. StorageError where there is no room for it."""
        make_folder(self.path.parent)
        with _disk(self.path):
            known = self.path.stat().st_size if self.path.exists() else 0
            self._make_room(known)
            with self.path.open("ab") as file:
                file.truncate(self._size)
            with self.path.open("rb") as file:
                read = iter(lambda: file.read(CHUNK_BYTES), b"") if known else iter(())
                return frozenset(index for index, chunk in enumerate(read) if self._right(index, chunk))

    def put(self, index: int, chunk: bytes) -> bool:
        """Write a chunk; False, and nothing is written, for one that is not what it should be."""
        if not self._right(index, chunk):
            return False
        with _disk(self.path), self.path.open("r+b") as file:
            file.seek(index * CHUNK_BYTES)
            file.write(chunk)
        return True

    def whole(self) -> bool:
        """Whether all of it has the digest that it is named by; one that has not is removed."""
        with _disk(self.path):
            with self.path.open("rb") as file:
                right = hashlib.file_digest(file, "sha256").hexdigest() == self._sha256
            if not right:
                self.path.unlink()
        return right

    def move(self, path: Path) -> None:
        """Give the file its name, to last: flushed to the disk, then renamed."""
        make_folder(path.parent)
        move_whole(self.path, path)

    def _right(self, index: int, chunk: bytes) -> bool:
        return index < len(self._chunks) and hashlib.sha256(chunk).hexdigest() == self._chunks[index]

    def _make_room(self, known: int) -> None:
        free, needed = shutil.disk_usage(self.path.parent).free, ROOM_FACTOR * self._size - known
        if free < needed:
            raise StorageError(
                f"{self.path.parent}: {free >> 20} MiB are free, {needed >> 20} are needed for a file of "
                f"{self._size >> 20} MiB from another node: free some space"
            )


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "check the disk")
        raise StorageError(f"{path}: cannot be written ({error.strerror}); {advice}") from error
