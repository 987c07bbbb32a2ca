"""OwnSelfplay: what a node plays while nobody can give it a job.

A node that cannot reach a majority keeps what it runs, but no job comes after one that ends. So once nothing could be
written for a while, each of its free cores goes on with the latest selfplay that the state knows of this node: same
configuration, same net. The games are counted as all others are, by their shards. It ends when the state can be
written again, and after six hours: then the nets are too old, and selfplay that was given out rests, too.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from managers.decision import Wait
from managers.job_manager import OWN, JobManager
from managers.job_progress import progress_text
from managers.ports import Child, Launcher, LaunchError
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.tasks import SelfplayTask
from ringrift_core.errors import RingriftError

PATIENCE_S = 10.0  # an election takes two, the start of a node five
LONGEST_S = 6 * 3600.0
FAILED_S = 60.0  # before another one is begun after one that failed
NAME = f"{OWN}selfplay"  # of its jobs, before node, session and number: games are drawn by it, so it comes once
ENDED_S = 5.0  # for folders of processes that have ended to be removed
TOO_LONG = "nothing could be written for six hours: the nets are too old to play on"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Playing:
    """A process of its own."""

    job: Job
    child: Child
    task: asyncio.Task[None] | None = None
    report: dict[str, object] = field(default_factory=dict)


class OwnSelfplay:
    """Plays on the free cores of one node; `look` each second, `end` when the node ends."""

    def __init__(
        self, launcher: Launcher, jobs: JobManager, fit: Callable[[], bool], monotonic: Callable[[], float]
    ) -> None:
        """`fit`: whether the machine has room for jobs."""
        self._place = jobs.place
        self._launcher = launcher
        self._jobs = jobs
        self._fit = fit
        self._monotonic = monotonic
        self._since_s: float | None = None  # nothing can be written
        self._failed_s = -FAILED_S
        self._numbers = count(1)
        self._playing: dict[str, Playing] = {}
        self._swept = False
        self.waits: tuple[Wait, ...] = ()

    @property
    def playing(self) -> Mapping[str, Playing]:
        """What runs, by name."""
        return self._playing

    async def look(self, state: ClusterState, trouble: str, group: asyncio.TaskGroup) -> None:
        """Begin, or end, what is to be; `trouble` is why the state cannot be written, "" when it can."""
        if not self._swept:
            await asyncio.to_thread(self._sweep)
            self._swept = True
        now = self._monotonic()
        self._since_s = None if not trouble else now if self._since_s is None else self._since_s
        silent_s = 0.0 if self._since_s is None else now - self._since_s
        self._jobs.resting = TOO_LONG if silent_s >= LONGEST_S else ""
        if not PATIENCE_S <= silent_s < LONGEST_S or state.halt is not None or not self._fit():
            await self._stop()
        elif (task := self._wanted(state)) is not None and now - self._failed_s >= FAILED_S:
            await self._begin(task, group)
        self.waits = tuple(
            Wait(it.job.game, "selfplay", f"plays on by itself ({progress_text('selfplay', it.report)}): {trouble}")
            for it in self._playing.values()
        )

    async def end(self) -> None:
        """End all of it and wait for nothing that does not end."""
        tasks = [it.task for it in self._playing.values() if it.task is not None]
        await self._stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=ENDED_S)
            for task in late:
                task.cancel()

    async def _stop(self) -> None:
        """What was played is on the disk then."""
        stop_s = self._place.settings.jobs.stop_seconds
        await asyncio.gather(*(it.child.stop(stop_s) for it in tuple(self._playing.values())))

    def _wanted(self, state: ClusterState) -> SelfplayTask | None:
        """What to play, where a core is free; each process has one."""
        member = state.members.get(self._place.node)
        if member is None or member.draining:
            return None
        busy = sum(it.cores for it in self._jobs.running.values() if not it.ended)
        return latest_selfplay(state, member.node) if busy + len(self._playing) < member.cores else None

    async def _begin(self, task: SelfplayTask, group: asyncio.TaskGroup) -> None:
        name = f"{NAME}-{self._place.node}-{self._place.session}-{next(self._numbers)}"
        job = Job(id=name, task=task, priority=0, cores=1, attempts_max=1, queued_at=0.0)
        try:
            child = await self._launcher.start(await self._place.order(job, 1))
        except (LaunchError, RingriftError) as error:
            self._failed(name, str(error))
            return
        logger.warning("%s: plays %s with %s until a job can be given out again", name, task.game, task.model[:16])
        playing = self._playing[name] = Playing(job, child)
        playing.task = group.create_task(self._attend(playing), name=name)

    async def _attend(self, playing: Playing) -> None:
        """One process until its end."""
        child, name = playing.child, playing.job.id
        try:
            async for report in child.reports():
                playing.report.update(report)
            ending = await child.wait()
            if ending.error:
                self._failed(name, ending.error)
            logger.info("%s: has ended, %s", name, progress_text("selfplay", playing.report))
        finally:
            del self._playing[name]
        with suppress(OSError):
            await asyncio.to_thread(shutil.rmtree, self._place.folder.job(name))

    def _failed(self, name: str, why: str) -> None:
        self._failed_s = self._monotonic()
        logger.warning("%s: %s", name, why)

    def _sweep(self) -> None:
        """Remove the folders that an earlier life has left; its processes have been ended."""
        for path in self._place.folder.jobs.glob(f"{NAME}-*"):
            shutil.rmtree(path, ignore_errors=True)


def latest_selfplay(state: ClusterState, node: str) -> SelfplayTask | None:
    """What a node has played last, as far as the state knows; None where it never has."""
    for job in (*reversed(state.jobs.active.values()), *reversed(state.jobs.finished.values())):
        if job.node == node and isinstance(job.task, SelfplayTask):
            return job.task
    return None
