"""`ringrift-p2p` as a real process: a bare folder becomes a node; what stands in its way is said in one line."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

NODE = Path(sys.executable).parent / "ringrift-p2p"
WAIT_S = 60.0
END_S = 30.0  # jobs have jobs.stop_seconds, on a busy machine
SETTINGS = (
    "node.disk_floor_gb=0",
    "node.disable_local_tasks=true",
    "node.metrics_port=0",
    "node.health_port=0",
    "jobs.stop_seconds=1",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(folder: Path, port: int, *arguments: str) -> list[str]:
    """A node that answers on a port."""
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    return [str(NODE), "--node-id", "here", "--data-dir", str(folder), "--port", str(port), *sets, *arguments]


def said(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=WAIT_S, stdin=-3)


class Running:
    """A node and its questions."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.process = subprocess.Popen(
            command(folder, self.port, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def health(self) -> dict[str, object]:
        """The answer of `/health`, waited for."""
        deadline = time.monotonic() + WAIT_S
        while True:
            assert self.process.poll() is None, self.process.communicate()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10) as answer:
                    found: dict[str, object] = json.loads(answer.read())
                    return found
            except OSError:
                assert time.monotonic() < deadline, "waited in vain for /health"
                time.sleep(0.05)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "node")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def test_a_bare_folder_becomes_a_node_that_is_asked_and_ended(node: Running):
    folder = str(node.folder)
    assert node.health()["status"] == "ok"
    status = said(str(NODE), "status", "--data-dir", folder, "--json")
    assert (status.returncode, json.loads(status.stdout)["running"]) == (0, True)
    picture = said(str(NODE), "status", "--data-dir", folder)
    assert (picture.returncode, "hex8_2p" in picture.stdout) == (0, True)

    examined = json.loads(said(str(NODE), "doctor", "--data-dir", folder, "--json").stdout)
    levels = {it["check"]: it["level"] for it in examined["findings"]}
    assert (levels["node"], levels["log"], levels["models"], levels[f"port {node.port}"]) == ("ok", "ok", "ok", "ok")

    second = said(*command(node.folder, free_port()))
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"works there already (process {node.process.pid})" in second.stderr

    taken = said(*command(node.folder.with_name("other"), node.port))
    assert taken.returncode == 2
    assert f"{node.port}" in taken.stderr
    assert "--port" in taken.stderr

    children = psutil.Process(node.process.pid).children(recursive=True)
    node.process.send_signal(signal.SIGTERM)
    _, err = node.process.communicate(timeout=END_S)
    assert (node.process.returncode, err) == (0, "")
    assert [child for child in children if child.is_running()] == []
    away = said(str(NODE), "status", "--data-dir", folder)
    assert (away.returncode, away.stderr.startswith("error: no node runs in")) == (3, True)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    done = said(*command(tmp_path / "file" / "node", free_port()))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "choose another folder" in done.stderr


def test_a_node_whose_peers_do_not_answer_says_what_it_waits_for_and_ends_when_it_is_told_to(tmp_path: Path):
    nobody = f"127.0.0.1:{free_port()}"
    waiting = Running(tmp_path, "--peers", nobody)
    try:
        deadline = time.monotonic() + WAIT_S
        while f"not reached: {nobody}" not in str((health := waiting.health())["waits_for"]):
            assert time.monotonic() < deadline, health
            time.sleep(0.1)
        assert health["status"] == "joining"
        waiting.process.send_signal(signal.SIGTERM)
        _, err = waiting.process.communicate(timeout=END_S)
        assert (waiting.process.returncode, err) == (0, "")
    finally:
        waiting.process.kill()
        waiting.process.communicate()
