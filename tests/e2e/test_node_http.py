"""A node as a real process, asked as curl does: every question of the table, orders, a stream over a restart."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from p2p.http.routes import ROUTES
from p2p.http.status_api import METRICS_TYPE
from p2p.identity.principals import Principal

RINGRIFT = Path(sys.executable).parent / "ringrift"
WAIT_S = 90.0
END_S = 40.0
TOKEN = "admin-token-of-a-test"
SETTINGS = ("node.node_id=here", "node.disable_local_tasks=true", "node.disk_floor_gb=0", "node.metrics_port=0")


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


class Node:
    """A node and what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.health_port = free_ports(2)
        own = (f"node.port={self.port}", f"node.health_port={self.health_port}")
        sets = [word for setting in (*SETTINGS, *own) for word in ("--set", setting)]
        command = [str(RINGRIFT), "loop", "--data-dir", str(folder), "--json", *sets]
        environment = {**os.environ, "RINGRIFT_ADMIN_TOKEN": TOKEN}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, port: int | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None if body is None else json.dumps(body)
        with closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)) as connection:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str) -> Any:
        status, _, content = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return self.ask("GET", "/health")[0] == 200
        except OSError:
            return False

    def order(self, path: str, body: object) -> tuple[int, Any]:
        status, _, content = self.ask("POST", path, body, token=TOKEN)
        return status, json.loads(content)

    def stream(self, last_id: str, until: str) -> list[tuple[str, str]]:
        """Cursors and types of a stream until one of a type comes."""
        found: list[tuple[str, str]] = []
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)) as connection:
            connection.request("GET", "/events", headers={"Accept": "text/event-stream", "Last-Event-ID": last_id})
            answer = connection.getresponse()
            assert answer.status == 200
            cursor = ""
            while line := answer.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                cursor = value if name == "id" else cursor
                if name == "data":
                    found.append((cursor, json.loads(value)["type"]))
                    if found[-1][1] == until:
                        return found
        raise AssertionError(f"the stream ended without {until}: {found}")


@contextmanager
def running(folder: Path) -> Iterator[Node]:
    node = Node(folder)
    try:
        wait_for(node.answers, "the node to answer")
        yield node
        node.process.send_signal(signal.SIGTERM)
        _, err = node.process.communicate(timeout=END_S)
        assert (node.process.returncode, err) == (0, "")
    finally:
        if node.process.poll() is None:
            node.process.kill()
        node.process.communicate()


def test_a_node_answers_its_table_takes_orders_and_its_events_outlive_a_restart(tmp_path: Path):
    with running(tmp_path) as node:
        for route in ROUTES:
            if route.method == "GET" and "{" not in route.pattern and Principal.ADMIN in route.principals:
                shown = None if Principal.OBSERVER in route.principals else TOKEN
                status, headers, content = node.ask("GET", route.pattern, token=shown)
                assert status == 200, (route.pattern, content)
                assert headers["Content-Type"].startswith("application/json") or headers["Content-Type"] == METRICS_TYPE
        assert [node.ask("GET", path, port=node.health_port)[0] for path in ("/health", "/jobs")] == [200, 404]
        wait_for(lambda: bool(node.get("/status")["recent_events"]), "events in the status")
        status = node.get("/status")
        assert (status["form"], status["node_id"], status["role"]) == ("ringrift.status/2", "here", "leader")
        assert status["self"]["addresses"] == [f"127.0.0.1:{node.port}", f"127.0.0.1:{node.health_port}"]
        assert {"HTTP_WATCH", "SHARD_SYNC", "MODEL_SYNC"} <= status["daemons"].keys()
        assert node.order("/admin/sync", {"what": "all"})[1] == {"done": True, "files": 0, "nodes": [], "problems": []}

        assert node.ask("POST", "/admin/halt", {})[0] == 401
        assert node.ask("POST", "/admin/halt", {}, token="a-token-of-somebody")[0] == 401
        assert node.order("/admin/halt", {"reason": "a test"})[1]["changed"] is True
        assert node.order("/admin/daemons/JOB_REAPER/restart", {})[1]["state"] == "running"
        status_code, headers, _ = node.ask("POST", "/session", {"token": TOKEN})
        assert (status_code, f"ringrift_session_{node.port}=" in headers["Set-Cookie"]) == (200, True)
        halted = node.stream("0", "LOOP_HALTED")[-1][0]
        assert node.order("/admin/resume", {})[0] == 200
    with running(tmp_path) as node:
        assert "LOOP_HALTED" not in {kind for _, kind in node.stream(halted, "LOOP_RESUMED")}
        found = node.get("/events?types=LOOP_HALTED,LOOP_RESUMED")
        assert [row["type"] for row in found["events"]] == ["LOOP_HALTED", "LOOP_RESUMED"]
        assert node.get(f"/events?since={halted}")["gap"] is False
