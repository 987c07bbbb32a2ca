"""The thread of a node's event loop never waits for a disk, a process, a name or a clock once it has started."""

import asyncio
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from config.loading import load
from config.schema import Settings
from config.yaml_file import Plain
from managers.outcomes import Outcome
from managers.status_records import Status
from p2p.http.access import Access
from p2p.http.routes import ROUTES
from p2p.identity.credentials import Credentials
from p2p.node import NodeShell, NodeWish
from p2p.node_door import NodeDoor
from p2p.orchestrator import whole_node
from p2p.stop import Stop
from tests.e2e.blocked_loop import Watch, watched_calls

UP_S = 60.0
LOOKS_S = 2.5  # of the node's services: their turns come every second
ABSENT = "0" * 64
ORDERS: tuple[tuple[str, object], ...] = (
    ("/admin/halt", {"reason": "a test"}), ("/admin/resume", {}), ("/events", {"type": "TRAINING_COMPLETED"}),
    ("/admin/rollback", {"model_id": "hex8_2p"}), ("/admin/rollback/hex8_2p/baseline", {"metrics": {"elo": 1500}}),
    ("/admin/promote", {"model_path": "models/candidate.pth", "board_type": "hex8", "num_players": 2}),
    ("/admin/distribute-model", {"model_path": "models/candidate.pth", "board_type": "hex8", "num_players": 2}),
    ("/admin/daemons/JOB_REAPER/restart", {}),
)  # fmt: skip


class Silent:
    """A screen that nobody looks at."""

    def tell(self, outcome: Outcome) -> None:
        """Something happened."""

    def show(self, status: Status) -> None:
        """How it stands."""

    def say(self, text: str) -> None:
        """A word."""


def settings_in(folder: Path) -> Settings:
    wished: dict[str, Plain] = {
        "node.data_dir": str(folder), "node.node_id": "here", "node.disable_local_tasks": True,
        "node.disk_floor_gb": 0, "node.metrics_port": 0, "node.health_port": 0, "node.port": 0,
        "log.snapshot_records": 5,
    }  # fmt: skip
    return load(profile="local", overrides=wished, environment={}).settings


async def with_node(folder: Path, use: Callable[[int], Awaitable[None]]) -> None:
    """A whole node on this loop; `use` gets its port once it has started."""
    stop = Stop()
    async with whole_node(settings_in(folder)) as node:
        shell = NodeShell(node, Access(Credentials(), None, frozenset(), None), Silent(), {})
        running = asyncio.create_task(shell.run(NodeWish(must_listen=True), stop))
        try:
            async with asyncio.timeout(UP_S):
                while not shell.board.addresses and not running.done():  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)  # services begin
            await use(int(shell.board.addresses[0].rpartition(":")[2]))
        finally:
            stop.asked.set()
            await running


def asked(port: int, method: str, path: str, body: object = None) -> int:
    """The status of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        return answer.status


def stream_begun(port: int) -> None:
    """A stream of events that is left in the middle."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/events?since=0", headers={"Accept": "text/event-stream"})
        connection.getresponse().readline()


def everything_asked(port: int) -> dict[str, int]:
    """Every question and every order once; its answer."""
    names = {"{id}": "none", "{sha256}": ABSENT, "{number}": "1", "{game}": "hex8_2p"}
    found = {}
    for route in ROUTES:
        if route.method == "GET":
            path = route.pattern
            for name, value in names.items():
                path = path.replace(name, value)
            found[f"GET {path}"] = asked(port, "GET", path)
    found["GET /status?peers=full"] = asked(port, "GET", "/status?peers=full")
    stream_begun(port)
    for path, body in ORDERS:
        found[f"POST {path}"] = asked(port, "POST", path, body)
    return found


def planted(watch: Watch, call: Callable[[], object]) -> list[str]:
    """What is written down of a call on a loop's thread, and that another thread may do the same."""

    async def run() -> None:
        watch.begin()
        await asyncio.to_thread(call)
        assert watch.calls == []
        call()
        watch.end()

    asyncio.run(run())
    return watch.calls


def read_a_database() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        watched = [connection.execute("SELECT 1"), connection.executescript("SELECT 1")]
        assert len(watched) == 2


def await_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()


def sync_a_file() -> None:
    number = os.open(__file__, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


PLANTED: dict[str, tuple[Callable[[], object], set[str]]] = {
    "disk": (sync_a_file, {"os.open", "os.fsync"}),
    "process": (await_a_process, {"Popen.wait", "os.waitpid"}),
    "database": (read_a_database, {"sqlite3.connect", "Connection.execute", "Connection.executescript"}),
    "file": (lambda: Path(__file__).read_text(), {"io.open"}),
    "open": (lambda: open(__file__).close(), {"builtins.open"}),
    "sleep": (lambda: time.sleep(0), {"time.sleep"}),
    "name": (lambda: socket.getaddrinfo("127.0.0.1", 80), {"socket.getaddrinfo"}),
}


def test_no_question_order_or_service_of_a_node_blocks_its_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: dict[str, int] = {}
    spoilt: list[str] = []
    with watched_calls() as watch:

        async def use(port: int) -> None:
            watch.begin()
            found.update(await asyncio.to_thread(everything_asked, port))
            await asyncio.sleep(LOOKS_S)
            watch.end()
            calls, watch.calls = watch.calls, []
            assert calls == []
            health = NodeDoor.health
            monkeypatch.setattr(NodeDoor, "health", lambda door: (Path(__file__).read_text(), health(door))[1])
            watch.begin()
            await asyncio.to_thread(asked, port, "GET", "/health")
            watch.end()
            spoilt.extend(watch.calls)

        asyncio.run(with_node(tmp_path, use))
    assert [call.partition(" ")[0] for call in spoilt] == ["io.open"]
    assert {path: status for path, status in found.items() if status >= 500} == {}
    assert found["POST /admin/halt"] == found["POST /admin/resume"] == 200


@pytest.mark.parametrize("kind", PLANTED)
def test_a_call_that_blocks_is_found_and_another_thread_may_do_it(kind: str):
    call, names = PLANTED[kind]
    with watched_calls() as watch:
        assert {it.partition(" ")[0] for it in planted(watch, call)} == names
