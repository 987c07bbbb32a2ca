"""Three etcd servers on loopback, to be measured beside ours: asked over their JSON gateway by one aiohttp client."""

import asyncio
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

READY_S = 30.0
ASK_S = 5.0
PAUSE_S = 0.02  # before a put that failed is tried again
TRY_S = 0.25  # of a put while there may be no leader: a member would keep it waiting for seconds
FAILURES = (aiohttp.ClientError, TimeoutError)


def etcd_version() -> str | None:
    """The version of the etcd that is installed; None without one."""
    path = shutil.which("etcd")
    if path is None:
        return None
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return shown.stdout.splitlines()[0].split()[-1]


class EtcdGroup:
    """Three members with etcd's own timing, each with its data in a folder of its own."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        """`ports` are six: of the clients, then of the members."""
        self._folder = folder
        self._clients, self._members = ports[:3], ports[3:]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * 3
        self._session: aiohttp.ClientSession
        self._leader = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S))
        for number in range(3):
            self._start(number)
        await self.settle()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()
        for process in self._processes:
            if process is not None:
                process.kill()
                process.wait()

    async def settle(self) -> None:
        """Wait until all are there and agree on who leads."""
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    said = [await self._ask(number, "maintenance/status", {}) for number in range(3)]
                    ids = [str(it["header"]["member_id"]) for it in said]
                    leaders = {str(it.get("leader")) for it in said}
                    if len(leaders) == 1 and leaders <= set(ids):
                        self._leader = ids.index(leaders.pop())
                        return
                except (*FAILURES, KeyError):
                    pass
                await asyncio.sleep(PAUSE_S)

    async def put(self, key: str, value: bytes) -> None:
        """Write at the leader."""
        await self._put(self._leader, key, value)

    async def put_at_survivor(self, key: str, value: bytes) -> None:
        """Write at a follower, again and again until it is written."""
        number = (self._leader + 1) % 3
        while True:
            try:
                async with asyncio.timeout(TRY_S):
                    await self._put(number, key, value)
            except FAILURES:
                await asyncio.sleep(PAUSE_S)
            else:
                return

    def kill_leader(self) -> None:
        """SIGKILL."""
        process = self._processes[self._leader]
        assert process is not None
        process.kill()
        process.wait()
        self._processes[self._leader] = None

    async def mend(self) -> None:
        """Start again what was killed."""
        for number, process in enumerate(self._processes):
            if process is None:
                self._start(number)
        await self.settle()

    async def _put(self, number: int, key: str, value: bytes) -> None:
        pair = {"key": b64encode(key.encode()).decode(), "value": b64encode(value).decode()}
        await self._ask(number, "kv/put", pair)

    async def _ask(self, number: int, what: str, body: dict[str, str]) -> dict[str, dict[str, str]]:
        url = f"http://127.0.0.1:{self._clients[number]}/v3/{what}"
        async with self._session.post(url, json=body) as response:
            response.raise_for_status()
            found: dict[str, dict[str, str]] = await response.json()
            return found

    def _start(self, number: int) -> None:
        urls = [f"http://127.0.0.1:{port}" for port in self._members]
        client = f"http://127.0.0.1:{self._clients[number]}"
        members = ",".join(f"m{i}={url}" for i, url in enumerate(urls))
        self._processes[number] = subprocess.Popen(  # noqa: S603
            [str(shutil.which("etcd")), "--name", f"m{number}", "--data-dir", str(self._folder / f"m{number}"),
             "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", urls[number], "--initial-advertise-peer-urls", urls[number],
             "--initial-cluster", members, "--log-level", "fatal"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
