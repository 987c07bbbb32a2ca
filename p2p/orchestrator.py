"""The composition root: settings in, one running node out."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from config.environment import ConfigError
from config.schema import Settings
from managers.circuit_breaker import CircuitBreaker
from managers.event_journal import EventJournal
from managers.launcher.local_launcher import LauncherSettings, LocalLauncher
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import EVERYTHING, Duty, Pipeline
from managers.proposer import Proposer
from managers.runtime.event_router import EventRouter
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings
from managers.state.cluster_state import ClusterState, Result
from managers.state.machine import StateMachine
from managers.state.members import session_after
from managers.state_manager import StateManager
from managers.steady_clock import SteadyClock
from managers.versions import PRESENT
from p2p.addresses import own_addresses, raft_address, raft_port
from p2p.adoption import FACT, adopt
from p2p.client.attached import attach, detach
from p2p.consensus.following import FollowingConsensus
from p2p.consensus.seat import Seat
from p2p.engines import NodeEngines, RaftPlace, has_group, has_local_log
from p2p.exchange.exchange import Exchange, surroundings_of
from p2p.http.node_calls import Caller, NodeCalls
from p2p.identity.node_key import NodeKey, node_key
from p2p.voting import ClusterEngine, Voting
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.storage import prepare_folder

NOT_ALONE = "is the folder of a node of a larger cluster and holds no whole state: start it (ringrift-p2p) and ask it"
NAME_FACT = "node_id"  # under which the name of the node is kept
FOLLOWS_FACT = "follows"  # that the node has followed voters: it has no log of its own then, and must not begin one
FAILURES = 3  # of calls to a node before it is left alone
REST_S = 20.0  # for so long: one that comes back is needed at once
VOTING_S = 1.0  # between two looks at who should vote
CHANCE = secrets.SystemRandom()
VOTING_TIMEOUT_S = 60.0  # a change of the consensus waits for disks and for a process


class Kind(StrEnum):
    """What the folder of a node says that it is."""

    ALONE = "alone"  # a cluster of one, or nothing yet
    VOTER = "voter"
    FOLLOWER = "follower"


@dataclass(frozen=True, slots=True)
class Contact:
    """A node of the cluster, as it was known when this one last heard of it."""

    node: str
    addresses: tuple[str, ...]  # HOST:PORT


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
    """What a node was when it ended; works on the disk. `known` are the facts that it keeps."""
    if has_group(folder):
        return Kind.VOTER
    return Kind.FOLLOWER if known.get(FOLLOWS_FACT) and not has_local_log(folder) else Kind.ALONE


def log_settings(settings: Settings) -> LogSettings:
    """How the log of a cluster of one is kept."""
    return LogSettings(compact_records=settings.log.snapshot_records, compact_bytes=settings.log.snapshot_bytes)


@asynccontextmanager
async def running_node(
    settings: Settings, *, duty: Duty = EVERYTHING, contacts: tuple[Contact, ...] = ()
) -> AsyncIterator[Pipeline]:
    """A node that works until the block ends, to which the accessors of `p2p.client` speak.

    It is what its folder says, a cluster of one where that says nothing. `contacts` are asked for the state where the
    node has none itself. RingriftError says why it, or the block, could not go on.
    """
    async with whole_node(settings, duty=duty, contacts=contacts) as node:
        yield node.pipeline


@asynccontextmanager
async def whole_node(
    settings: Settings, *, duty: Duty = EVERYTHING, contacts: tuple[Contact, ...] = ()
) -> AsyncIterator["Node"]:
    """The same with all its parts."""
    try:
        async with _node(settings, duty, contacts) as node:
            yield node
    except BaseExceptionGroup as group:
        error = expected(group)
        if error is None:
            raise
        raise error from None


@asynccontextmanager
async def _node(settings: Settings, duty: Duty, contacts: tuple[Contact, ...]) -> AsyncIterator["Node"]:
    """The same; errors come in the groups of its tasks."""
    folder = NodeFolder(settings.node.data_dir.absolute())
    await asyncio.to_thread(prepare_folder, folder.root)
    async with owned(folder), StateManager(folder.node_state, SteadyClock()) as kept:
        known = await kept.load_state()
        kind = await asyncio.to_thread(kind_of, folder, known)
        if kind is not Kind.ALONE and duty is not EVERYTHING:
            raise StorageError(f"{folder.root}: {NOT_ALONE}")
        settings = named_as_before(settings, known.get(NAME_FACT))
        node = Node(settings, folder, kept, await asyncio.to_thread(node_key, folder.root), contacts)
        node.cluster_id = str(known.get(FACT) or "")
        node.seat = Seat(node.engine(kind))
        async with node.calls, node.seat, node.working(duty):
            attach(node.pipeline)
            try:
                yield node
            finally:
                detach(node.pipeline)


class Node:
    """What a node is put together from; the parts know of each other what they need, through this."""

    seat: Seat[ClusterState, Result]  # this and the next two as soon as there are any
    pipeline: Pipeline
    exchange: Exchange

    def __init__(
        self, settings: Settings, folder: NodeFolder, kept: StateManager, key: NodeKey, contacts: tuple[Contact, ...]
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.kept = kept
        self.key = key
        self.cluster_id = ""
        self.journal = EventJournal()
        self._contacts = {it.node: it.addresses for it in contacts}
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
        )

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
        clock = SteadyClock(at_least=state.now)
        session = session_after(state.members, settings.node.node_id, clock())
        watch = LauncherSettings(hang_s=settings.jobs.hang_seconds, stop_s=settings.jobs.stop_seconds)
        async with (
            EventRouter(settings.node.node_id, str(session), clock, trace=settings.monitoring.debug) as router,
            LocalLauncher(self.folder.jobs, self.folder.logs / "jobs", watch) as launcher,
        ):
            if isinstance(self.seat.engine, LocalConsensus):
                founder = Proposer(self.seat, f"{settings.node.node_id}/{session}/FOUND", clock)
                self.cluster_id = await adopt(self.seat, self.kept, founder, self.folder, secrets.token_hex(16))
            await self.kept.save_state({NAME_FACT: settings.node.node_id})
            pipeline = Pipeline(
                settings, self.seat, launcher, self.folder, clock, own=self._own_record(session), router=router,
                duty=replace(duty, beside=self._mesh) if duty is EVERYTHING else duty,
            )  # fmt: skip
            pipeline.journal, pipeline.kept = self.journal, self.kept
            self.pipeline, self.exchange = pipeline, Exchange(surroundings_of(pipeline), self.calls)
            self.exchange.serve(pipeline)
            async with pipeline:
                yield

    def _mesh(self, pipeline: Pipeline) -> Sequence[Service]:
        """What the node does as one of several."""
        node = self.settings.node.node_id

        async def follows() -> None:
            await self.kept.save_state({FOLLOWS_FACT: True})

        voting = Voting(self.seat, node, self.engines, self.folder, lambda: pipeline.office.held, follows)

        async def vote(beat: Beat) -> None:
            await every(VOTING_S, voting.look, timeout_s=VOTING_TIMEOUT_S, beat=beat)

        return (Service(name="VOTERS", run=vote, progress_s=2 * VOTING_TIMEOUT_S),)

    def _following(self) -> ClusterEngine:
        node = self.settings.node.node_id
        return FollowingConsensus(StateMachine(), self.calls, tuple(self._contacts), node, CHANCE.random)

    def _addresses_of(self, node: str) -> tuple[str, ...]:
        member = self.seat.state.members.get(node)
        return self._contacts.get(node, ()) if member is None or not member.addresses else member.addresses

    def _own_record(self, session: int) -> OwnRecord:
        node = self.settings.node
        return OwnRecord(
            session=session,
            public_key=self.key.text,
            addresses=own_addresses(node),
            raft_address=raft_address(node),
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


def wall() -> float:
    """Unix seconds of this machine, to compare with what other nodes have signed."""
    return datetime.now(UTC).timestamp()


def expected(group: BaseExceptionGroup[BaseException]) -> RingriftError | None:
    """The error of ours that a group of tasks ended with; None when there are others."""
    ours, others = group.split(RingriftError)
    error: BaseException | None = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if others is None and isinstance(error, RingriftError) else None
