"""`ringrift-p2p up` with real nodes: they come, come back, and nobody is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.mesh_cluster import paired_ports

COMMAND = [sys.executable, "-P", "-m", "p2p", "up"]
SETTINGS = (
    "node.disk_floor_gb=0",
    "node.disable_local_tasks=true",
    "node.metrics_port=0",
    "node.health_port=0",
    "jobs.stop_seconds=1",
)
WAIT_S = 60.0
POLL_S = 0.05


def command(folder: Path, port: int, *arguments: str) -> list[str]:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    return [*COMMAND, "--nodes", "2", "--data-dir", str(folder), "--port", str(port), "--json", *sets, *arguments]


class Running:
    """A cluster of two; its lines are read as they come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = paired_ports(1)[0]
        self.seen: set[int] = set()  # every node's process that ever was
        self.nodes: list[dict[str, object]] = []
        self.said: list[str] = []
        self.ended: dict[str, object] = {}
        self.process = subprocess.Popen(
            command(folder, self.port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something that the lines tell."""
        deadline = time.monotonic() + WAIT_S
        while not what():
            assert time.monotonic() < deadline, (self.nodes, self.said)
            assert self.process.poll() is None, self.said
            time.sleep(POLL_S)

    def pids(self) -> list[int]:
        """Of the nodes that run."""
        return [pid for node in self.nodes if isinstance(pid := node["pid"], int)]

    def alive(self) -> list[object]:
        return [node["alive"] for node in self.nodes]

    def end(self, number: signal.Signals) -> None:
        """Signal it and wait."""
        self.process.send_signal(number)
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)

    def left(self) -> list[int]:
        """Processes of it that are still there."""
        return [pid for pid in self.seen if lives(pid)]

    def close(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(WAIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            if line["event"] == "cluster":
                self.nodes = line["nodes"]
                self.seen |= set(self.pids())
            elif line["event"] == "said":
                self.said.append(line["text"])
            elif line["event"] == "ended":
                self.ended = line


def lives(pid: int) -> bool:
    """Whether a process runs; in a container nobody may reap one whose parent was killed."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "cluster")
    try:
        yield running
    finally:
        running.close()
        for pid in running.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_two_nodes_come_one_comes_back_and_after_ctrl_c_nobody_is_left(cluster: Running):
    cluster.until(lambda: cluster.alive() == ["yes", "yes"])
    for node in cluster.nodes:
        with urllib.request.urlopen(f"http://{node['address']}/status", timeout=10) as answer:
            assert json.loads(answer.read())["node_id"] == node["node_id"]
    token = cluster.folder / "cluster.token"
    assert token.stat().st_mode & 0o077 == 0
    for pid in cluster.pids():
        process = psutil.Process(pid)
        assert token.read_text().strip() not in f"{process.cmdline()}{process.environ()}"

    killed = cluster.pids()[1]
    os.kill(killed, signal.SIGKILL)
    cluster.until(lambda: cluster.alive() == ["yes", "yes"] and killed not in cluster.pids())
    assert [node["restarts"] for node in cluster.nodes] == [0, 1]
    assert any(text.startswith("node-2 ended with signal SIGKILL") for text in cluster.said)

    cluster.end(signal.SIGINT)
    assert (cluster.process.returncode, cluster.ended["code"]) == (130, 130)
    assert cluster.left() == []
    assert (cluster.folder / "node-1" / "logs" / "node.log").stat().st_size > 0


def test_nobody_is_left_when_it_is_killed(cluster: Running):
    cluster.until(lambda: len(cluster.pids()) == 2)
    cluster.end(signal.SIGKILL)
    deadline = time.monotonic() + WAIT_S
    while cluster.left():
        assert time.monotonic() < deadline, cluster.left()
        time.sleep(POLL_S)
