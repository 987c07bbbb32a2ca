"""The composition root: settings in, one running node out."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.environment import ConfigError
from config.schema import Settings
from managers.event_journal import EventJournal
from managers.launcher.local_launcher import LauncherSettings, LocalLauncher
from managers.node_folder import NodeFolder
from managers.pipeline import EVERYTHING, Duty, Pipeline
from managers.proposer import Proposer
from managers.runtime.event_router import EventRouter
from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings
from managers.state.cluster_state import ClusterState, Result
from managers.state.machine import StateMachine
from managers.state_manager import StateManager
from managers.steady_clock import SteadyClock
from p2p.adoption import adopt
from p2p.client.attached import attach, detach
from p2p.identity.node_key import node_key
from ringrift_core.errors import RingriftError
from ringrift_core.storage import prepare_folder


@asynccontextmanager
async def opened_state(
    settings: Settings, journal: EventJournal | None = None
) -> AsyncIterator[LocalConsensus[ClusterState, Result]]:
    """The state of a node's folder, which nobody else may have open; StorageError says who or what is in the way.

    A journal gets the events of the last records.
    """
    folder = NodeFolder(settings.node.data_dir.absolute())
    prepare_folder(folder.root)
    form = LogSettings(compact_records=settings.log.snapshot_records, compact_bytes=settings.log.snapshot_bytes)
    read_back = None if journal is None else journal.read_back
    log = DurableLog(DiskFiles(folder.log))
    async with LocalConsensus(StateMachine(), log, form, read_back=read_back) as consensus:
        if journal is not None:
            journal.begin(consensus.state.seq)
        yield consensus


@asynccontextmanager
async def running_node(settings: Settings, *, duty: Duty = EVERYTHING) -> AsyncIterator[Pipeline]:
    """A cluster of one that works until the block ends, to which the accessors of `p2p.client` speak.

    RingriftError says why it, or the block, could not go on.
    """
    try:
        async with _node(settings, duty) as pipeline:
            yield pipeline
    except BaseExceptionGroup as group:
        error = expected(group)
        if error is None:
            raise
        raise error from None


@asynccontextmanager
async def _node(settings: Settings, duty: Duty) -> AsyncIterator[Pipeline]:
    """The same; errors come in the groups of its tasks."""
    folder = NodeFolder(settings.node.data_dir.absolute())
    journal = EventJournal()
    async with opened_state(settings, journal) as consensus:
        settings = named_as_before(settings, consensus.state)
        clock = SteadyClock(at_least=consensus.state.now)
        member = consensus.state.members.get(settings.node.node_id)
        watch = LauncherSettings(hang_s=settings.jobs.hang_seconds, stop_s=settings.jobs.stop_seconds)
        session = 1 if member is None else member.session + 1
        debug = settings.monitoring.debug
        key = await asyncio.to_thread(node_key, folder.root)
        founder = Proposer(consensus, f"{settings.node.node_id}/{session}/FOUND", clock)
        async with (
            StateManager(folder.node_state, clock) as kept,
            EventRouter(settings.node.node_id, str(session), clock, trace=debug) as router,
            LocalLauncher(folder.jobs, folder.logs / "jobs", watch) as launcher,
        ):
            await adopt(consensus, kept, founder, folder, secrets.token_hex(16))
            pipeline = Pipeline(settings, consensus, launcher, folder, clock, session=session, router=router, duty=duty)
            pipeline.journal, pipeline.kept, pipeline.public_key = journal, kept, key.text
            async with pipeline:
                attach(pipeline)
                try:
                    yield pipeline
                finally:
                    detach(pipeline)


def named_as_before(settings: Settings, state: ClusterState) -> Settings:
    """A folder keeps the name of its node, whatever the machine is called now; ConfigError when another one is said.

    Data and jobs are counted by node: under a new name the same games would count twice.
    """
    known = tuple(state.members)
    if not known or settings.node.node_id in known:
        return settings
    if "node_id" in settings.node.model_fields_set:
        raise ConfigError(
            f"{settings.node.data_dir.absolute()} is the folder of the node {known[0]}, not {settings.node.node_id}; "
            "leave out node.node_id (RINGRIFT_NODE_ID), or choose another folder"
        )
    return settings.model_copy(update={"node": settings.node.model_copy(update={"node_id": known[0]})})


def expected(group: BaseExceptionGroup[BaseException]) -> RingriftError | None:
    """The error of ours that a group of tasks ended with; None when there are others."""
    ours, others = group.split(RingriftError)
    error: BaseException | None = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if others is None and isinstance(error, RingriftError) else None
