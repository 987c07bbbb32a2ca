"""A node in the foreground: it works until it is told to end, shown on a screen, asked over HTTP.

    code = await run_node(settings, NodeWish(minutes=30), screen)

`ringrift loop` and `ringrift-p2p` both run it. A first signal lets the jobs stop in good order and gives them back; a
second one ends them at once.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from config.catalog import catalog, value_at
from config.environment import process_environment
from config.loading import DEFAULT
from config.schema import Settings
from config.sections import NodeSettings
from managers.outcomes import Outcome
from managers.pipeline import Pipeline
from managers.ports import Child
from managers.runtime import Service, ServiceStatus, Supervisor, every
from managers.runtime.service import Beat
from managers.state.commands import Join
from managers.state.tally import champions_of
from managers.status_board import StatusBoard
from managers.status_records import Status
from managers.steady_clock import SteadyClock
from p2p.http.access import Access, access_of
from p2p.http.admin_api import admin_handlers
from p2p.http.cluster_api import cluster_handlers
from p2p.http.distribution_api import distribution_handlers
from p2p.http.event_stream import EventStreams
from p2p.http.events_api import event_handlers
from p2p.http.forwarding import forwarded
from p2p.http.guard import Gate
from p2p.http.json_answer import Handlers
from p2p.http.node_api import table_handlers
from p2p.http.promotion_api import promotion_handlers
from p2p.http.request_metrics import RequestMetrics
from p2p.http.server import Answering, listening
from p2p.http.session_api import session_handlers
from p2p.http.status_api import status_handlers
from p2p.http_watch import HttpWatch
from p2p.identity.envelope import Verifier
from p2p.identity.member_keys import MemberKeys
from p2p.identity.node_key import NodeKey
from p2p.keeping import keeping
from p2p.membership.addresses import own_addresses, strangers
from p2p.membership.bootstrap import Entry
from p2p.membership.coming import Arrival, come_in
from p2p.membership.kept import Facts
from p2p.membership.peer_calls import PeerCalls
from p2p.membership.peer_watch import PeerWatch
from p2p.mesh import Mesh, wall
from p2p.node_door import NodeDoor
from p2p.orchestrator import whole_node
from p2p.stop import Stop, signals
from ringrift_core.errors import RingriftError
from ringrift_core.game.config_key import ConfigKey

T = TypeVar("T")
Record = Callable[[int], Awaitable[Join]]
REFRESH_S = 1.0  # between two statuses
REFRESH_TIMEOUT_S = 30.0
INSTALL_LOOKS = 60  # a second apart, for the last champion to be installed
CALLS = {"gauntlet": "run_gauntlet", "training": "run_training", "selfplay": "run_gpu_selfplay_job"}  # people grep them

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeWish:
    """When the node ends by itself (None: never), and whether its port matters."""

    minutes: float | None = None
    champions: int | None = None  # that every configuration has had
    must_listen: bool = False  # a port that is taken is an error; port 0 is a free one


class Screen(Protocol):
    """Where a loop is shown. Nothing here may wait for whoever reads."""

    def tell(self, outcome: Outcome) -> None:
        """Something happened."""

    def show(self, status: Status) -> None:
        """How it stands now."""

    def say(self, text: str) -> None:
        """Something that a person should know."""


class StoppedError(RingriftError):
    """The node was told to end before it had begun."""


async def unless_stopped(work: Coroutine[None, None, T], stop: Stop) -> T:
    """What some work gives, unless the node is told to end before that."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.asked.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise StoppedError("told to end")
        return working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def run_node(
    settings: Settings, wish: NodeWish, screen: Screen, provenance: Mapping[str, str] | None = None
) -> int:
    """Run until the wish is fulfilled or a signal comes; the exit code. RingriftError says why it could not go on.

    `provenance` says who said each setting; without it none is known but by default.
    """
    stop = Stop()
    with signals(stop, screen):
        access = await asyncio.to_thread(access_of, settings.node, process_environment())

        async def arrive(node: NodeSettings, facts: Facts, key: NodeKey, record: Record, hindered: str) -> Entry:
            arrival = Arrival(node, access, facts, key, record, wall, must_listen=wish.must_listen, hindered=hindered)
            return await unless_stopped(come_in(arrival, screen.say), stop)

        with suppress(StoppedError):
            async with whole_node(settings, arrive=arrive) as node:
                stop.hurry = killing(node.pipeline)
                shell = NodeShell(node, access, screen, sources_of(settings) if provenance is None else provenance)
                await shell.run(wish, stop)
    return stop.code


