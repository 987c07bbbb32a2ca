"""Jobs of earlier lives of a node: what is written down about each process, and how those still there are ended.

`job.json` stands in the folder of a job from before its process starts until no process of it is left, whatever is
killed in between. The mark in it is drawn anew for each start and is in the environment of all the job's processes, so
that they are found even when the record was written and the process not yet started; the process's number counts only
together with its start time and its command line. Everything here blocks: it runs in a thread.
"""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from managers.launcher.process_group import await_end, marked
from managers.ports import Leftover
from ringrift_core.errors import StorageError
from ringrift_core.storage import read_bounded, write_whole

RECORD = "job.json"
SPEC = "spec.json"
RECORD_BYTES_MAX = 64 << 10
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
START_S = 2.0  # a process's start time, as read twice, may differ by this: it is counted from a clock that is set
END_S = 10.0  # how long processes may take to vanish after SIGKILL
ROUNDS = 5  # of looking for processes that were started while others were ended

log = logging.getLogger(__name__)


class JobRecord(BaseModel):
    """What `job.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    name: str
    fence: int
    mark: str = Field(min_length=16)
    spec: str  # its path, the last word of the command line
    boot_id: str  # empty where the system has none
    pid: int | None = Field(default=None, gt=1)  # None: written before the start
    started: float | None = None  # unix seconds, as the system counts them


def boot_id() -> str:
    """What is another one after the machine was started anew; empty where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def write_record(folder: Path, record: JobRecord) -> None:
    """Write it into the folder of a job; StorageError when that is not possible."""
    write_whole(folder / RECORD, record.model_dump_json().encode())


def remove_record(folder: Path) -> None:
    """No process of the job is left; a record that cannot be removed does no harm."""
    with suppress(OSError):
        (folder / RECORD).unlink(missing_ok=True)


def with_process(record: JobRecord, pid: int) -> JobRecord:
    """The record of a process that was started; the same record where it has vanished already."""
    try:
        return record.model_copy(update={"pid": pid, "started": psutil.Process(pid).create_time()})
    except psutil.Error:
        return record


def sweep_folders(folders: list[Path], grace_s: float) -> list[Leftover]:
    """End what the records in these folders lead to: SIGTERM, and after `grace_s` SIGKILL. Remove the records."""
    known = {folder: record for folder in folders if (record := _read_record(folder)) is not None}
    here = boot_id()
    alive = {folder: it for folder, it in known.items() if here == it.boot_id or not (here and it.boot_id)}
    found = _end(list(alive.values()), grace_s)
    left = _processes(list(alive.values())) if any(found.values()) else {}
    leftovers = []
    for folder, record in known.items():
        pids, gone = found.get(record.mark, set()), not left.get(record.mark)
        if pids:
            leftovers.append(Leftover(record.name, record.fence, tuple(sorted(pids)), gone))
        if gone:
            remove_record(folder)
        else:
            log.error("job %s: processes %s cannot be ended", record.name, sorted(pids))
    return leftovers


def _read_record(folder: Path) -> JobRecord | None:
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        record = JobRecord.model_validate_json(read_bounded(path, RECORD_BYTES_MAX))
    except (StorageError, ValidationError):
        log.warning("%s: damaged, processes of that job cannot be found; remove it", path)
        return None
    if _is_copied(folder, record):
        remove_record(folder)
        return None
    return record


def _is_copied(folder: Path, record: JobRecord) -> bool:
    """True when the record came with a copy: it was written in another folder, which is still there with its process.

    A folder that was moved is no longer where the record says; its processes are ours.
    """
    try:
        return not Path(record.spec).parent.samefile(folder)
    except OSError:
        return False


def _end(records: list[JobRecord], grace_s: float) -> dict[str, set[int]]:
    """The processes that were found, by mark."""
    found: dict[str, set[int]] = {record.mark: set() for record in records}
    numbers = [signal.SIGTERM] + [signal.SIGKILL] * (ROUNDS - 1)
    for number in numbers if records else []:
        processes = _processes(records)
        if not processes:
            break
        for mark, its in processes.items():
            found[mark] |= {process.pid for process in its}
        everybody = [process for its in processes.values() for process in its]
        _signal(everybody, number)
        await_end(everybody, grace_s if number == signal.SIGTERM else END_S / ROUNDS)
    return found


def _processes(records: list[JobRecord]) -> dict[str, list[psutil.Process]]:
    """The living processes of these records, by mark."""
    marks = {record.mark for record in records}
    found: dict[str, list[psutil.Process]] = {}
    for process, mark in marked():
        if mark in marks:
            found.setdefault(mark, []).append(process)
    for record in records:
        recorded = _recorded(record)
        if recorded is not None and recorded not in found.get(record.mark, []):
            found.setdefault(record.mark, []).append(recorded)
    return found


def _recorded(record: JobRecord) -> psutil.Process | None:
    """The process with the number that was written down, if it is still the same one."""
    if record.pid is None or record.started is None or record.pid == os.getpid():
        return None
    with suppress(psutil.Error, OSError):
        process = psutil.Process(record.pid)
        if process.status() != psutil.STATUS_ZOMBIE and is_same(record, process.create_time(), process.cmdline()):
            return process
    return None


def is_same(record: JobRecord, started: float, command_line: list[str]) -> bool:
    """Whether a process that has the number of a record is the one it was written about."""
    same_time = record.started is not None and abs(started - record.started) <= START_S
    return same_time and record.spec in command_line


def _signal(processes: list[psutil.Process], number: int) -> None:
    """To the group of each: a job's first process begins a session, so nobody else can be in a group of its session."""
    for process in processes:
        with suppress(psutil.Error, OSError):
            group = os.getpgid(process.pid)
            if process.is_running() and group != os.getpgrp():
                os.killpg(group, number)
