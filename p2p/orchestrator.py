"""The composition root: settings in, one running node out."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum

from config.environment import ConfigError, visible_gpus
from config.schema import Settings
from config.sections import NodeSettings
from managers.circuit_breaker import CircuitBreaker
from managers.event_journal import EventJournal
from managers.gpu_probe import GpuProbe
from managers.launcher.local_launcher import LauncherSettings, LocalLauncher
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord, join_of
from managers.pipeline import EVERYTHING, Duty, Pipeline
from managers.proposer import Proposer
from managers.resource_watch import ResourceWatch
from managers.runtime.event_router import EventRouter
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings
from managers.state.cluster_state import ClusterState, Result, What
from managers.state.commands import Join
from managers.state.machine import StateMachine
from managers.state.members import session_after
from managers.state_manager import StateManager
from managers.steady_clock import SteadyClock
from managers.versions import PRESENT
from p2p.adoption import FACT, adopt
from p2p.client.attached import attach, detach
from p2p.consensus.following import FollowingConsensus, NoVoterError
from p2p.consensus.seat import Seat
from p2p.engines import NodeEngines, RaftPlace, has_group, has_local_log
from p2p.exchange.exchange import Exchange, surroundings_of
from p2p.http.node_calls import Caller, NodeCalls
from p2p.identity.node_key import NodeKey, node_key
from p2p.membership.addresses import advertised, own_addresses, raft_address, raft_port, strangers
from p2p.membership.bootstrap import CONTACTS_MAX, Contact, Entry, EntryKind
from p2p.membership.group_standing import GroupStanding
from p2p.membership.kept import keep_contacts
from p2p.membership.recovery import RECOVERED
from p2p.membership.removal import Removal
from p2p.membership.resting import FOLLOWS_FACT, NAME_FACT
from p2p.mesh import Mesh, wall
from p2p.voting import ClusterEngine, Voting
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.storage import prepare_folder

NOT_ALONE = "is the folder of a node of a larger cluster and holds no whole state: start it (ringrift-p2p) and ask it"
CONTACTS_S = 10.0  # between two looks at whom to ask in the next life
FAILURES = 3  # of calls to a node before it is left alone
REST_S = 20.0  # for so long: one that comes back is needed at once
ADDRESSES_MAX = 4  # of a node that others have told of
VOTING_S = 1.0  # between two looks at who should vote
CHANCE = secrets.SystemRandom()
VOTING_TIMEOUT_S = 60.0  # a change of the consensus waits for disks and for a process


class Kind(StrEnum):
    """What the folder of a node says that it is."""

    ALONE = "alone"  # a cluster of one, or nothing yet
    VOTER = "voter"
    FOLLOWER = "follower"


Arrive = Callable[[NodeSettings, StateManager, NodeKey, Callable[[int], Awaitable[Join]], str], Awaitable[Entry]]


@asynccontextmanager
async def opened_state(settings: Settings) -> AsyncIterator[LocalConsensus[ClusterState, Result]]:
    """The state of the folder of a cluster of one, which nobody else may have open.

    StorageError says who or what is in the way.
    """
    folder = NodeFolder(settings.node.data_dir.absolute())
    prepare_folder(folder.root)
    async with owned(folder):
        async with StateManager(folder.node_state, SteadyClock()) as kept:
            known = await kept.load_state()
        if await asyncio.to_thread(kind_of, folder, known) is not Kind.ALONE:
            raise StorageError(f"{folder.root}: {NOT_ALONE}")
        log = DurableLog(DiskFiles(folder.log))
        async with LocalConsensus(StateMachine(), log, log_settings(settings)) as consensus:
            yield consensus


@asynccontextmanager
async def owned(folder: NodeFolder) -> AsyncIterator[None]:
    """Keep every other process out of a folder until the block ends; InUseError when one is in it."""
    files = DiskFiles(folder.owner)
    await asyncio.to_thread(files.lock)
    try:
        yield
    finally:
        files.unlock()


def kind_of(folder: NodeFolder, known: Mapping[str, object]) -> Kind:
    """What a node was when it ended; works on the disk. `known` are the facts that it keeps.

    StorageError where a person has begun to recover it and not finished.
    """
    if (folder.log / RECOVERED).exists() and not folder.group.exists():
        raise StorageError(
            f"{folder.root}: a recovery was begun here and cut off; finish it: ringrift-p2p voters recover --data-dir "
            f"{folder.root}"
        )
    if has_group(folder):
        return Kind.VOTER
    return Kind.FOLLOWER if known.get(FOLLOWS_FACT) and not has_local_log(folder) else Kind.ALONE


def log_settings(settings: Settings) -> LogSettings:
    """How the log of a cluster of one is kept."""
    return LogSettings(compact_records=settings.log.snapshot_records, compact_bytes=settings.log.snapshot_bytes)


@asynccontextmanager
async def running_node(settings: Settings, *, duty: Duty = EVERYTHING) -> AsyncIterator[Pipeline]:
    """A node that works until the block ends, to which the accessors of `p2p.client` speak.

    It is what its folder says, a cluster of one where that says nothing. RingriftError says why it, or the block, could
    not go on.
    """
    async with whole_node(settings, duty=duty) as node:
        yield node.pipeline


@asynccontextmanager
async def whole_node(
    settings: Settings, *, duty: Duty = EVERYTHING, arrive: Arrive | None = None
) -> AsyncIterator["Node"]:
    """The same with all its parts; `arrive` brings a node into a cluster that has peers and no log."""
    try:
        async with _node(settings, duty, arrive) as node:
            yield node
    except BaseExceptionGroup as group:
        error = expected(group)
        if error is None:
            raise
        raise error from None


@asynccontextmanager
async def _node(settings: Settings, duty: Duty, arrive: Arrive | None) -> AsyncIterator["Node"]:
    """The same; errors come in the groups of its tasks."""
    folder = NodeFolder(settings.node.data_dir.absolute())
    await asyncio.to_thread(prepare_folder, folder.root)
    async with owned(folder), StateManager(folder.node_state, SteadyClock()) as kept:
        known = await kept.load_state()
        kind = await asyncio.to_thread(kind_of, folder, known)
        if kind is not Kind.ALONE and duty is not EVERYTHING:
            raise StorageError(f"{folder.root}: {NOT_ALONE}")
        settings = named_as_before(settings, known.get(NAME_FACT))
        node = Node(settings, folder, kept, await asyncio.to_thread(node_key, folder.root))
        node.cluster_id = str(known.get(FACT) or "")
        async with node.calls, node.seated(kind, arrive), node.working(duty):
            attach(node.pipeline)
            try:
                yield node
            finally:
                detach(node.pipeline)


class Node:
    """What a node is put together from; the parts know of each other what they need, through this."""

    seat: Seat[ClusterState, Result]  # this and the next three as soon as there are any
    pipeline: Pipeline
    exchange: Exchange
    mesh: Mesh

    def __init__(self, settings: Settings, folder: NodeFolder, kept: StateManager, key: NodeKey) -> None:
        self.settings = settings
        self.folder = folder
        self.kept = kept
        self.key = key
        self.cluster_id = ""
        self._works = False  # there is a pipeline
        self._new_id = secrets.token_hex(16)  # of the cluster that it founds, if it does
        self._kept_contacts: tuple[Contact, ...] = ()
        self._contacts: dict[str, tuple[str, ...]] = {}  # addresses by node, of those whom it knows without a state
        self.journal = EventJournal()
        caller = Caller(
            settings.node.node_id, lambda: self.cluster_id, key, epoch=lambda: self.seat.state.epoch, wall=wall
        )
        breaker = CircuitBreaker(failure_threshold=FAILURES, reset_timeout_seconds=REST_S)
        self.calls = NodeCalls(caller, self._addresses_of, breaker)
        self.engines = NodeEngines(
            node=settings.node.node_id,
            folder=folder,
            log=log_settings(settings),
            place=RaftPlace(settings.node.host, raft_port(settings.node)),
            read_back=self.journal.read_back,
            following=self._following,
            cluster_id=lambda: self.cluster_id,
            moved=self._moved,
        )

    def comes_in(self, kind: Kind) -> bool:
        """Whether the node has to be brought into a cluster before it can begin; works on the disk."""
        node = self.settings.node
        new = kind is Kind.ALONE and not self.cluster_id and not has_local_log(self.folder)
        return kind is Kind.FOLLOWER or (new and bool(strangers(node.peers, own_addresses(node))))

    @asynccontextmanager
    async def seated(self, kind: Kind, arrive: Arrive | None) -> AsyncIterator[None]:
        """Have a state until the block ends. Who is let in and then finds no voter goes back to where nodes wait."""
        hindered = ""
        async with AsyncExitStack() as stack:
            while True:
                coming = arrive if await asyncio.to_thread(self.comes_in, kind) else None
                if coming is not None:
                    kind = await self.come_in(coming, hindered)
                self.seat = Seat(self.engine(kind))
                try:
                    await stack.enter_async_context(self.seat)
                    break
                except NoVoterError as error:
                    if coming is None:
                        raise
                    hindered = str(error)
            yield

    async def come_in(self, arrive: Arrive, hindered: str = "") -> Kind:
        """Come into a cluster; as what. `hindered` says why the way before came to nothing."""
        resources = ResourceWatch(self.settings, self.folder.root, GpuProbe(time.monotonic, visible=visible_gpus()))

        async def record(session: int) -> Join:
            return await asyncio.to_thread(join_of, self.settings, resources, self._own_record(session))

        entry = await arrive(self.settings.node, self.kept, self.key, record, hindered)
        self._contacts = {it.node: (it.address,) for it in entry.contacts}
        if entry.kind is EntryKind.FOUNDER:
            self._new_id = entry.cluster_id
            return Kind.ALONE
        self.cluster_id = entry.cluster_id
        await self.kept.save_state({FACT: entry.cluster_id, FOLLOWS_FACT: True})
        return Kind.FOLLOWER

    def engine(self, kind: Kind) -> ClusterEngine:
        """What the node runs its state over at the start."""
        return {
            Kind.ALONE: self.engines.alone,
            Kind.VOTER: self.engines.voter,
            Kind.FOLLOWER: self.engines.follower,
        }[kind]()

    @asynccontextmanager
    async def working(self, duty: Duty) -> AsyncIterator[None]:
        """Do the node's work until the block ends; there must be a state."""
        settings, state = self.settings, self.seat.state
        self.journal.begin(state.seq)
        self.seat.on_applied(self._joined)
        clock = SteadyClock(at_least=state.now)
        session = session_after(state.members, settings.node.node_id, clock())
        watch = LauncherSettings(hang_s=settings.jobs.hang_seconds, stop_s=settings.jobs.stop_seconds)
        async with (
            EventRouter(settings.node.node_id, str(session), clock, trace=settings.monitoring.debug) as router,
            LocalLauncher(self.folder.jobs, self.folder.logs / "jobs", watch) as launcher,
        ):
            if isinstance(self.seat.engine, LocalConsensus):
                founder = Proposer(self.seat, f"{settings.node.node_id}/{session}/FOUND", clock)
                self.cluster_id = await adopt(self.seat, self.kept, founder, self.folder, self._new_id)
            await self.kept.save_state({NAME_FACT: settings.node.node_id})
            pipeline = Pipeline(
                settings, self.seat, launcher, self.folder, clock, own=self._own_record(session), router=router,
                duty=replace(duty, beside=self._mesh) if duty is EVERYTHING else duty,
            )  # fmt: skip
            pipeline.journal, pipeline.kept = self.journal, self.kept
            self.pipeline, self.exchange = pipeline, Exchange(surroundings_of(pipeline), self.calls)
            self.exchange.serve(pipeline)
            self.mesh = Mesh(pipeline, self.seat, self.exchange, self.calls)
            async with pipeline:
                self._works = True
                yield

    def _mesh(self, pipeline: Pipeline) -> Sequence[Service]:
        """What the node does as one of several."""
        node = self.settings.node.node_id

        async def follows() -> None:
            await self.kept.save_state({FOLLOWS_FACT: True})

        def standing() -> GroupStanding:
            return self.mesh.group.standing()

        removal = Removal(node, self.calls, standing, self._learn, time.monotonic)
        voting = Voting(self.seat, node, self.engines, self.folder, lambda: pipeline.office.held, follows, removal)

        async def look() -> None:
            self.mesh.group.look()
            await voting.look()

        async def vote(beat: Beat) -> None:
            await every(VOTING_S, look, timeout_s=VOTING_TIMEOUT_S, beat=beat)

        async def keep(beat: Beat) -> None:
            await every(CONTACTS_S, self._keep_contacts, timeout_s=VOTING_TIMEOUT_S, beat=beat)

        return (
            Service(name="VOTERS", run=vote, progress_s=2 * VOTING_TIMEOUT_S),
            Service(name="CONTACTS", run=keep, progress_s=10 * CONTACTS_S),
        )

    async def _keep_contacts(self) -> None:
        """Whom the node can ask in its next life: the voters, else whoever leads."""
        found = self.mesh.contacts()
        if found and found != self._kept_contacts:
            await keep_contacts(self.kept, found)
            self._kept_contacts = found

    def _joined(self, _before: ClusterState, _after: ClusterState, result: Result) -> None:
        """What a node has made is with itself alone at first, and jobs wait for it when it comes back."""
        for told in result.transitions:
            if told.what is What.MEMBER_JOINED and told.node is not None:
                self.calls.begun(told.node)

    def _moved(self) -> None:
        """An office that was won is taken at once, not at the next look: until then nobody decides anything."""
        if self._works:
            self.pipeline.wake()

    def _following(self, state: ClusterState | None) -> ClusterEngine:
        """What follows the voters of a state; without one the contacts that the node came in by."""
        contacts = (*(() if state is None else state.voters), *self._contacts)
        return FollowingConsensus(StateMachine(), self.calls, contacts, self.settings.node.node_id, CHANCE.random)

    def _learn(self, contacts: Iterable[Contact]) -> None:
        """Others have said where these are; the state of this node may be an old one."""
        for it in contacts:
            known = (it.address, *self._contacts.get(it.node, ()))
            self._contacts[it.node] = tuple(dict.fromkeys(known))[:ADDRESSES_MAX]
        while len(self._contacts) > CONTACTS_MAX:
            self._contacts.pop(next(iter(self._contacts)))

    def _addresses_of(self, node: str) -> tuple[str, ...]:
        member = self.seat.state.members.get(node)
        known = () if member is None else member.addresses
        return tuple(dict.fromkeys((*known, *self._contacts.get(node, ()))))

    def _own_record(self, session: int) -> OwnRecord:
        node = self.settings.node
        return OwnRecord(
            session=session,
            public_key=self.key.text,
            addresses=(advertised(node, node.port),) if node.port else (),
            raft_address=raft_address(node),
            spot=node.spot,
            protocol=PRESENT.protocol,
            rules=PRESENT.rules,
        )


def named_as_before(settings: Settings, known: object) -> Settings:
    """A folder keeps the name of its node, whatever the machine is called now; ConfigError when another one is said.

    Data and jobs are counted by node: under a new name the same games would count twice.
    """
    if not isinstance(known, str) or settings.node.node_id == known:
        return settings
    if "node_id" in settings.node.model_fields_set:
        raise ConfigError(
            f"{settings.node.data_dir.absolute()} is the folder of the node {known}, not {settings.node.node_id}; "
            "leave out node.node_id (RINGRIFT_NODE_ID), or choose another folder"
        )
    return settings.model_copy(update={"node": settings.node.model_copy(update={"node_id": known})})


def expected(group: BaseExceptionGroup[BaseException]) -> RingriftError | None:
    """The error of ours that a group of tasks ended with; None when there are others."""
    ours, others = group.split(RingriftError)
    error: BaseException | None = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if others is None and isinstance(error, RingriftError) else None