class Parts(Protocol):
    """What the shell needs of a node (p2p/orchestrator.py: Node)."""

    @property
    def pipeline(self) -> Pipeline:
        """Its work."""

    @property
    def mesh(self) -> Mesh:
        """Its part in the cluster."""


class NodeShell:
    """What stands between a node and those who look at it."""

    def __init__(self, node: Parts, access: Access, screen: Screen, provenance: Mapping[str, str]) -> None:
        self._node = node
        self._pipeline = pipeline = node.pipeline
        self._access = access
        self._screen = screen
        self._shell: Supervisor | None = None
        clock = pipeline.clock
        self.board = StatusBoard(
            pipeline,
            self._services,
            self._tell,
            monotonic=time.monotonic,
            apart_s=lambda: clock.apart_s if isinstance(clock, SteadyClock) else 0.0,
            pid=os.getpid(),
        )
        self.board.hears, self.board.voters = node.mesh.seen, node.mesh.voters
        self._peers = peer_watch(pipeline)
        self.board.remarks = lambda: self._peers.remarks
        self._forwarder = node.mesh.forwarder()
        self._door = NodeDoor(pipeline, self.board, lambda: self._shell, provenance)
        self._streams = EventStreams(pipeline.journal)

    async def run(self, wish: NodeWish, stop: Stop) -> None:
        """Between the start of the pipeline and its end."""
        pipeline, gate = self._pipeline, self.gate()
        metrics = RequestMetrics(gate.refusals.counts)
        watch = HttpWatch(metrics, gate.refusals)
        board = Service(name="STATUS_BOARD", run=self._keep_status, progress_s=10 * REFRESH_S)
        try:
            async with (
                keeping(pipeline, self.board.health) as kept,
                self._forwarder,
                listening(
                    self._answering(gate, metrics), pipeline.settings.node, self._note, must_listen=wish.must_listen
                ) as found,
            ):
                self.board.addresses = found.addresses
                for text in (self._access.warning, kept.state.note):
                    if text:
                        self._note(text)
                if (halt := self.board.state.halt) is not None:
                    self._screen.say(f"halted by {halt.by}: {halt.reason}; `ringrift loop --resume` goes on")
                rng = np.random.default_rng(pipeline.identity.session)
                services = [board, kept.service, watch.service, *self._node.mesh.services]
                if pipeline.settings.node.peers:
                    services.append(Service(name="PEERS", run=self._watch_peers, progress_s=10 * REFRESH_TIMEOUT_S))
                async with Supervisor(services, rng) as self._shell:
                    await _until(pipeline, wish, stop)
        finally:
            gate.refusals.flush()
            self.board.close()

    def _answering(self, gate: Gate, metrics: RequestMetrics) -> Answering:
        return Answering(self.handlers(gate, metrics), self._access, gate, metrics, self._streams)

    def gate(self) -> Gate:
        """The gate of this life: other members may call, those alone whose keys stand in the state."""
        consensus, node = self._pipeline.consensus, self._pipeline.identity.node
        keys, cluster = MemberKeys(lambda: consensus.state, node), consensus.state.cluster_id
        return self._access.gate(
            wall,
            time.monotonic,
            verifier=Verifier(cluster, node, keys, since=wall()) if cluster else None,
            epoch=lambda: consensus.state.epoch,
        )

    def handlers(self, gate: Gate, metrics: RequestMetrics) -> Handlers:
        """Every route of the table with what answers it."""
        pipeline, door = self._pipeline, self._door
        handlers: Handlers = {
            **status_handlers(door, metrics),
            **event_handlers(pipeline.journal, pipeline.router, self._streams),
            **cluster_handlers(door, time.monotonic),
            **admin_handlers(door),
            **promotion_handlers(pipeline),
            **distribution_handlers(pipeline),
            **session_handlers(gate, secrets.token_bytes),
            **self._node.mesh.handlers,
            **table_handlers(),
        }
        return forwarded(handlers, self._forwarder)

    async def _watch_peers(self, beat: Beat) -> None:
        async with PeerCalls(self._access.credentials.cluster) as calls:
            await self._peers.run(calls, beat)

    def _services(self) -> list[ServiceStatus]:
        mine = [] if self._shell is None else self._shell.status().values()
        return [*self._pipeline.supervisor.status().values(), *mine]

    def _tell(self, outcome: Outcome) -> None:
        log(outcome)
        self._screen.tell(outcome)

    def _note(self, text: str) -> None:
        self.board.note(text)
        self._screen.say(text)

    async def _keep_status(self, beat: Beat) -> None:
        async def look() -> None:
            await self.board.refresh()
            self._screen.show(self.board.status)

        await every(REFRESH_S, look, timeout_s=REFRESH_TIMEOUT_S, beat=beat)


