"""`ringrift loop` as real processes: run, asked, halted, resumed, ended; no process is left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

RINGRIFT = Path(sys.executable).parent / "ringrift"
WAIT_S = 90.0
END_S = 40.0  # for jobs to be stopped, on a busy machine
SETTINGS = (
    "selfplay.bootstrap_sims=0", "selfplay.bootstrap_games=1000000", "jobs.stop_seconds=2", "node.health_port=0",
    "node.disk_floor_gb=0", "node.node_id=here",
)  # fmt: skip


def ringrift(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [RINGRIFT, "loop", *arguments], capture_output=True, text=True, check=False, timeout=WAIT_S, stdin=-3
    )


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def job_processes(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "ringrift_core.jobs" in words and any(str(folder) in word for word in words):
            found.append(process.pid)
    return found


class Running:
    """A loop and its questions."""

    def __init__(self, folder: Path, *, works: bool) -> None:
        self.folder = folder
        self.port = free_port()
        own = (f"node.metrics_port={self.port}", f"node.disable_local_tasks={'false' if works else 'true'}")
        sets = [word for setting in (*SETTINGS, *own) for word in ("--set", setting)]
        self.command = [str(RINGRIFT), "loop", "--data-dir", str(folder), "--cores", "1", "--json", *sets]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            content: bytes = answer.read()
            return content.decode()

    def answers(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return bool(self.get("/health"))
        except OSError:
            return False

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.get("/status"))
        return found

    def plays(self) -> bool:
        return any(job["status"] == "running" for job in self.status()["jobs"])  # type: ignore[attr-defined]


@pytest.fixture(params=[True])
def loop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(tmp_path / "node", works=request.param)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()
        for pid in job_processes(running.folder):
            os.kill(pid, signal.SIGKILL)


def test_a_loop_is_run_asked_halted_resumed_and_ended(loop: Running):
    folder = str(loop.folder)
    wait_for(loop.answers, "the loop to answer")
    wait_for(loop.plays, "selfplay")
    assert json.loads(loop.get("/health"))["status"] == "ok"
    assert "ringrift_selfplay_jobs_running 1.0" in loop.get("/metrics")
    asked = ringrift("--data-dir", folder, "--status", "--json")
    assert (asked.returncode, json.loads(asked.stdout)["pid"]) == (0, loop.process.pid)

    second = ringrift("--data-dir", folder)
    assert second.returncode == 2
    assert f"a loop works there already (process {loop.process.pid})" in second.stderr

    halted = ringrift("--data-dir", folder, "--halt", "--reason", "a test", "--json")
    assert json.loads(halted.stdout) == {"changed": True, "reason": ""}
    wait_for(lambda: not job_processes(loop.folder), "the end of the jobs")
    assert json.loads(loop.get("/health"))["status"] == "halted"
    assert ringrift("--data-dir", folder, "--resume").stdout == "goes on\n"
    wait_for(loop.plays, "selfplay after the halt")

    loop.process.send_signal(signal.SIGTERM)
    out, err = loop.process.communicate(timeout=END_S)
    assert (loop.process.returncode, err) == (0, "")
    assert job_processes(loop.folder) == []
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert [event for event in events if event in {"halted", "resumed"}] == ["halted", "resumed"]
    log = (loop.folder / "logs" / "coordination.log").read_text()
    assert "halted by admin: a test" in log

    after = json.loads(ringrift("--data-dir", folder, "--status", "--json").stdout)
    assert (after["running"], after["session"] > 0) == (False, True)
    assert [job["status"] for job in after["jobs"]] == ["queued"], "what was given back belongs to nobody"


@pytest.mark.parametrize("loop", [False], indirect=True)
def test_a_halt_outlives_the_loop_and_can_be_said_without_one(loop: Running):
    folder = str(loop.folder)
    wait_for(loop.answers, "the loop to answer")
    loop.process.send_signal(signal.SIGINT)
    loop.process.communicate(timeout=END_S)
    assert loop.process.returncode == 130
    assert ringrift("--data-dir", folder, "--halt", "--reason", "before the start").stdout == "halted\n"
    again = ringrift("--data-dir", folder, "--minutes", "0.03", "--plain", "--set", "node.metrics_port=0")
    assert again.returncode == 0
    assert "halted by admin: before the start; `ringrift loop --resume` goes on" in again.stdout
    assert job_processes(loop.folder) == []
    assert ringrift("--data-dir", folder, "--resume").stdout == "goes on\n"
