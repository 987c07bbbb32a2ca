"""LocalLauncher: jobs as child processes of this node.

Rules of this file: the event loop starts no process, waits for none and touches no disk. One writer thread starts
processes and writes files; it lives as long as the launcher, so that a job which asks the kernel to tell it of its
starter's death is told of the node's. One thread per job waits for its end. One thread samples.
"""

import asyncio
import logging
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from config.environment import process_environment
from managers.launcher.ending import too_large, too_silent
from managers.launcher.job_environment import job_environment
from managers.launcher.job_log import JobLog, prune
from managers.launcher.leftovers import (
    SPEC,
    JobRecord,
    boot_id,
    remove_record,
    sweep_folders,
    with_process,
    write_record,
)
from managers.launcher.local_child import LocalChild
from managers.launcher.process_group import Load, ProcessGroup, sample
from managers.ports import Cause, LaunchError, Leftover, Order
from ringrift_core.errors import InvariantError, RulesError, StorageError
from ringrift_core.storage import make_folder, write_whole

JOB_COMMAND = (sys.executable, "-P", "-m", "ringrift_core.jobs")  # before the path of the spec
SAMPLE_S_MAX = 30.0  # for one look at the processes; /proc answers in milliseconds

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LauncherSettings:
    """How jobs are watched and logged."""

    hang_s: float = (
        300.0  # without a sign of work; compiling all kernels on a busy machine takes minutes: warm up first
    )
    stop_s: float = 15.0  # between SIGTERM and SIGKILL, where nobody says otherwise
    sample_s: float = 2.0  # between looks at the memory
    log_bytes_max: int = 2 << 20  # of a job
    logs_max: int = 500  # files of logs; the oldest go first


