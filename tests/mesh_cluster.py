"""Real nodes of one cluster on loopback, each a process; what they say is read over HTTP."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

PORTS = range(16_000, 32_000)  # below those that Linux gives to connections: they would take one of a killed node
WAIT_S = 90.0
ASK_S = 5.0
SETTINGS = (
    "node.disk_floor_gb=0", "node.disable_local_tasks=true", "node.metrics_port=0", "node.health_port=0",
    "jobs.stop_seconds=1",
)  # fmt: skip
Answer = dict[str, object]


class Cluster:
    """Nodes by name; a port and the one after it belong to each."""

    def __init__(
        self, folder: Path, names: str, settings: Sequence[str] = SETTINGS, module: Sequence[str] = ("-P", "-m", "p2p")
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.module = module
        self.ports = dict(zip(names, paired_ports(len(names)), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.still: set[str] = set()
        self.wait_s = WAIT_S

    def start(
        self,
        name: str,
        peers: str = "",
        *own: str,
        module: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """A life of a node, which knows some others, with settings of its own; `environment` is added to ours."""
        words = [sys.executable, *(module or self.module), "--node-id", name, "--port", str(self.ports[name])]
        words += ["--data-dir", str(self.folder / name)]
        settings = {setting.partition("=")[0]: setting for setting in (*self.settings, *own)}
        words += [word for setting in settings.values() for word in ("--set", setting)]
        if peers:
            words += ["--peers", ",".join(f"127.0.0.1:{self.ports[peer]}" for peer in peers)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )

    def kill(self, name: str) -> None:
        """End a node as a power cut would, but for the disk."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def stop(self, name: str) -> None:
        """End a node in good order."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)

    def stand_still(self, name: str) -> None:
        """Stop a node and its children, as a machine that hangs: its connections stay, it says nothing."""
        node = psutil.Process(self.processes[name].pid)
        for process in (node, *node.children(recursive=True)):
            process.send_signal(signal.SIGSTOP)
        self.still.add(name)

    def go_on(self, name: str) -> None:
        """Let a node that stands still go on."""
        node = psutil.Process(self.processes[name].pid)
        for process in (*node.children(recursive=True), node):
            process.send_signal(signal.SIGCONT)
        self.still.discard(name)

    def command(self, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """What a person does in a terminal."""
        line = [sys.executable, "-P", "-m", "p2p", *words]
        return subprocess.run(line, input=typed, capture_output=True, text=True, timeout=WAIT_S, check=False)

    def ask(self, name: str, method: str = "GET", path: str = "/status", body: object = None) -> Answer:
        """What a node answers; {} where it does not."""
        content = None if body is None else json.dumps(body)
        with (
            suppress(OSError, http.client.HTTPException, ValueError),
            closing(http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=ASK_S)) as connection,
        ):
            connection.request(method, path, content)
            answer: Answer = json.loads(connection.getresponse().read())
            return answer
        return {}

    def until(self, what: Callable[[Sequence[Answer]], bool]) -> Sequence[Answer]:
        """Wait until the statuses of all nodes that live are as they should be."""
        deadline = monotonic() + self.wait_s
        while True:
            found = [self.ask(name) for name in self.processes]
            if all(found) and what(found):
                return found
            assert monotonic() < deadline, [self.short(it) for it in found]
            sleep(0.1)

    def short(self, status: Answer) -> Answer:
        """The part of a status that says where a node stands."""
        names = ("node_id", "role", "leader_id", "epoch", "voters", "seq", "health", "waits_for")
        return {name: status[name] for name in names if name in status}

    def end(self) -> None:
        """End all that live."""
        for name in list(self.still):
            self.go_on(name)
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def agreed(found: Sequence[Answer]) -> bool:
    """Whether all say the same of their cluster, and one of them leads."""
    names = ("cluster_id", "leader_id", "epoch", "seq", "voters")
    same = {str([it.get(name) for name in names]) for it in found}
    roles = sorted(str(it.get("role")) for it in found)
    return len(same) == 1 and roles == ["follower"] * (len(found) - 1) + ["leader"]


def paired_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, and whose successors were; no connection that goes out gets one of them."""
    found: list[int] = []
    while len(found) < count:
        port = PORTS.start + 2 * secrets.randbelow(len(PORTS) // 2)
        with (
            suppress(OSError),
            closing(socket.create_server(("127.0.0.1", port))),
            closing(socket.create_server(("127.0.0.1", port + 1))),
        ):
            found += [] if port in found else [port]
    return found
