"""The files of a training run's folder, by name, and the lock on it (docs/formats/training.md)."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.storage import read_bounded

RUN, WINDOW, STATE, CANDIDATE, LOCK = "run.json", "window.json", "state.pt", "candidate.pth", "lock"
RUN_BYTES_MAX = 1 << 20


def begun_seed(path: Path) -> int | None:
    """The seed of the run whose `run.json` this is, None where none was begun; StorageError when it is damaged."""
    if not path.exists():
        return None
    try:
        seed = json.loads(read_bounded(path, RUN_BYTES_MAX))["spec"]["seed"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StorageError(f"{path}: damaged; choose another folder") from None
    return seed if type(seed) is int else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; StorageError when one is in it. The lock ends with its process."""
    try:
        lock = (folder / LOCK).open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder / LOCK}: cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StorageError(
                f"{folder}: another process trains in it: wait for it, or choose another folder"
            ) from None
        yield
