"""A node as a process of its own, in a bare folder, and connections that ask it, for measurements and soaks.

Connections come from several addresses of loopback (127.0.0.1, 127.0.0.2 and so on), since a node grants each address
a few only: Linux answers on all of them.
"""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from ringrift_core.errors import RulesError

COMMAND = Path(sys.executable).parent / "ringrift-p2p"
HERE = "127.0.0.1"
UP_S = 120.0  # until a node answers, on a busy machine
END_S = 60.0  # for its jobs to stop
ANSWER_S = 30.0
PER_SITE = 25  # connections from one address; a node grants 32
SETTINGS = {"node.disk_floor_gb": "0", "node.metrics_port": "0", "node.health_port": "0", "jobs.stop_seconds": "2"}


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A node that answers."""

    port: int
    process: psutil.Process

    def get(self, path: str) -> bytes:
        """The content of an answer; RulesError when it is not 200."""
        with closing(http.client.HTTPConnection(HERE, self.port, timeout=ANSWER_S)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise RulesError(f"{path} is answered with {answer.status}: {content[:200]!r}")
        return content

    def metric(self, name: str) -> float:
        """A metric without labels; RulesError where there is none."""
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(f"ringrift_{name} "):
                return float(line.split()[1])
        raise RulesError(f"the node has no metric ringrift_{name}")


@contextmanager
def running_node(folder: Path, settings: Mapping[str, str]) -> Iterator[NodeProcess]:
    """A node in a folder until the block ends; RulesError when it does not begin to answer."""
    with socket.create_server((HERE, 0)) as probe:
        port: int = probe.getsockname()[1]
    wished = [word for path, value in {**SETTINGS, **settings}.items() for word in ("--set", f"{path}={value}")]
    words = [str(COMMAND), "--data-dir", str(folder / "node"), "--port", str(port), *wished]
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - ours
    node = NodeProcess(port, psutil.Process(process.pid))
    try:
        until = monotonic() + UP_S
        while not _answers(node):
            if process.poll() is not None or monotonic() > until:
                raise RulesError(f"the node does not answer: {(folder / 'node.log').read_text()[-1000:]}")
            sleep(0.1)
        yield node
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            for child in node.process.children(recursive=True):
                child.kill()
            process.kill()
            process.wait(END_S)


def _answers(node: NodeProcess) -> bool:
    try:
        return bool(node.get("/health"))
    except (OSError, http.client.HTTPException):
        return False


class Connection:
    """A connection that is kept: one question after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, number: int = 0) -> "Connection":
        """The connection of that number, from the address that has room for it."""
        site = f"127.0.0.{1 + number // PER_SITE}"
        async with asyncio.timeout(ANSWER_S):
            return cls(*await asyncio.open_connection(HERE, port, local_addr=(site, 0)))

    async def ask(self, path: str) -> tuple[int, bytes]:
        """Status and content; ConnectionError when the other side ends before."""
        async with asyncio.timeout(ANSWER_S):
            self.writer.write(f"GET {path} HTTP/1.1\r\nHost: {HERE}\r\n\r\n".encode())
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                return int(head.split(b" ", 2)[1]), await self.reader.readexactly(_length(head))
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("the other side has ended the connection") from error

    def abort(self) -> None:
        """End it at once, whatever is under way."""
        self.writer.transport.abort()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def cpu_s(process: psutil.Process) -> float:
    """CPU that a process has taken; 0.0 when it has ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def load_of_machine() -> dict[str, float]:
    """Who else is there: cores that may be used, runnable processes of the last minute."""
    return {"cores": len(os.sched_getaffinity(0)), "load_1min": round(os.getloadavg()[0], 1)}
