"""A node has a handler for every row of the table of routes, and no other."""

import asyncio
import time
from pathlib import Path

from config.schema import Settings
from config.sections import NodeSettings
from managers.event_journal import LAST
from managers.launcher.local_launcher import LocalLauncher
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import REQUESTS, Pipeline
from managers.runtime.event_router import EventRouter
from managers.state import LocalConsensus
from managers.state.commands import Drain
from managers.state.machine import StateMachine
from p2p.http.access import access_of
from p2p.http.request_metrics import RequestMetrics
from p2p.http.routes import ROUTES
from p2p.node import NodeShell, sources_of
from tests.node_parts import parts_of
from tests.unit.p2p.test_node import FakeScreen


def test_every_route_has_a_handler_and_every_handler_a_route(tmp_path: Path):
    async def run() -> None:
        settings, folder = Settings(node=NodeSettings(data_dir=tmp_path)), NodeFolder(tmp_path)
        async with LocalConsensus(StateMachine(), None) as consensus:
            launcher = LocalLauncher(folder.jobs, folder.logs)
            router = EventRouter("n", "1", time.monotonic)
            pipeline = Pipeline(
                settings,
                consensus,
                launcher,
                folder,
                time.monotonic,
                own=OwnRecord(session=1),
                router=router,
                duty=REQUESTS,
            )
            access = access_of(settings.node, {})
            node = NodeShell(parts_of(pipeline, consensus), access, FakeScreen(), {})
            try:
                gate = access.gate(time.monotonic, time.monotonic)
                handlers = node.handlers(gate, RequestMetrics({}))
            finally:
                node.board.close()
        assert handlers.keys() == {f"{route.method} {route.pattern}" for route in ROUTES}

    asyncio.run(run())


def test_without_a_provenance_what_is_not_by_default_was_said_by_somebody():
    found = sources_of(Settings(games=("square8_2p",)))
    assert (found["games"], found["seed"]) == ("said", "default")


def test_a_transition_that_tells_nothing_is_no_gap_for_whoever_asks_behind_it(tmp_path: Path):
    async def run() -> None:
        settings, folder = Settings(node=NodeSettings(node_id="n", data_dir=tmp_path)), NodeFolder(tmp_path)
        async with (
            LocalConsensus(StateMachine(), None) as consensus,
            EventRouter("n", "1", time.monotonic) as router,
            LocalLauncher(folder.jobs, folder.logs) as launcher,
            Pipeline(
                settings,
                consensus,
                launcher,
                folder,
                time.monotonic,
                own=OwnRecord(session=1),
                router=router,
                duty=REQUESTS,
            ) as pipeline,
        ):
            seq = 0
            for number in range(50):  # until the services have told that they began
                drain = Drain(node="n", draining=number % 2 == 0)
                seq = (await pipeline.proposer("test").propose(drain)).seq
            assert not pipeline.journal.after((seq, LAST), 10).gap
            assert pipeline.journal.after((seq + 1, LAST), 10).gap

    asyncio.run(run())
