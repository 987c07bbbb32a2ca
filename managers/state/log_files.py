"""The file layer of the log: every touch of the disk that the log makes, as one small Protocol.

Nothing here is buffered: what `write` was given is with the kernel when it returns, and on the disk when `sync` has
returned. A name is on the disk when `sync_folder` has returned. All calls but `lock` fail with OSError.
"""

import fcntl
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ringrift_core.errors import StorageError

LOCK = "lock"


class InUseError(StorageError):
    """Another process has the folder; nothing was touched."""


class LogFile(Protocol):
    """One open file."""

    def write(self, offset: int, content: bytes) -> None:
        """Write all of it at an offset; after an error any part of it may be there."""

    def truncate(self, size: int) -> None:
        """Cut the file to a size in bytes."""

    def sync(self) -> None:
        """Make content and size survive a power cut."""

    def close(self) -> None:
        """Give the handle back."""


class LogFiles(Protocol):
    """The files of one folder, by name."""

    @property
    def where(self) -> str:
        """The folder, as a person should read it."""

    def lock(self) -> None:
        """Make the folder if there is none and keep every other user out; InUseError when there is one."""

    def unlock(self) -> None:
        """Let others in."""

    def names(self) -> list[str]:
        """The names in the folder, in any order."""

    def read(self, name: str, size_max: int) -> bytes:
        """The content of a file, at most one byte more than `size_max`."""

    def create(self, name: str) -> LogFile:
        """Make a file; there must be none of that name."""

    def open(self, name: str) -> LogFile:
        """Open a file that is there."""

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, all at once."""

    def remove(self, name: str) -> None:
        """Take a name away."""

    def sync_folder(self) -> None:
        """Make all names survive a power cut."""


class DiskFile:
    """A file on the disk."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def write(self, offset: int, content: bytes) -> None:
        """Write all of it at an offset."""
        left = memoryview(content)
        while left:
            done = os.pwrite(self._handle, left, offset)
            left, offset = left[done:], offset + done

    def truncate(self, size: int) -> None:
        """Cut the file to a size in bytes."""
        os.ftruncate(self._handle, size)

    def sync(self) -> None:
        """Wait until content and size are on the disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Give the handle back."""
        os.close(self._handle)


class DiskFiles:
    """A folder on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._folder)

    def lock(self) -> None:
        """Make the folder, durably, and lock it; the lock ends with its process at the latest."""
        try:
            self._make()
            lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(
                f"{self._folder}: cannot be written ({error.strerror}); choose a folder that this user may write to"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(lock) if isinstance(error, BlockingIOError) else ""
            os.close(lock)
            if not holder:
                raise StorageError(
                    f"{self._folder}: cannot be locked ({error.strerror}); choose a folder on a disk of this machine"
                ) from error
            raise InUseError(
                f"{self._folder}: {holder} keeps its log there: stop it, or choose another folder"
            ) from None
        with suppress(OSError):  # it is for messages only; a full disk must not keep the node from starting
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()} {platform.node()}\n".encode(), 0)
        self._lock = lock

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self) -> list[str]:
        """The names in the folder."""
        return os.listdir(self._folder)

    def read(self, name: str, size_max: int) -> bytes:
        """The content of a file, at most one byte more than `size_max`."""
        with (self._folder / name).open("rb") as file:
            return file.read(size_max + 1)

    def create(self, name: str) -> DiskFile:
        """Make a file."""
        return DiskFile(os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))

    def open(self, name: str) -> DiskFile:
        """Open a file."""
        return DiskFile(os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC))

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        (self._folder / name).rename(self._folder / to)

    def remove(self, name: str) -> None:
        """Take a name away."""
        (self._folder / name).unlink()

    def sync_folder(self) -> None:
        """Wait until all names are on the disk."""
        _sync(self._folder)

    def _make(self) -> None:
        """Make missing folders from the top; a folder whose own name is lost takes the log with it."""
        folder = self._folder.absolute()
        for made in reversed([folder, *folder.parents]):
            if not made.is_dir():
                made.mkdir(exist_ok=True)
                _sync(made.parent)


def _holder(lock: int) -> str:
    """Who has the lock, in words."""
    try:
        pid, _, host = os.pread(lock, 300, 0).decode("ascii").strip().partition(" ")
    except (OSError, ValueError):
        pid, host = "", ""
    if not (pid.isdecimal() and host.isprintable()):
        return "another process"
    return f"process {pid}" if host == platform.node() else f"process {pid} of {host}"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
