"""Pipeline: the loop's objects put together around one consensus, one launcher and one folder.

    async with Pipeline(settings, consensus, launcher, folder, clock) as pipeline: ...

Every part is a service of one Supervisor under the name that users know. Controllers run when the state changes and, so
that nothing depends on being told, at intervals too; what they decide goes through the state. Events are for people and
subscribers: nothing here listens to them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np

from config.environment import visible_gpus
from config.schema import Settings
from managers.cluster_view import ClusterView
from managers.curriculum import curriculum_weights
from managers.data_counter import DataCounter
from managers.decision import Decision, Wait
from managers.dispatcher import Dispatcher
from managers.event_journal import EventJournal
from managers.feedback_loop_controller import FeedbackLoopController
from managers.gauntlet_parts import Ahead, ahead_of
from managers.gauntlet_splitter import GauntletSplitter
from managers.gpu_probe import GpuProbe
from managers.job_manager import JobManager, NodeIdentity, OnReport
from managers.job_reaper import JobReaper
from managers.manual_promotion import ManualPromotion
from managers.manual_rollback import ManualRollback
from managers.model_installer import Finding, ModelInstaller
from managers.net_intake import NetIntake
from managers.node_events import NodeEvents
from managers.node_folder import NodeFolder
from managers.office import Office
from managers.own_record import OwnRecord, join_of
from managers.own_selfplay import OwnSelfplay
from managers.ports import Launcher, LedConsensus, Report
from managers.promotion_controller import PromotionController
from managers.promotion_desk import PromotionDesk
from managers.proposer import Clock, Proposer
from managers.queue_populator import QueuePopulator
from managers.resource_watch import Resources, ResourceWatch
from managers.rollback_manager import RollbackManager
from managers.runtime.event_router import EventRouter
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.runtime.service_events import ServiceEvents
from managers.runtime.supervisor import Supervisor
from managers.selfplay_scheduler import SelfplayScheduler
from managers.shadow_tournament import ShadowTournament
from managers.sightings import Sightings
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body
from managers.state.jobs import Job, JobStatus
from managers.state_manager import StateManager
from managers.training_coordinator import TrainingCoordinator
from managers.voter_policy import VoterPolicy
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.evaluation.gauntlet_result import read_gauntlet

LOOK_S = 1.0  # between two looks of a controller when nothing changes
LOOK_LEAST_S = 0.05  # between two looks when much changes
STEP_TIMEOUT_S = 120.0  # of one look; disks are slow at times
ROLLBACK_S = 5.0  # between two looks at the canary games; each costs some milliseconds
CHECK_S = 30.0  # between two comparisons of canonical digests
CLEAN_S = 300.0
UNHEARD = "it has not said yet how it is"
HEARD_S = 20.0  # a node that has been silent for longer is not made a voter

logger = logging.getLogger(__name__)
Decide = Callable[[ClusterState, float], Decision]


@dataclass(frozen=True, slots=True)
class Duty:
    """What a node does: all of it, or parts."""

    without: frozenset[str] = frozenset()  # services that it does not run
    kinds: frozenset[str] | None = None  # of jobs that it starts; None: all
    beside: Callable[["Pipeline"], Sequence[Service]] = lambda _pipeline: ()  # services beside those of the pipeline


EVERYTHING = Duty()
EVALUATION = Duty(  # gauntlets, shadow tournaments, promotions, rollbacks: nothing is learned
    without=frozenset({"QUEUE_POPULATOR", "TRAINING_COORDINATOR", "DATA_COUNTER", "OWN_SELFPLAY"}),
    kinds=frozenset({"gauntlet", "canary"}),
)
REQUESTS = Duty(  # what people ask for, and nothing by itself
    without=EVALUATION.without | {"FEEDBACK_LOOP", "SHADOW_TOURNAMENT", "AUTO_PROMOTION", "ROLLBACK"},
    kinds=frozenset({"gauntlet"}),
)


@dataclass(slots=True)
class Standing:
    """What the node knows beside the state: what is waited for, what was found, how the machine is."""

    waits: dict[str, tuple[Wait, ...]] = field(default_factory=dict)  # by controller
    findings: tuple[Finding, ...] = ()
    resources: Resources | None = None
    unwritable: str = ""  # why the state cannot be written; "" when it can
    silent_s: Mapping[str, float] = field(default_factory=dict)  # members that the leader does not hear, for so long
    voters_wait: str = ""  # what the choice of voters waits for, where this node makes it


class Pipeline:
    """One node's loop; `async with` runs it, leaving ends all jobs in good order."""

    def __init__(
        self,
        settings: Settings,
        consensus: LedConsensus[ClusterState, Result],
        launcher: Launcher,
        folder: NodeFolder,
        clock: Clock,
        *,
        own: OwnRecord,
        router: EventRouter,
        duty: Duty = EVERYTHING,
    ) -> None:
        self.settings = settings
        self.consensus = consensus
        self.folder = folder
        self.clock = clock
        self.duty = duty
        self.own = own
        self.kept: StateManager | None = None  # put here before the start, by who has it
        self.identity = NodeIdentity(settings.node.node_id, own.session)
        self.office = Office(consensus, settings.node.node_id, own.session)
        self.standing = Standing()
        self.scheduler = SelfplayScheduler(settings)
        self.installer = ModelInstaller(settings, folder)
        self.promotions = PromotionController(settings, lambda game, stem: read_gauntlet(folder.gauntlet(game, stem)))
        self.rollbacks = RollbackManager(settings)
        self.training = TrainingCoordinator(settings)
        self.router = router
        self.journal = EventJournal()  # or, put here before the start, one that has what was read back
        router.watch(lambda event: self.journal.append(event, consensus.state.seq))
        self.report_listeners: list[OnReport] = []  # each is called with every report of a job; it must not raise
        self._events = NodeEvents(router, settings.node.node_id, time.monotonic)
        self.jobs = JobManager(self.identity, settings, folder, launcher, self.proposer, self._reported)
        self._launcher = launcher
        self.own_selfplay = OwnSelfplay(launcher, self.jobs, lambda: not self._unfit, time.monotonic)
        self._reaper = JobReaper(settings)
        self.sightings = Sightings()  # what other nodes tell this one while it leads
        self.view = ClusterView(
            self.identity, self.jobs, self.sightings, self._reaper, lambda: self.office.held,
            settings.jobs.lease_seconds, settings.jobs.hang_seconds,
        )  # fmt: skip
        self._resources = ResourceWatch(settings, folder.root, GpuProbe(time.monotonic, visible=visible_gpus()))
        self.data = DataCounter(settings, folder)
        self._proposers: dict[str, Proposer] = {}
        self._wakes: list[asyncio.Event] = []
        intake, proposer = NetIntake(folder, clock), self.proposer("requests")
        self.promotion = ManualPromotion(settings, consensus, proposer, folder, intake.admit, self.promotions)
        self.rollback = ManualRollback(settings, consensus, proposer, folder, clock)
        self.desk = PromotionDesk(self.promotion)
        self.supervisor = Supervisor(
            [*self._services(), *duty.beside(self)],
            np.random.default_rng(own.session),
            on_change=ServiceEvents(router, settings.node.node_id),
        )
        self._stack = AsyncExitStack()
        self._work = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        self.standing.resources = await asyncio.to_thread(self._resources.look)  # its first word says how it is
        for leftover in await self._launcher.sweep():
            logger.warning("ended what an earlier life had left: job %s, processes %s", leftover.name, leftover.pids)
        for finding in await asyncio.to_thread(self.installer.repair, self.clock()):
            logger.warning("%s: %s: %s", finding.game, finding.what, finding.text)
        if self.consensus.term_led is not None:  # nobody else has to be heard first
            await self._take_part(self.proposer("MEMBERSHIP"))
        self.consensus.on_applied(self._changed)
        self.consensus.on_jump(self._jumped)
        await self._stack.enter_async_context(self._work)
        self._stack.push_async_callback(self._give_back)  # when nobody decides or assigns any more
        await self._stack.enter_async_context(self.supervisor)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _give_back(self) -> None:
        await self.own_selfplay.end()
        await self.jobs.close(self.consensus.state, lambda: self.consensus.trouble)

    def proposer(self, name: str) -> Proposer:
        """The client of this node's life under a name."""
        if name.startswith("jobs/"):  # one per attempt, used once
            return self._new_proposer(name)
        if name not in self._proposers:
            self._proposers[name] = self._new_proposer(name)
        return self._proposers[name]

    @property
    def silent(self) -> Mapping[str, str]:
        """Other nodes that were not heard for a whole lease, and for how long."""
        return self.view.silent(self.consensus.state, time.monotonic())

    @property
    def why_unfit(self) -> Mapping[str, str]:
        """Nodes that get no jobs now, and why, as far as this one knows."""
        state, at = self.consensus.state, time.monotonic()
        if self.office.held:
            return self.unfit(state, at)
        return {**self.view.seen(state, at).unfit, **self.view.silent(state, at)}

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What is waited for and why, by every controller."""
        return tuple(wait for waits in self.standing.waits.values() for wait in waits)

    def _unwritable(self, why: str) -> None:
        if why and not self.standing.unwritable:
            logger.error("the state cannot be written; nothing new is decided until it can: %s", why)
        self.standing.unwritable = why

    # ---- services ----

    def _services(self) -> list[Service]:
        settings, scheduler = self.settings, self.scheduler
        deciders: Mapping[str, Decide] = {
            "QUEUE_POPULATOR": QueuePopulator(settings, scheduler).decide,
            "TRAINING_COORDINATOR": self.training.decide,
            "FEEDBACK_LOOP": FeedbackLoopController(settings).decide,
            "SHADOW_TOURNAMENT": ShadowTournament(settings).decide,
        }
        services = [
            self._service("JOB_MANAGER", self._run_jobs, critical=True),
            self._service("MEMBERSHIP", self._keep_membership, critical=True),
        ]
        services += [self._service(name, partial(self._control, name, decide)) for name, decide in deciders.items()]
        services += [
            self._service(
                "AUTO_PROMOTION", partial(self._control, "AUTO_PROMOTION", self.promotions.decide, slow_s=LOOK_S)
            ),
            self._service("ROLLBACK", partial(self._control, "ROLLBACK", self.rollbacks.decide, slow_s=ROLLBACK_S)),
            self._service("CURRICULUM", self._tell_curriculum),
            self._service("DISPATCHER", self._dispatch),
            self._service("GAUNTLET_SPLITTER", self._split),
            self._service("VOTER_POLICY", self._choose_voters),
            self._service("JOB_REAPER", self._reap),
            self._service("MODEL_DISTRIBUTION", self._install),
            self._service("DATA_COUNTER", self._count),
            self._service("RESOURCE_WATCH", self._watch),
            self._service("OWN_SELFPLAY", self._play_on),
            Service(name="PROMOTION_DESK", run=self._serve_requests),
        ]
        return [service for service in services if service.name not in self.duty.without]

    def _service(self, name: str, run: Callable[[Beat], Awaitable[None]], *, critical: bool = False) -> Service:
        async def body(beat: Beat) -> None:
            await run(beat)

        return Service(name=name, run=body, critical=critical, progress_s=10 * LOOK_S)

    async def _control(self, name: str, decide: Decide, beat: Beat, *, slow_s: float = 0.0) -> None:
        """Run a controller whenever the state changes, and at intervals; a slow one in a thread, at `slow_s` only."""
        proposer = self._leader_proposer(name)

        async def look() -> None:
            if not self.office.held:
                self.standing.waits.pop(name, None)
                return
            state, now = self.consensus.state, self.clock()
            decision = await asyncio.to_thread(decide, state, now) if slow_s else decide(state, now)
            await self._carry_out(name, proposer, decision)

        await self._every(look, beat, interval_s=slow_s or LOOK_S, wake=not slow_s)

    async def _carry_out(self, name: str, proposer: Proposer, decision: Decision) -> None:
        """Propose what was decided; a log that cannot be written is waited for by deciding anew at the next look."""
        self.standing.waits[name] = decision.waits
        for body in decision.bodies:
            try:
                answer = await proposer.propose_once(body)
            except StorageError as error:
                self._unwritable(str(error))
                return
            self._unwritable("")
            if not answer.accepted:
                logger.info("%s: %s was refused: %s", name, body.kind, answer.reason)

    async def _dispatch(self, beat: Beat) -> None:
        dispatcher, proposer = Dispatcher(self.settings, self.scheduler), self._leader_proposer("DISPATCHER")

        async def look() -> None:
            state = self.consensus.state
            if not self.office.held:
                self.standing.waits.pop("DISPATCHER", None)
                return
            unfit = self.unfit(state, time.monotonic())
            decision = dispatcher.decide(self._on_duty(state), self.clock(), unfit)
            why = unfit.get(self.identity.node)
            waits = tuple(Wait(game, "jobs", why) for game in self.settings.games if why)
            await self._carry_out("DISPATCHER", proposer, Decision(decision.bodies, waits))

        await self._every(look, beat)

    async def _split(self, beat: Beat) -> None:
        splitter, proposer = GauntletSplitter(self.settings, self.scheduler), self._leader_proposer("GAUNTLET_SPLITTER")

        async def look() -> None:
            if not self.office.held:
                self.standing.waits.pop("GAUNTLET_SPLITTER", None)
                return
            state = self.consensus.state
            unfit = self.unfit(state, time.monotonic())
            decision = splitter.decide(state, self.clock(), self._judges(state), unfit)
            await self._carry_out("GAUNTLET_SPLITTER", proposer, decision)

        await self._every(look, beat)

    def _judges(self, state: ClusterState) -> Mapping[str, Ahead]:
        """What the gauntlets of all nodes will need, as far as this one has heard."""
        own = {name: ahead_of(it.progress) for name, it in self.jobs.running.items() if it.job.kind == "gauntlet"}
        return {**self.sightings.ahead(state), **own}

    def heard(self, node: str, session: int, at: float) -> None:
        """A node has told how it is, at a monotonic time: its lease goes on."""
        self._reaper.heard(node, session, at)

    def wake(self) -> None:
        """Have every controller look now: something else than the state has changed, such as who leads."""
        for event in self._wakes:
            event.set()

    def unfit(self, state: ClusterState, at: float) -> Mapping[str, str]:
        """Nodes that get no jobs now, and why; `at` is monotonic seconds. This node is never silent to itself."""
        heard = {node for node, it in self.sightings.latest.items() if is_session(state, node, it.report.session)}
        found = dict.fromkeys(state.members.keys() - heard, UNHEARD)
        found |= {**self.sightings.unfit(state), **self._reaper.silent(state, at)}
        found.pop(self.identity.node, None)
        if self._unfit:
            found[self.identity.node] = self._unfit
        return found

    @property
    def _unfit(self) -> str:
        """Why this machine has no room for jobs; "" when it has, or nobody has looked yet."""
        return "" if self.standing.resources is None else self.standing.resources.unfit

    async def _play_on(self, beat: Beat) -> None:
        async def look() -> None:
            await self.own_selfplay.look(self.consensus.state, self.consensus.trouble, self._work)
            self.standing.waits["OWN_SELFPLAY"] = self.own_selfplay.waits

        await self._every(look, beat, wake=False)

    def _on_duty(self, state: ClusterState) -> ClusterState:
        """The state without the queued jobs that this node does not start."""
        kinds = self.duty.kinds
        if kinds is None:
            return state
        active = {
            name: job for name, job in state.jobs.active.items()
            if job.status is not JobStatus.QUEUED or job.kind in kinds
        }  # fmt: skip
        return state.model_copy(update={"jobs": state.jobs.model_copy(update={"active": active})})

    async def _serve_requests(self, beat: Beat) -> None:
        await self.desk.run(beat)

    async def _run_jobs(self, beat: Beat) -> None:
        async def look() -> None:
            self.jobs.reconcile(self.consensus.state, self._work)

        await self._every(look, beat)

    async def _choose_voters(self, beat: Beat) -> None:
        policy, proposer = VoterPolicy(), self._leader_proposer("VOTER_POLICY")

        async def look() -> None:
            if self.office.held:
                state = self.consensus.state
                silent_s = self._reaper.silent_s(state, time.monotonic(), HEARD_S)
                silent_s.pop(self.identity.node, None)
                self.standing.silent_s = silent_s
                absent_s = self._unheard(state) | silent_s
                self.standing.voters_wait = policy.waits_for(state, absent_s)
                await self._carry_out("VOTER_POLICY", proposer, policy.decide(state, absent_s))

        await self._every(look, beat, wake=False)

    def _unheard(self, state: ClusterState) -> dict[str, float]:
        """Members that a new leader has not heard yet: it gives them time, but makes no voters of them."""
        known = {self.identity.node, *self.sightings.latest, *state.voters}
        return {node: 0.0 for node in state.members if node not in known}

    async def _reap(self, beat: Beat) -> None:
        proposer = self._leader_proposer("JOB_REAPER")
        cleaned = time.monotonic()

        async def look() -> None:
            nonlocal cleaned
            now = time.monotonic()
            self.sightings.keep(self.consensus.state.members)
            if self.office.held:
                self._reaper.heard(self.identity.node, self.identity.session, now)  # a node in this process is alive
                await self._carry_out("JOB_REAPER", proposer, self._reaper.decide(self.consensus.state, now))
            else:
                self._reaper.forget()
            if now - cleaned >= CLEAN_S:
                cleaned = now
                await asyncio.to_thread(self.jobs.cleanup_completed_jobs, self.consensus.state)

        await self._every(look, beat)

    async def _keep_membership(self, beat: Beat) -> None:
        proposer = self.proposer("MEMBERSHIP")

        async def look() -> None:
            await self._take_part(proposer)

        await self._every(look, beat)

    async def _install(self, beat: Beat) -> None:
        checked = -CHECK_S
        damaged: tuple[Finding, ...] = ()

        async def look() -> None:
            nonlocal checked, damaged
            state, now = self.consensus.state, self.clock()
            found = await asyncio.to_thread(self.installer.install, state, now)
            if time.monotonic() - checked >= CHECK_S:
                damaged = await asyncio.to_thread(self.installer.check, state, now)
                checked = time.monotonic()
            for finding in (*found, *damaged):
                self._found(finding)
            self.standing.findings = (*(it for it in found if it.what != "installed"), *damaged)

        await self._every(look, beat)

    async def _tell_curriculum(self, beat: Beat) -> None:
        """The scheduler derives the weights itself; people are told when they change."""
        told: Mapping[str, float] = {}

        async def look() -> None:
            nonlocal told
            weights = curriculum_weights(self.consensus.state, self.settings, self.clock())
            if weights != told:
                self._events.rebalanced(weights, told)
                told = weights

        await self._every(look, beat, wake=False)

    async def _count(self, beat: Beat) -> None:
        proposer = self.proposer("DATA_COUNTER")
        cleaned = -CLEAN_S

        async def look() -> None:
            nonlocal cleaned
            if time.monotonic() - cleaned >= CLEAN_S:
                cleaned = time.monotonic()
                count = await asyncio.to_thread(self.data.discard_leftovers, self.clock())
                if count:
                    logger.info("removed %d unfinished files of killed writers", count)
            decision = await asyncio.to_thread(self.data.decide, self.consensus.state)
            await self._carry_out("DATA_COUNTER", proposer, decision)

        await self._every(look, beat, wake=False)

    async def _watch(self, beat: Beat) -> None:
        async def look() -> None:
            before = self.standing.resources
            self.standing.resources = await asyncio.to_thread(self._resources.look)
            if self.standing.resources.unfit and (before is None or not before.unfit):
                logger.error("no jobs are started: %s", self.standing.resources.unfit)
                self._events.resources(self.standing.resources, str(self.folder.root))

        await self._every(look, beat, wake=False)

    async def _every(
        self, look: Callable[[], Awaitable[None]], beat: Beat, *, interval_s: float = LOOK_S, wake: bool = True
    ) -> None:
        event = asyncio.Event() if wake else None
        if event is not None:
            self._wakes.append(event)
        try:
            await every(interval_s, look, timeout_s=STEP_TIMEOUT_S, wake=event, min_interval_s=LOOK_LEAST_S, beat=beat)
        finally:
            if event is not None:
                self._wakes.remove(event)

    def _found(self, finding: Finding) -> None:
        """Log and tell a finding when it is new; the seconds in a text are not."""
        known = {(it.game, it.what, it.sha256) for it in self.standing.findings}
        if (finding.game, finding.what, finding.sha256) in known:
            return
        log = logger.info if finding.what == "installed" else logger.error
        log("distribution: canonical net of %s: %s: %s", finding.game, finding.what, finding.text)
        champion = self.consensus.state.learner(finding.game).champion
        if finding.what == "damaged" and champion is not None:
            self._events.damaged(finding, champion)

    # ---- the state ----

    async def _take_part(self, proposer: Proposer) -> None:
        """Begin this life as a member, where it has not begun; the node's earlier leases end. Take an office won."""
        member = self.consensus.state.members.get(self.identity.node)
        if member is None or member.session < self.identity.session:
            await self._accepted(proposer, await asyncio.to_thread(join_of, self.settings, self._resources, self.own))
        if (office := self.office.wanted(self.clock())) is not None:
            await self._accepted(proposer, office)

    async def _accepted(self, proposer: Proposer, body: Body) -> None:
        """Propose what this node cannot do without."""
        answer = await proposer.propose(body)
        if not answer.accepted:
            raise RingriftError(f"the node cannot begin: {answer.reason}")

    def _reported(self, job: Job, report: Report) -> None:
        self._events.reported(job, report)
        for listener in self.report_listeners:
            listener(job, report)

    def _changed(self, before: ClusterState, after: ClusterState, result: Result) -> None:
        self.journal.advance(after.seq)
        self._events.changed(before, after, result)
        if result.accepted:
            self.wake()

    def _jumped(self, _version: int, before: ClusterState, after: ClusterState) -> None:
        """Another state took the place of the one before: people are told of the gap, controllers look anew at once."""
        if after.seq > before.seq:
            self.journal.jump(before.seq, after.seq)
            self._events.missed(before.seq, after.seq)
        self.wake()

    def _new_proposer(self, name: str) -> Proposer:
        return Proposer(self.consensus, self._client(name), self.clock)

    def _leader_proposer(self, name: str) -> Proposer:
        """The same for what a leader decides: bound to the epoch in which it was decided."""
        if name not in self._proposers:
            self._proposers[name] = Proposer(self.consensus, self._client(name), self.clock, lambda: self.office.epoch)
        return self._proposers[name]

    def _client(self, name: str) -> str:
        return f"{self.identity.node}/{self.identity.session}/{name}"


def is_session(state: ClusterState, node: str, session: int) -> bool:
    """Whether a node is a member, in that life."""
    member = state.members.get(node)
    return member is not None and member.session == session
