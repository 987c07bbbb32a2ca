"""Connections are few, and each must get on: how many in all and from one peer, by when it must have said something.

aiohttp bounds sizes, and the time that a connection may idle, but neither how many there are nor how long a TLS
handshake or a reader that does not read may take. So connections are accepted here, counted before anything is read,
and handed to aiohttp's protocol behind one that watches the clock:

    runner = limited_runner(app, limits, refusals)
    await runner.setup()
    async with Acceptor(runner, listener, limits, refusals):
        ...

A body has a limit of its own (json_body.py); an answer that is being made has none, so that streams can last.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from managers.runtime.task_group import leave
from p2p.http.peer import plain_address, site_of
from p2p.http.refusal_log import RefusalLog
from p2p.identity.refusal import Refusal

RECEIVED_BYTES_MAX = 4096  # of one connection in a turn of the event loop: chunks of one byte take some 5 ms of it
FIELD_BYTES_MAX = 4096  # of a line of the headers; an envelope has 1,024
HEADERS_MAX = 64
LINGERING_S = 2.0  # for a client that still sends when its answer is ready
BACKSTOP = 2  # aiohttp's own timer comes later than ours, which tells
ACCEPT_PAUSE_S = 0.5  # when the process has no more file handles
EVERYTHING = "*"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections, and how long each may say nothing."""

    total: int = 256
    per_site: int = 32  # an IPv4 address, or 64 bits of an IPv6 address
    headers_s: float = 20.0  # from its start, or its last answer, until the next request is there with all headers
    handshake_s: float = 10.0  # of TLS
    reader_s: float = 30.0  # that a client may take nothing of an answer that waits


