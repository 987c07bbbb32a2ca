"""A node without processes behind real handlers: a state made by commands, a journal, orders that are remembered."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from config.schema import Settings
from config.sections import NodeSettings
from managers.event_journal import EventJournal
from managers.health import Health
from managers.runtime.event_router import EventRouter
from managers.runtime.service import ServiceStatus, State
from managers.sightings import NOTHING
from managers.state.cluster_state import ClusterState, Result
from managers.status import Sight, Work, status_of
from managers.status_records import Status, encode_status
from p2p.http.access import Access
from p2p.http.admin_api import admin_handlers
from p2p.http.cluster_api import cluster_handlers
from p2p.http.event_stream import EventStreams
from p2p.http.events_api import event_handlers
from p2p.http.json_answer import Handlers
from p2p.http.node_api import node_app, table_handlers
from p2p.http.request_metrics import RequestMetrics
from p2p.http.server import Answering
from p2p.http.session_api import session_handlers
from p2p.http.status_api import status_handlers
from p2p.identity.credentials import Credentials
from ringrift_core.errors import RulesError
from ringrift_core.registry import ModelRegistry
from tests.loop_states import GAME, NODE, Loop

Client = TestClient[web.Request, web.Application]
SETTINGS = Settings(node=NodeSettings(node_id=NODE), games=(GAME,))


class FakeDoor:
    """A node that remembers its orders."""

    def __init__(self, loop: Loop | None = None, models: Path = Path("/nonexistent")) -> None:
        self.loop = loop or Loop()
        self.settings = SETTINGS
        self.provenance: Mapping[str, str] = {"games": "command line"}
        self.registry = ModelRegistry(models)
        self.journal = EventJournal()
        self.work: Mapping[str, Work] = {}
        self.silent: Mapping[str, str] = {}
        self.unfit: Mapping[str, str] = {}
        self.seen = NOTHING
        self.uptime_s = 12.5
        self.status: Status = status_of(
            Sight(self.loop.state, SETTINGS, self.loop.now, (GAME,), session=1, running=True)
        )
        self.content = encode_status(self.status)
        self.is_well = Health(status="ok")
        self.orders: list[str] = []
        self.states = {"JOB_REAPER": State.RUNNING}

    @property
    def state(self) -> ClusterState:
        return self.loop.state

    def clock(self) -> float:
        return self.loop.now

    def health(self) -> Health:
        return self.is_well

    async def halt(self, reason: str) -> Result:
        self.orders.append(reason)
        return Result(accepted=len(self.orders) == 1, seq=7, reason="" if len(self.orders) == 1 else "halted already")

    async def resume(self) -> Result:
        raise TimeoutError

    def daemons(self) -> Mapping[str, ServiceStatus]:
        return {
            name: ServiceStatus(name, state, False, 0, None, 1.0, 1.0, False, ()) for name, state in self.states.items()
        }

    async def start(self, name: str) -> None:
        if self.states[name] is State.RUNNING and "broken" in self.orders:
            raise RulesError(f"{name} cannot be started")
        self.orders.append(f"start {name}")
        self.states[name] = State.RUNNING

    async def stop(self, name: str) -> None:
        self.orders.append(f"stop {name}")
        self.states[name] = State.STOPPED


def answering(
    door: FakeDoor, more: Handlers | None = None, credentials: Credentials | None = None, *, heartbeat_s: float = 0.05
) -> Answering:
    """What listeners need, with as much of a node behind it as the door has."""
    access = Access(credentials or Credentials(), None, frozenset({NODE}), None)
    gate = access.gate(lambda: 1e9, lambda: 1000.0)
    metrics = RequestMetrics(gate.refusals.counts)
    streams = EventStreams(door.journal, heartbeat_s=heartbeat_s, most=2)
    router = EventRouter(NODE, "1", door.clock)
    router.watch(lambda event: door.journal.append(event, door.state.seq))
    handlers = {
        **status_handlers(door, metrics),
        **cluster_handlers(door, lambda: 1000.0),
        **admin_handlers(door),
        **event_handlers(door.journal, router, streams),
        **session_handlers(gate, secrets.token_bytes),
        **table_handlers(),
        **(more or {}),
    }
    return Answering(handlers, access, gate, metrics, streams)


def ask(found: Answering, use: Callable[[Client], Awaitable[None]], *, aliased: bool = False) -> None:
    """Ask over a port of this machine."""

    async def run() -> None:
        app = node_app(found.handlers, found.gate, found.metrics, aliased=aliased)
        async with TestClient(TestServer(app)) as client:
            await use(client)
            if found.streams is not None:
                await found.streams.close()

    asyncio.run(run())
