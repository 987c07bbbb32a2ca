"""Files that are there completely or not at all.

A file is written under a temporary name in its own folder, flushed to the disk and then renamed; what a killed writer
leaves behind is recognised by the name. Every failure is a StorageError that says what to do.
"""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ringrift_core.errors import StorageError

TEMPORARY = ".tmp-"  # how the names of unfinished files begin
ADVICE = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EACCES: "make the folder writable for this user",
    errno.EPERM: "make the folder writable for this user",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EEXIST: "a file stands where the folder should be: choose another folder",
    errno.ENOTDIR: "a file stands where the folder should be: choose another folder",
}


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; StorageError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(folder, error) from error


def prepare_folder(folder: Path) -> None:
    """Make a folder that is written to after long work; StorageError now, not then, where no file can be made."""
    make_folder(folder)
    probe = folder / f"{TEMPORARY}probe-{secrets.token_hex(4)}"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise _storage_error(folder, error) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; under its own name it is there completely or not at all, whatever happens in between."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _storage_error(path, error) from error


def move_whole(source: Path, path: Path) -> None:
    """Give a file that is written its name, in one step, to survive a power cut; both lie on one file system."""
    try:
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(path)
    except OSError as error:
        raise _storage_error(path, error) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _storage_error(folder, error) from error


def discard_unfinished(folder: Path) -> None:
    """Remove what killed writers left in a folder that has one writer, this one."""
    with suppress(OSError):
        for path in folder.glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)


def read_bounded(path: Path, size_max: int) -> bytes:
    """The content of a file of at most `size_max` bytes; StorageError when there is none or it is larger."""
    try:
        with path.open("rb") as file:
            content = file.read(size_max + 1)
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > size_max:
        raise StorageError(f"{path}: larger than the {size_max} bytes that such a file may have")
    return content


def _storage_error(path: Path, error: OSError) -> StorageError:
    advice = ADVICE.get(error.errno or 0, "check the disk")
    return StorageError(f"{path}: cannot be written ({error.strerror}); {advice}")
