"""Connections: places, TLS, slow readers, the Unix socket; and an error of the block stays what it is."""

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, UnixConnector, web

from p2p.http.connection_limits import (
    RECEIVED_BYTES_MAX,
    Acceptor,
    ConnectionLimits,
    Places,
    WatchedConnection,
    limited_runner,
)
from p2p.http.errors import errors_as_answers
from p2p.http.guard import guard
from p2p.http.refusal_log import RefusalLog
from p2p.http.tls import server_context
from p2p.identity.principals import Principal
from tests.certificates import write_certificate
from tests.guarded_node import ADMIN_TOKEN, LIMITS, Node, guarded_node, tokens

LIMIT = ClientTimeout(total=20)


def test_places_are_counted_by_site_and_in_all():
    places = Places(ConnectionLimits(total=3, per_site=2))
    assert [places.take(site) for site in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    places.leave("a")
    assert places.take("c")
    assert places.count == 3
    for site in ("a", "b", "c"):
        places.leave(site)
    assert (places.count, places._taken) == (0, {})


def test_a_client_that_sends_a_lot_takes_turns_with_others():
    """In a turn of the event loop one buffer is handed over: chunks of one byte cost a thousand times their size."""
    pieces: list[bytes] = []

    class Inner(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            pieces.append(data)

    watched, content = WatchedConnection(Inner(), LIMITS, RefusalLog(lambda: 0.0)), bytes(range(256)) * 100

    async def run() -> None:
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: watched, sock=ours)
        theirs.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(theirs, content)
        theirs.close()
        async with asyncio.timeout(20):
            while not transport.is_closing():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)

    asyncio.run(run())
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= RECEIVED_BYTES_MAX


def test_over_tls_the_cookie_is_for_tls_only_and_pages_must_be_too(tmp_path: Path):
    cert, key = write_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))

    async def run() -> None:
        async with (
            guarded_node(tls=server_context(cert, key)) as node,
            ClientSession(connector=TCPConnector(ssl=trust), timeout=LIMIT) as client,
        ):
            base = f"https://localhost:{node.port}"
            good = await client.post(f"{base}/session", json={"token": ADMIN_TOKEN}, headers={"Origin": base})
            assert good.status == 200
            assert "Secure" in good.headers["Set-Cookie"]
            plain = {"Origin": base.replace("https", "http")}
            assert (await client.post(f"{base}/session", json={"token": ADMIN_TOKEN}, headers=plain)).status == 403
            assert (await client.get(f"{base}/status")).status == 200

    asyncio.run(run())


def test_a_handshake_that_is_none_is_told_and_gives_its_place_back(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    limits = ConnectionLimits(total=2, per_site=2, headers_s=0.3, handshake_s=0.3)

    async def run() -> None:
        async with guarded_node(limits=limits, tls=server_context(*write_certificate(tmp_path))) as node:
            for _ in range(3):
                assert (await node.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")).status in {0, 400}
            assert (await node.send(b"\x16\x03\x01")).status == 0  # goes on no further

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == ["refused 400 no_handshake: * '*' from 127.0.0.1"] * 4


def test_a_reader_that_takes_nothing_is_left():
    limits = ConnectionLimits(reader_s=0.2)

    async def run() -> None:
        left = asyncio.Event()

        async def endless(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            try:
                while True:
                    await answer.write(b"x" * (1 << 20))
            finally:
                left.set()

        app, log = web.Application(), RefusalLog(lambda: 0.0)
        app.add_routes([web.get("/", endless)])
        runner = limited_runner(app, limits, log)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        try:
            async with Acceptor(runner, listener, limits, log) as acceptor:
                reader, writer = await asyncio.open_connection(*listener.getsockname()[:2], limit=1 << 10)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await asyncio.wait_for(reader.readline(), 20)
                assert acceptor._places.count == 1
                assert isinstance(writer.transport, asyncio.Transport)
                writer.transport.pause_reading()
                await asyncio.wait_for(left.wait(), 20)
                assert acceptor._places.count == 0
                writer.close()
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_an_error_of_the_block_stays_what_it_is():
    async def run() -> None:
        async with guarded_node():
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(run())


def test_whoever_reaches_the_unix_socket_is_admin_unless_it_is_forwarded(tmp_path: Path):
    async def run() -> None:
        node = Node(tokens())
        app = web.Application(middlewares=[errors_as_answers, guard(node.gate())])
        app.add_routes([web.post("/admin/halt", node.handle)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        path = str(tmp_path / "s")
        await web.UnixSite(runner, path).start()
        try:
            async with ClientSession(connector=UnixConnector(path), timeout=LIMIT) as client:
                assert (await client.post("http://node/admin/halt")).status == 200
                assert (await client.post("http://node/admin/halt", headers={"Via": "1.1 x"})).status == 401
                assert (await client.post("http://evil.example/admin/halt")).status == 421
                foreign = {"Origin": "http://evil.example"}
                assert (await client.post("http://node/admin/halt", headers=foreign)).status == 403
            assert [row[2] for row in node.reached] == [Principal.ADMIN]
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_a_connection_that_is_gone_is_left_alone():
    watched = WatchedConnection(asyncio.Protocol(), LIMITS, RefusalLog(lambda: 0.0))
    watched.request_ended()
    watched._end("slow_headers")
    assert not watched.begun
