"""Files that only their owner may read: keys and tokens. StorageError says what to do.

Everything here touches the disk: not for the event loop's thread.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.storage import ADVICE, TEMPORARY, sync_folder

OTHERS = 0o077  # bits of a mode that are not the owner's


def read_private(path: Path, size_max: int) -> bytes:
    """The content of a file of at most `size_max` bytes that nobody but this user, or root, can read.

    StorageError when there is none, when others can read it, when it is no plain file, or larger.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"{path}: is no file; move it away")
        if found.st_uid not in {os.getuid(), 0}:
            raise StorageError(f"{path}: belongs to another user; make one of your own")
        if stat.S_IMODE(found.st_mode) & OTHERS:
            raise StorageError(f"{path}: others can read it: make a new one, or chmod 600 it if nobody has read it")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(size_max + 1)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        os.close(handle)
    if len(content) > size_max:
        raise StorageError(f"{path}: larger than the {size_max} bytes that such a file may have")
    return content


def write_new_private(path: Path, content: bytes) -> bool:
    """Write a file for this user alone, completely or not at all; False where there is one of that name already.

    A file system without hard links refuses: it has no owners either.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    try:
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "choose a folder on a local disk")
        raise StorageError(f"{path}: cannot be written ({error.strerror}); {advice}") from error
    sync_folder(path.parent)
    return True


def make_private_folder(folder: Path) -> None:
    """Make a folder that only this user may enter, and those above it; StorageError when it cannot be."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            sync_folder(folder.parent)
        found = folder.stat()
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "check the disk")
        raise StorageError(f"{folder}: cannot be made ({error.strerror}); {advice}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{folder}: a file stands where the folder should be; move it away")
    if found.st_uid != os.getuid():
        raise StorageError(f"{folder}: belongs to another user; choose another folder")
    if stat.S_IMODE(found.st_mode) & OTHERS:
        raise StorageError(f"{folder}: others may enter it; chmod 700 it")
