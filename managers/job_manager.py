"""JobManager: the jobs that the state has assigned to this node are running, and no others.

Level-triggered: whenever the state changes it starts what it should have and has not, and stops what it has and should
not have (released, cancelled, assigned anew, halted). Each running job has one task that reads its reports and, at its
end, makes the outcome known; a completion that the state refuses is a failure of the job. A restart of the node begins
with a sweep that ends what an earlier life has left; training and gauntlets go on from their folders.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from pydantic import ValidationError

from config.schema import Settings
from managers.job_outcome import outcome_of
from managers.job_spec import spec_of
from managers.line import one_line
from managers.node_folder import NodeFolder
from managers.ports import (
    Cause,
    Child,
    Ending,
    JobInputs,
    Launcher,
    LaunchError,
    NothingToBring,
    Order,
    Report,
    Usage,
)
from managers.proposer import PROPOSE_S, Proposer
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Complete, Enqueue, Fail, Qualify, Release, Start
from managers.state.jobs import Job, JobStatus
from managers.state.tasks import CanaryTask
from ringrift_core.errors import InvariantError, RingriftError, StorageError
from ringrift_core.storage import make_folder

GIB = 1 << 30
REFUSAL_MAX = 500  # characters of why a part was refused
BACKOFF_DOUBLINGS_MAX = 10
BACKOFF_MAX_S = 86_400.0
END_S = 5.0  # for giving jobs back where the state cannot be written: the lease, or the next life, gives them back
PAUSE_LEAST_S = 1.0  # before a job that the machine has hindered is given back
OWN = "own-"  # begins the names of jobs that no state knows; whoever runs them removes their folders
FOLDERS_KEPT = 50  # of ended jobs, for whoever wants to look
OnReport = Callable[[Job, Report], None]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """A job that this node works on."""

    job: Job
    cores: int  # that it is granted: what it asks for, as far as the node has them
    task: asyncio.Task[None]
    bringing: asyncio.Task[None] | None = None  # what it needs from other nodes
    child: Child | None = None
    ended: bool = False  # its process has, and the state is being told
    stopping: str = ""  # why it is being stopped; nothing is proposed for it then
    progress: dict[str, object] = field(default_factory=dict)  # its latest report of each kind, merged


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Which node in which life."""

    node: str
    session: int


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where jobs run: a life of a node, its settings, its folder."""

    node: str
    session: int
    settings: Settings
    folder: NodeFolder

    async def order(self, job: Job, cores: int) -> Order:
        """What the launcher is told of a job; its folders are there by then. StorageError when they cannot be made."""
        kept = self.folder
        spec = spec_of(job, kept, cores=cores, seed=self.settings.seed)
        folders = (kept.shards(job.game), kept.fetched_shards(job.game), kept.results(job.game), kept.job(job.id))
        for path in folders:
            await asyncio.to_thread(make_folder, path)
        memory_gb = getattr(self.settings.jobs.memory_gb_max, job.kind)
        return Order(
            name=job.id,
            fence=job.fence,
            kind=job.kind,
            spec=spec.model_dump_json().encode(),
            folder=kept.job(job.id),
            cores=cores,
            memory_bytes_max=int(memory_gb * GIB),
        )


class JobManager:
    """Runs the jobs of one node; `reconcile` with every new state, `close` at the end."""

    def __init__(
        self,
        identity: NodeIdentity,
        settings: Settings,
        folder: NodeFolder,
        launcher: Launcher,
        proposer_of: Callable[[str], Proposer],
        on_report: OnReport,
    ) -> None:
        """`proposer_of` gives a client of the consensus under a name of this node's life."""
        self._identity = identity
        self._settings = settings
        self._folder = folder
        self._launcher = launcher
        self._proposer_of = proposer_of
        self._on_report = on_report
        self.place = JobPlace(identity.node, identity.session, settings, folder)
        self.inputs: JobInputs = NothingToBring()  # put here before the first job, by who has others
        self.resting = ""  # why selfplay rests here, put here by who knows; "" when it does not
        self._running: dict[str, Running] = {}
        self._numbers = count(1)
        self._closing = False

    @property
    def running(self) -> Mapping[str, Running]:
        """The jobs that have a process, or soon will."""
        return self._running

    def usage(self) -> dict[str, Usage]:
        """What each job takes now."""
        return {name: it.child.usage() for name, it in self._running.items() if it.child is not None}

    # ---- what the documents call it ----

    async def run_gpu_selfplay_job(self, body: Enqueue) -> Result:
        """Queue a selfplay job; the dispatcher gives it a core or a GPU slot."""
        return await self._proposer_of("requests").propose(body)

    async def run_training(self, body: Enqueue) -> Result:
        """Queue a training job."""
        return await self._proposer_of("requests").propose(body)

    def cleanup_completed_jobs(self, state: ClusterState) -> tuple[str, ...]:
        """Remove the folders of jobs that have ended, but for the latest; not for the event loop's thread."""
        if not self._folder.jobs.exists():
            return ()
        ended = [
            path for path in self._folder.jobs.iterdir()
            if path.name not in state.jobs.active and path.name not in self._running and not path.name.startswith(OWN)
        ]  # fmt: skip
        order = {name: number for number, name in enumerate(state.jobs.finished)}
        ended.sort(key=lambda path: order.get(path.name, -1))
        removed = ended[: max(0, len(ended) - FOLDERS_KEPT)]
        for path in removed:
            shutil.rmtree(path, ignore_errors=True)
        return tuple(path.name for path in removed)

    # ---- the loop ----

    def reconcile(self, state: ClusterState, group: asyncio.TaskGroup) -> None:
        """Start and stop what the state says; quick, the work is done by tasks in `group`."""
        mine = {job.id: job for job in state.jobs.on(self._identity.node) if job.session == self._identity.session}
        for name, running in self._running.items():
            job = mine.get(name)
            if job is None or job.fence != running.job.fence:
                self._stop(running, "it is not this node's job any more", group)
            elif state.halt is not None:
                self._stop(running, f"halted by {state.halt.by}", group)
            elif self.resting and job.kind == "selfplay":
                self._stop(running, self.resting, group)
        if self._closing or state.halt is not None:
            return
        for name, job in mine.items():
            if name not in self._running and not (self.resting and job.kind == "selfplay"):
                cores = max(1, min(job.cores, state.members[self._identity.node].cores))
                self._running[name] = Running(job, cores, group.create_task(self._work(name), name=name))

    async def close(self, state: ClusterState, trouble: Callable[[], str] = lambda: "") -> None:
        """End all jobs in good order and give them back; what cannot be written by then the next life gives back.

        `trouble` says why the state cannot be written, "" when it can.
        """
        self._closing = True
        node, session = self._identity.node, self._identity.session
        waiting = [it for it in state.jobs.on(node) if it.session == session and it.id not in self._running]
        async with asyncio.TaskGroup() as group:
            for running in self._running.values():
                self._stop(running, "the node ends", group)
        if tasks := {it.task for it in self._running.values()}:
            for task in await self._late(tasks, trouble):
                task.cancel()
            await asyncio.wait(tasks)
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(END_S):
                for job in waiting:  # the others have given themselves back
                    body = Release(job=job.id, fence=job.fence, reason="the node ends")
                    await self._proposer_of("release").propose_once(body)

    async def _late(self, tasks: set[asyncio.Task[None]], trouble: Callable[[], str]) -> set[asyncio.Task[None]]:
        """The tasks of jobs that do not end: of a process that cannot be ended, a state that cannot be written."""
        waited_s, most_s = 0.0, self._settings.jobs.stop_seconds + PROPOSE_S
        while tasks and waited_s < (min(END_S, most_s) if trouble() else most_s):
            _, tasks = await asyncio.wait(tasks, timeout=1.0)
            waited_s += 1.0
        return tasks

    def _stop(self, running: Running, why: str, group: asyncio.TaskGroup) -> None:
        if running.stopping:
            return
        running.stopping = why
        if running.bringing is not None:
            running.bringing.cancel()
        if running.child is not None:
            group.create_task(running.child.stop(self._settings.jobs.stop_seconds))

    async def _work(self, name: str) -> None:
        """One job from start to end."""
        running = self._running[name]
        job = running.job
        # a client of its own: a job that could not be given back is begun again under the same fence
        proposer = self._proposer_of(f"jobs/{name}/{next(self._numbers)}")
        try:
            if running.stopping:
                return
            try:
                if not await self._brought(running):
                    return
                running.child = child = await self._launcher.start(await self._order(running))
            except (LaunchError, StorageError) as error:
                await self._hindered(proposer, job, str(error))
                return
            except (RingriftError, ValidationError) as error:  # the job itself is none
                await self._failed(proposer, job, str(error), retry=False)
                return
            if running.stopping:  # while it was starting
                await child.stop(self._settings.jobs.stop_seconds)
            elif job.status is JobStatus.LEASED:
                await proposer.propose(Start(job=name, fence=job.fence))
            done = await self._listen(running, child, proposer)
            ending = await child.wait()
            running.ended = True
            await self._ended(running, ending, done, proposer)
        finally:
            if running.stopping and job.id in self._running:
                with suppress(RingriftError):
                    await self._give_back(running, proposer)
            self._running.pop(name, None)

    async def _brought(self, running: Running) -> bool:
        """Whether everything that the job needs is here; False when it was stopped before. LaunchError when not."""
        running.bringing = asyncio.ensure_future(self.inputs.ready(running.job))
        try:
            await asyncio.wait([running.bringing])
        finally:
            running.bringing.cancel()
            await asyncio.wait([running.bringing])
        if running.stopping or running.bringing.cancelled():
            return False
        running.bringing.result()
        return True

    async def _order(self, running: Running) -> Order:
        job, cores = running.job, running.cores
        if cores < job.cores:
            logger.warning("job %s asks for %d cores; it gets the %d of this node", job.id, job.cores, cores)
        return await self.place.order(job, cores)

    async def _listen(self, running: Running, child: Child, proposer: Proposer) -> Report | None:
        """Read what the job reports; the last `done`, if one came."""
        done: Report | None = None
        job = running.job
        async for report in child.reports():
            running.progress.update(report)
            if report.get("event") == "done":
                done = report
            elif report.get("event") == "qualified" and not running.stopping:
                await self._qualified(job, report, proposer)
            elif report.get("event") == "refused":
                said = one_line(f"{report.get('part')} is not taken: {report.get('reason')}")[:REFUSAL_MAX]
                logger.warning("gauntlet %s: part %s", job.id, said)
            self._on_report(job, report)
        return done

    async def _qualified(self, job: Job, report: Report, proposer: Proposer) -> None:
        """Bring a candidate's first games into the state; a report that does not say them qualifies nobody."""
        said = {"job": job.id, "fence": job.fence, "games": report.get("games"), "wins": report.get("wins")}
        try:
            body = Qualify.model_validate(said, strict=True)
        except ValidationError:
            logger.warning("job %s qualifies nobody: games %r, wins %r", job.id, said["games"], said["wins"])
            return
        answer = await proposer.propose(body)
        if not answer.accepted:
            logger.info("gauntlet %s: the candidate does not become the current net: %s", job.id, answer.reason)

    async def _ended(self, running: Running, ending: Ending, done: Report | None, proposer: Proposer) -> None:
        job = running.job
        if running.stopping:
            return
        if ending.cause is Cause.DONE and done is not None:
            try:
                body: Body = Complete(job=job.id, fence=job.fence, outcome=outcome_of(job, done))
            except InvariantError as error:
                await self._failed(proposer, job, str(error))
                return
            answer = await proposer.propose(body)
            if not answer.accepted:
                await self._failed(proposer, job, f"its completion was refused: {answer.reason}", retry=False)
            return
        reason = ending.error or f"the job ended ({ending.cause.value}) without a result"
        await (self._hindered if ending.cause is Cause.KILLED else self._failed)(proposer, job, reason)

    async def _hindered(self, proposer: Proposer, job: Job, reason: str) -> None:
        """The machine is to blame. A canary is given back, after a pause: to fail would speak against the champion."""
        if not isinstance(job.task, CanaryTask):
            await self._failed(proposer, job, reason)
            return
        logger.warning("job %s was hindered and is given back: %s", job.id, reason)
        await asyncio.sleep(max(PAUSE_LEAST_S, self._settings.jobs.backoff_seconds))
        await proposer.propose(Release(job=job.id, fence=job.fence, reason=reason))

    async def _failed(self, proposer: Proposer, job: Job, reason: str, *, retry: bool = True) -> None:
        logger.warning("job %s failed: %s", job.id, reason)
        doubled_s = self._settings.jobs.backoff_seconds * 2 ** min(job.attempts, BACKOFF_DOUBLINGS_MAX)
        wait_s = min(doubled_s, BACKOFF_MAX_S)
        await proposer.propose(
            Fail(job=job.id, fence=job.fence, reason=reason, retry_after_s=wait_s if retry else None)
        )

    async def _give_back(self, running: Running, proposer: Proposer) -> None:
        """What was stopped because of a halt or the end of the node goes back to the queue."""
        job = running.job
        await proposer.propose_once(Release(job=job.id, fence=job.fence, reason=running.stopping))