class LocalLauncher:
    """Starts jobs on this machine; `async with` it. Leaving it ends its jobs. See `managers.ports.Launcher`."""

    def __init__(
        self,
        jobs_folder: Path,
        log_folder: Path,
        settings: LauncherSettings | None = None,
        *,
        command: Sequence[str] = JOB_COMMAND,
        environment: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`jobs_folder` holds one folder per job; `command` stands before the path of a spec."""
        self._jobs_folder = jobs_folder
        self._log_folder = log_folder
        self._settings = settings or LauncherSettings()
        self._command = tuple(command)
        self._environment = environment if environment is not None else process_environment()
        self._monotonic = monotonic
        self._children: dict[str, LocalChild] = {}
        self._starting: set[str] = set()
        self._open = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="launcher-writer")
        self._sampler = ThreadPoolExecutor(1, thread_name_prefix="launcher-sampler")
        self._tasks = asyncio.TaskGroup()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._watching = self._tasks.create_task(self._watch(), name="launcher-watch")
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        try:
            await asyncio.gather(*(child.stop(self._settings.stop_s) for child in self._children.values()))
        finally:
            for child in self._children.values():  # those that cannot be ended, or all when this was cancelled
                child.group.signal(signal.SIGKILL)
                child.exited.cancel()
            if self._watching is not None:
                self._watching.cancel()
            try:
                await self._tasks.__aexit__(kind, error, trace)
            finally:
                for child in self._children.values():  # whose tasks were cancelled before they began
                    child.abandon()
                self._writer.shutdown(wait=False)
                self._sampler.shutdown(wait=False, cancel_futures=True)

    async def start(self, order: Order) -> LocalChild:
        """Start a job; see `managers.ports.Launcher.start`."""
        if order.folder.parent != self._jobs_folder:
            raise InvariantError(f"job {order.name}: {order.folder} is not in {self._jobs_folder}")
        if order.name in self._starting or order.name in self._children:
            raise RulesError(f"job {order.name} runs here already: stop it first")
        if any(order.folder == child.order.folder for child in self._children.values()):
            raise RulesError(f"job {order.name}: another job runs in {order.folder}")
        self._starting.add(order.name)
        try:
            job_log = JobLog(self._log_folder / f"{order.name}.log", self._settings.log_bytes_max)
            group = await self._spawned(partial(self._spawn, order, job_log))
            return self._adopt(order, group, job_log)
        finally:
            self._starting.discard(order.name)

    async def sweep(self) -> list[Leftover]:
        """End what jobs of earlier lives of this node have left; RulesError when jobs of this one run."""
        if self._children or self._starting:
            raise RulesError("jobs run already: sweep before the first is started")
        return await self._in_writer(self._sweep_now)

    def _sweep_now(self) -> list[Leftover]:
        try:
            folders = sorted(folder for folder in self._jobs_folder.iterdir() if folder.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self._jobs_folder}: cannot be read ({error.strerror})") from error
        return sweep_folders(folders, self._settings.stop_s)

    async def _spawned(self, spawn: Callable[[], ProcessGroup]) -> ProcessGroup:
        """The process that the writer thread starts; when the caller gives up meanwhile, it is ended again."""
        if not self._open:
            raise InvariantError("the launcher is not running")
        spawning = self._writer.submit(spawn)
        try:
            return await asyncio.wrap_future(spawning)
        except asyncio.CancelledError:
            if not spawning.cancel():
                threading.Thread(target=_end_spawned, args=(spawning,), name="launcher-abandon").start()
            raise

    def _spawn(self, order: Order, job_log: JobLog) -> ProcessGroup:
        """In the writer thread: the record first, so that the process can be found whenever we are killed."""
        mark = secrets.token_hex(16)
        environment = job_environment(self._environment, order, mark)
        make_folder(order.folder)
        for leftover in sweep_folders([order.folder], self._settings.stop_s):
            if not leftover.ended:
                raise LaunchError(f"job {order.name}: processes {leftover.pids} of an earlier attempt do not end")
        spec = order.folder / SPEC
        record = JobRecord(name=order.name, fence=order.fence, mark=mark, spec=str(spec), boot_id=boot_id())
        write_whole(spec, order.spec)
        write_record(order.folder, record)
        prune(self._log_folder, self._settings.logs_max)
        job_log.write(f"[fence {order.fence}]\n".encode())
        try:
            group = ProcessGroup([*self._command, str(spec)], environment)
        except LaunchError:
            remove_record(order.folder)
            raise
        with suppress(StorageError):  # the disk is full: the mark alone leads to the process
            write_record(order.folder, with_process(record, group.pid))
        return group

    def _adopt(self, order: Order, group: ProcessGroup, job_log: JobLog) -> LocalChild:
        async def write(content: bytes) -> None:
            await self._in_writer(partial(job_log.write, content))

        child = LocalChild(order, group, write, self._monotonic)
        reaper = threading.Thread(target=_reap, args=(child, asyncio.get_running_loop()), name=f"reap-{order.name}")
        reaper.daemon = True
        try:
            reaper.start()
        except RuntimeError:
            group.signal(signal.SIGKILL)
            self._writer.submit(group.wait)
            child.abandon()
            raise LaunchError(f"job {order.name}: no thread can be started; run fewer jobs here") from None
        if not self._open:  # it was left while this job was started
            group.signal(signal.SIGKILL)
            child.abandon()
            raise InvariantError("the launcher is not running")
        self._children[order.name] = child
        self._tasks.create_task(self._attend(child), name=f"job-{order.name}")
        return child

    async def _attend(self, child: LocalChild) -> None:
        try:
            await child.attend(partial(self._in_writer, partial(remove_record, child.order.folder)))
        finally:
            child.abandon()
            del self._children[child.name]  # whoever waits for its end is woken after this

    async def _watch(self) -> None:
        """End jobs that take too much memory or show no sign of work."""
        while True:
            await asyncio.sleep(self._settings.sample_s)
            watched = {child.pid: child for child in self._children.values() if not child.ending}
            if not watched:
                continue
            for pid, load in (await self._loads(list(watched))).items():
                watched[pid].sampled(load)
            for child in watched.values():
                self._judge(child)

    async def _loads(self, pids: list[int]) -> dict[int, Load]:
        sampling = asyncio.get_running_loop().run_in_executor(self._sampler, sample, pids)
        try:
            return await asyncio.wait_for(sampling, SAMPLE_S_MAX)
        except TimeoutError:
            log.error("the processes of jobs could not be looked at for %.0f s", SAMPLE_S_MAX)  # noqa: TRY400
            return {}

    def _judge(self, child: LocalChild) -> None:
        if child.ending:
            return
        usage, max_bytes, hang_s = child.usage(), child.order.memory_bytes_max, self._settings.hang_s
        if max_bytes is not None and usage.rss_bytes > max_bytes:
            why = too_large(child.order.kind, usage.rss_bytes, max_bytes)
            self._tasks.create_task(child.end(Cause.MEMORY, why, 0.0))
        elif usage.silent_s > hang_s:
            self._tasks.create_task(child.end(Cause.HANG, too_silent(hang_s), self._settings.stop_s))

    async def _in_writer(self, do: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, do)


def _reap(child: LocalChild, loop: asyncio.AbstractEventLoop) -> None:
    """In a thread of its own: wait for the process, tell the loop."""
    done = child.group.wait()

    def tell() -> None:
        if not child.exited.done():
            child.exited.set_result(done)

    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(tell)


def _end_spawned(spawning: "Future[ProcessGroup]") -> None:
    """In a thread of its own: end a process that nobody waits for, once it has started."""
    if spawning.exception() is None:
        group = spawning.result()
        group.signal(signal.SIGKILL)
        group.wait()
        group.close()
