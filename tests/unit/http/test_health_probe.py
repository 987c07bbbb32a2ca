"""Asking another node's `/health`, over real sockets on loopback."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from managers.health import Health
from managers.ports import ProbedHealth, ProbeError
from p2p.http.health_probe import HttpNodeProbe, addresses_of


def asked(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], timeout_s: float = 5.0) -> ProbedHealth:
    """What the probe makes of a node that answers so."""

    async def run() -> ProbedHealth:
        app = web.Application()
        app.add_routes([web.get("/health", answer)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            return await HttpNodeProbe({"b": f"127.0.0.1:{port}"}.get).health("b", timeout_s)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def with_body(body: str | bytes, status: int = 200):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    return answer


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (Health(status="ok", degraded=("x is down",)), 200),
        (Health(status="halted"), 200),
        (Health(status="failing", reasons=("the log", "the disk")), 503),
    ],
)
def test_what_a_node_says_is_understood(health: Health, status: int):
    said = asked(with_body(health.model_dump_json(), status))
    assert said == ProbedHealth(health.status, health.reasons, health.degraded)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 200, "answers something else"),
        (b"\xff", 200, "answers something else"),
        (b'{"status": "fine"}', 200, "answers something else"),
        (b'{"status": "ok"}', 500, "answers with status 500"),
        (b'{"status": "ok"}', 302, "answers with status 302"),
        (b"x" * 70_000, 200, "answers with more than 65536 bytes"),
    ],
)
def test_what_cannot_be_understood_is_said(body: bytes, status: int, message: str):
    with pytest.raises(ProbeError, match=message):
        asked(with_body(body, status))


def test_a_node_that_does_not_answer_is_waited_for_only_so_long():
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    with pytest.raises(ProbeError, match=r"does not answer in 0\.05 s"):
        asked(never, 0.05)


def test_nobody_there_and_no_address_are_said():
    probe = HttpNodeProbe({"b": "127.0.0.1:1"}.get)
    with pytest.raises(ProbeError, match="cannot be asked"):
        asyncio.run(probe.health("b", 5.0))
    with pytest.raises(ProbeError, match="no address of c is known"):
        asyncio.run(probe.health("c", 5.0))


def test_a_node_is_found_where_it_is_called_as_its_host():
    assert addresses_of(("gpu-1:8770", "[::1]:9")) == {"gpu-1": "gpu-1:8770", "[::1]": "[::1]:9"}