class Places:
    """Connections that there are, by site; pure."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._taken: dict[str, int] = {}
        self.count = 0

    def take(self, site: str) -> bool:
        """A place for one more connection; False where there is none."""
        here = self._taken.get(site, 0)
        if self.count >= self._limits.total or here >= self._limits.per_site:
            return False
        self._taken[site] = here + 1
        self.count += 1
        return True

    def leave(self, site: str) -> None:
        """One connection less."""
        self._taken[site] -= 1
        self.count -= 1
        if not self._taken[site]:
            del self._taken[site]


def limited_runner(app: web.Application, limits: ConnectionLimits, refusals: RefusalLog) -> web.AppRunner:
    """A runner with the limits that aiohttp has, and faults of clients in the log of refusals."""
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=LINGERING_S,
        keepalive_timeout=limits.headers_s * BACKSTOP,
        lingering_time=min(LINGERING_S, limits.headers_s / 2),
        auto_decompress=False,
        max_line_size=FIELD_BYTES_MAX,
        max_field_size=FIELD_BYTES_MAX,
        max_headers=HEADERS_MAX,
        logger=_protocol_log(refusals),
    )


class Acceptor:
    """Takes connections of a listening TCP socket, within the limits, until its block ends; then it closes the socket.

    The runner is set up and has no sites; it ends connections when it is cleaned up, after the block.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        limits: ConnectionLimits,
        refusals: RefusalLog,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._runner = runner
        self._listener = listener
        self._limits = limits
        self._refusals = refusals
        self._tls = tls
        self._places = Places(limits)
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()  # one that accepts; those of connections that are starting

    async def __aenter__(self) -> Self:
        server = self._runner.server
        assert server is not None, "the runner is not set up"
        _mark_requests(server)
        self._listener.settimeout(0)
        await self._tasks.__aenter__()
        self._run(self._accept(server))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        try:
            await leave(self._tasks, error)
        finally:
            self._listener.close()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _accept(self, server: web.Server) -> None:
        """Take connections for ever; as many start at once as there are places."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, end = await loop.sock_accept(self._listener)
            except OSError as error:
                logger.warning("cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            address = str(end[0])
            if self._places.take(site_of(address)):
                watched = WatchedConnection(server(), self._limits, self._refusals)
                self._run(self._start(watched, connection, address))
            else:
                connection.close()
                self._tell("too_many_connections", 503, address)

    async def _start(self, watched: "WatchedConnection", connection: socket.socket, address: str) -> None:
        site = site_of(address)
        watched.on_end = lambda: self._places.leave(site)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: watched,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._limits.handshake_s,
            )
        except OSError:  # ssl.SSLError is one
            self._tell("no_handshake", 400, address)
        finally:
            if not watched.begun:
                connection.close()
                self._places.leave(site)

    def _tell(self, code: str, status: int, address: str) -> None:
        self._refusals.tell(Refusal(code, status, code), EVERYTHING, EVERYTHING, address)


class WatchedConnection(asyncio.BufferedProtocol):
    """A connection in front of aiohttp's protocol, which ends when the client does not get on.

    The buffer is its own, so that a client that sends a lot takes turns with all others.
    """

    def __init__(self, inner: asyncio.Protocol, limits: ConnectionLimits, refusals: RefusalLog) -> None:
        self._inner = inner
        self._limits = limits
        self._refusals = refusals
        self._buffer = bytearray(RECEIVED_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._asking = False  # something of the next request has come
        self._answering = False
        self.begun = False
        self.on_end: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, after a handshake if there is one."""
        assert isinstance(transport, asyncio.Transport)
        self.begun = True
        self._transport = transport
        self._inner.connection_made(transport)
        self.request_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        for timer in (self._timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._reader_timer = None
        self._transport = None
        self._inner.connection_lost(exc)
        self.on_end()

    def get_buffer(self, _sizehint: int) -> bytearray:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Something has come."""
        self._asking = True
        self._inner.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._inner.pause_writing()
        self._reader_timer = asyncio.get_running_loop().call_later(self._limits.reader_s, self._end, "slow_reader")

    def resume_writing(self) -> None:
        """It reads again."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None
        self._inner.resume_writing()

    def request_began(self) -> None:
        """All headers of a request are there; from now on others watch the clock."""
        self._answering = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def request_ended(self) -> None:
        """The next request may come."""
        self._answering = self._asking = False
        if self._transport is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.headers_s, self._end, "slow_headers")

    def _end(self, code: str) -> None:
        if self._transport is None:
            return
        if self._asking or self._answering:
            address = plain_address(self._transport, "peername")
            self._refusals.tell(Refusal(code, 408, code), EVERYTHING, EVERYTHING, address)
        self._transport.abort()


class ClientFaults(logging.Filter):
    """Requests that are no HTTP are refusals; everything else that aiohttp's protocol says goes through."""

    def __init__(self, refusals: RefusalLog) -> None:
        super().__init__()
        self._refusals = refusals

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged as it is."""
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, web.RequestPayloadError):
            return False  # a broken body of a request that is answered already
        if not isinstance(fault, HttpProcessingError):
            return record.levelno >= logging.INFO
        address = str(record.args[0]) if isinstance(record.args, tuple) and record.args else "nobody"
        self._refusals.tell(Refusal("no_http", 400, "no HTTP"), EVERYTHING, EVERYTHING, address)
        return False


def _protocol_log(refusals: RefusalLog) -> logging.Logger:
    """A logger for one server, not registered, since its filter is that server's; aiohttp says some faults at debug."""
    log = logging.Logger(f"{__name__}.protocol", logging.DEBUG)  # noqa: LOG001 - as said
    log.parent = logger
    log.addFilter(ClientFaults(refusals))
    return log


def _mark_requests(server: web.Server) -> None:
    """Let the connection of each request know when it begins and ends."""
    handle = server.request_handler

    async def marked(request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        connection = None if transport is None else transport.get_protocol()
        if not isinstance(connection, WatchedConnection):
            return await handle(request)
        connection.request_began()
        try:
            return await handle(request)
        finally:
            connection.request_ended()

    server.request_handler = marked
