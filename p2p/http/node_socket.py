"""Where the node of a data folder listens: a Unix socket in a folder of this user alone, and the file that names it.

Sockets have short paths, data folders need not; so the socket stands elsewhere, and `node.json` in the data folder says
where, and which process it is. Everything here touches the disk: not for the event loop's thread once it works.
"""

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from config.environment import runtime_dir
from ringrift_core.errors import StorageError
from ringrift_core.storage import read_bounded, write_whole

RECORD = "node.json"
RECORD_BYTES_MAX = 16 << 10
PATH_BYTES_MAX = 100  # of a socket; Linux takes 107, others 103
NAME_CHARS = 20  # of the digest of the data folder


class SocketRecord(BaseModel):
    """What `node.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    pid: int
    host: str
    socket: str


def make_socket_path(data_dir: Path) -> Path:
    """The path for the socket of a data folder, in a folder that nobody else may enter; StorageError without one."""
    name = socket_name(data_dir)
    refusals = []
    for folder in candidates():
        if len(os.fsencode(folder / name)) > PATH_BYTES_MAX:
            refusals.append(f"{folder}: its name is too long")
            continue
        try:
            make_private(folder)
        except StorageError as error:
            refusals.append(str(error))
        else:
            return folder / name
    raise StorageError(f"there is no place for the socket of the node ({'; '.join(refusals)}); set XDG_RUNTIME_DIR")


def socket_name(data_dir: Path) -> str:
    """The name of the socket of a data folder, whatever folder it stands in."""
    return hashlib.sha256(os.fsencode(data_dir.absolute().resolve())).hexdigest()[:NAME_CHARS] + ".sock"


def candidates() -> Iterator[Path]:
    """Folders for sockets, the best first."""
    runtime = runtime_dir()
    if runtime is not None and runtime.is_absolute() and runtime.is_dir():
        yield runtime / "ringrift"
    for base in dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"))):  # noqa: S108 - checked for its owner
        yield base / f"ringrift-{os.getuid()}"


def make_private(folder: Path) -> None:
    """Make a folder that only this user may enter; StorageError when it cannot be, or is somebody else's."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StorageError(f"{folder}: is no folder of this user; remove it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StorageError(f"{folder}: others may enter it; chmod 700 it")


def write_record(data_dir: Path, socket: Path) -> None:
    """Say where this process listens."""
    record = SocketRecord(pid=os.getpid(), host=platform.node(), socket=str(socket))
    write_whole(data_dir / RECORD, record.model_dump_json().encode())


def remove_record(data_dir: Path, socket: Path) -> None:
    """This process listens no more; what cannot be removed does no harm."""
    for path in (data_dir / RECORD, socket):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def read_record(data_dir: Path) -> SocketRecord | None:
    """Where a node listens, or listened before it was killed; None when nothing says so.

    The record in a copy of a folder names the node of the folder that was copied, which nobody means there.
    """
    try:
        record = SocketRecord.model_validate_json(read_bounded(data_dir / RECORD, RECORD_BYTES_MAX))
    except (StorageError, ValidationError):
        return None
    return record if Path(record.socket).name == socket_name(data_dir) else None


def living_pid(data_dir: Path) -> int | None:
    """The process that says that it works in a data folder, if there is such a process here."""
    record = read_record(data_dir)
    if record is None or record.host != platform.node() or record.pid < 1 or not psutil.pid_exists(record.pid):
        return None
    return record.pid
