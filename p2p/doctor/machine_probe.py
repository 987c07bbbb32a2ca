"""Probes of the machine: they find facts and decide nothing. Everything here may wait for disks and processes."""

import ctypes
import os
import resource
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import psutil
from pydantic import ValidationError

from p2p.doctor.facts import DiskFacts, Fact, FileLimitFacts, FolderFacts, GpuFacts, LearnerFacts, MemoryFacts
from ringrift_core.storage import ADVICE, TEMPORARY

GB = 1e9
CHILD_S = 120.0  # to load libraries and to read every net
DRIVER_S = 15.0  # the first answer of a driver takes seconds
SYNC_BYTES = 4096
CGROUP_MEMORY = Path("/sys/fs/cgroup")  # of the container around this process, where there is one
TIMEX_WORDS = 64  # of 8 bytes; the kernel's struct timex is smaller
TIME_ERROR = 5  # what adjtimex answers on a clock that nothing keeps
TAIL_CHARS = 300
F = TypeVar("F", bound=Fact)


def disk_found(folder: Path, floor_gb: float, clock: Callable[[], float] = perf_counter) -> DiskFacts:
    """The disk of a folder, or of the nearest one above it that is there; a small file is written and removed."""
    standing = next(it for it in (folder, *folder.parents) if it.exists())
    usage, counted = shutil.disk_usage(standing), os.statvfs(standing)
    trouble, sync_ms = "", None
    if standing == folder:
        try:
            sync_ms = sync_time_ms(folder, clock)
        except OSError as error:
            advice = ADVICE.get(error.errno or 0, "check the disk")
            trouble = f"{folder}: cannot be written ({error.strerror}); {advice}"
    elif not standing.is_dir():
        trouble = f"{standing}: is no folder"
    elif not os.access(standing, os.W_OK | os.X_OK):
        trouble = f"{folder}: cannot be made, {standing} is not writable for this user"
    return DiskFacts(
        folder=str(folder),
        exists=standing == folder,
        free_bytes=usage.free,
        floor_bytes=int(floor_gb * GB),
        inodes=counted.f_files,
        inodes_free=counted.f_favail,
        write_trouble=trouble,
        sync_ms=sync_ms,
    )


def sync_time_ms(folder: Path, clock: Callable[[], float]) -> float:
    """How long it takes until a small file is on the disk."""
    path = folder / f"{TEMPORARY}doctor-{secrets.token_hex(4)}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            started = clock()
            os.write(handle, bytes(SYNC_BYTES))
            os.fsync(handle)
            return 1000 * (clock() - started)
        finally:
            os.close(handle)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def memory_found(refusal: str | None, cgroup: Path = CGROUP_MEMORY) -> MemoryFacts:
    """The memory of the machine, or of the container where that has less."""
    memory = psutil.virtual_memory()
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None or used is None or limit >= memory.total:
        return MemoryFacts(total_bytes=memory.total, free_bytes=memory.available, refusal=refusal or "")
    free = min(memory.available, max(0, limit - used))
    return MemoryFacts(total_bytes=limit, free_bytes=free, limited=True, refusal=refusal or "")


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return None
    return int(text) if text.isdecimal() else None


def files_found() -> FileLimitFacts:
    """How many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return FileLimitFacts(
        soft=sys.maxsize if soft == unlimited else soft, hard=sys.maxsize if hard == unlimited else hard
    )


def synchronised() -> bool | None:
    """Whether something keeps the clock, as the kernel says; None where it does not say."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    answer = ask(ctypes.byref((ctypes.c_uint64 * TIMEX_WORDS)()))  # zeros change nothing
    return None if answer < 0 else answer != TIME_ERROR


def gpus_found(command: str = "nvidia-smi") -> GpuFacts:
    """What the NVIDIA driver says, where there is one."""
    path = shutil.which(command)
    if path is None:
        return GpuFacts()
    query = [path, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=DRIVER_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return GpuFacts(driver=True, trouble=f"nvidia-smi does not answer in {DRIVER_S:g} s")
    except (OSError, UnicodeError) as error:
        return GpuFacts(driver=True, trouble=str(error))
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        return GpuFacts(driver=True, trouble=(lines or done.stderr.splitlines() or ["no word"])[-1][:TAIL_CHARS])
    return GpuFacts(driver=True, devices=tuple(lines))


def learner_found() -> LearnerFacts:
    """What jobs would find here."""
    python = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    return _child(LearnerFacts(python=python, ringrift="unknown"), ["learner"])


def folder_found(folder: Path, *, held: bool) -> FolderFacts:
    """What stands in a data folder; `held`: a process works there."""
    blank = FolderFacts(used=False, held=held)
    return _child(blank, ["folder", str(folder), "held" if held else "free"]) if folder.exists() else blank


def _child(blank: F, arguments: list[str]) -> F:
    """The facts that a process of its own prints; the blank ones with a word on why there are none."""
    command = [sys.executable, "-P", "-m", "p2p.doctor", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHILD_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return blank.model_copy(update={"trouble": f"takes more than {CHILD_S:g} s"})
    except OSError as error:
        return blank.model_copy(update={"trouble": f"does not start: {error.strerror}"})
    try:
        return type(blank).model_validate_json(done.stdout)
    except ValidationError:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word"]
        return blank.model_copy(update={"trouble": f"ends with code {done.returncode}: {last[0][:TAIL_CHARS]}"})