def peer_watch(pipeline: Pipeline) -> PeerWatch:
    """What looks at the peers that a node was told."""
    node, consensus = pipeline.settings.node, pipeline.consensus
    return PeerWatch(node.node_id, strangers(node.peers, own_addresses(node)), lambda: consensus.state.cluster_id or "")


async def _until(pipeline: Pipeline, wish: NodeWish, stop: Stop) -> None:
    """Wait for a signal, the end of the time, the last champion, or the end of a service that must not end."""
    ends = [stop.asked.wait(), pipeline.supervisor.ended()]
    if wish.champions is not None:
        ends.append(_crowned(pipeline, wish.champions))
    tasks = [asyncio.ensure_future(end) for end in ends]
    try:
        timeout_s = None if wish.minutes is None else 60 * wish.minutes
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _crowned(pipeline: Pipeline, champions: int) -> None:
    """Wait until every configuration has had so many champions and the last ones are installed here."""
    consensus, games = pipeline.consensus, pipeline.settings.games
    while not all(champions_of(consensus.state.learner(game)) >= champions for game in games):
        await consensus.changed(consensus.version, REFRESH_TIMEOUT_S)
    for _ in range(INSTALL_LOOKS):
        if await asyncio.to_thread(_installed, pipeline):
            return
        await asyncio.sleep(REFRESH_S)


def _installed(pipeline: Pipeline) -> bool:
    for game in pipeline.settings.games:
        present = pipeline.installer.registry.production(ConfigKey.parse(game))
        if present is None or present.sha256 != pipeline.consensus.state.learner(game).champion:
            return False
    return True


def killing(pipeline: Pipeline) -> Callable[[], None]:
    """What a second signal does: whatever runs is killed, which the pipeline's end waits for already."""
    tasks: set[asyncio.Task[None]] = set()

    async def kill(child: Child) -> None:
        await child.stop(0.0)

    def hurry() -> None:
        children = (running.child for running in pipeline.jobs.running.values())
        tasks.update(asyncio.ensure_future(kill(child)) for child in children if child is not None)

    return hurry


def log(outcome: Outcome) -> None:
    """An outcome into the log of the node."""
    level = logging.ERROR if outcome.weight == "trouble" else logging.INFO
    names = (("game", outcome.game), ("job", outcome.job), ("node", outcome.node))
    where = "".join(f" {name}={value}" for name, value in names if value)
    call = next((call for kind, call in CALLS.items() if (outcome.job or "").startswith(f"{kind}-")), None)
    fields = {} if call is None else {"call": call}
    logger.log(level, "%s%s: %s", outcome.event, where, outcome.text, extra={"fields": fields})


def sources_of(settings: Settings) -> Mapping[str, str]:
    """Who said each setting, where nobody has kept it: by default, or somebody."""
    usual = Settings()
    return {path: DEFAULT if value_at(settings, path) == value_at(usual, path) else "said" for path in catalog()}
