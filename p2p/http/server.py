"""The node's listeners: the Unix socket, its port, and two further ports for those who look after it.

    async with listening(answering, node, note, must_listen=True) as found: ...

On the Unix socket whoever reaches it is admin. TCP has the guard, limits of connections, and TLS where it is set.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from config.sections import NodeSettings
from p2p.http.access import Access
from p2p.http.connection_limits import Acceptor, ConnectionLimits, limited_runner
from p2p.http.event_stream import EventStreams
from p2p.http.guard import Gate
from p2p.http.json_answer import Handlers
from p2p.http.node_api import node_app
from p2p.http.node_socket import make_socket_path, remove_record, write_record
from p2p.http.request_metrics import RequestMetrics
from ringrift_core.errors import StorageError

CLOSE_S = 2.0  # for answers that are under way at the end
BACKLOG = 64
RESOLVE_S = 10.0  # for the name of node.host
LIMITS = ConnectionLimits()
ALIAS_LIMITS = ConnectionLimits(total=64, per_site=16)
ALIASES = ("metrics_port", "health_port")

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answering:
    """What is answered, and who may ask."""

    handlers: Handlers
    access: Access
    gate: Gate
    metrics: RequestMetrics
    streams: EventStreams | None = None  # to be ended before the listeners are


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a node is reached."""

    socket: Path
    addresses: tuple[str, ...]  # HOST:PORT, its port first
    port: int | None  # None: on the socket alone


@asynccontextmanager
async def listening(
    answering: Answering, node: NodeSettings, note: Note, *, must_listen: bool = False
) -> AsyncIterator[Listening]:
    """Answer until the block ends. `note` hears where, and of ports that are taken.

    With `must_listen` a port that is taken is a StorageError, and port 0 a free one; otherwise port 0 is none.
    """
    folder = node.data_dir.absolute()
    path = await asyncio.to_thread(make_socket_path, folder)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_socket(answering, path))
        port = await _own_port(stack, answering, node, note, must_listen=must_listen)
        addresses = [] if port is None else [_address(node.host, port)]
        for name in ALIASES:
            found = await _alias(stack, answering, node, name, note)
            addresses += [] if found is None else [_address(node.host, found)]
        if answering.streams is not None:
            stack.push_async_callback(answering.streams.close)
        await asyncio.to_thread(write_record, folder, path)
        try:
            yield Listening(path, tuple(addresses), port)
        finally:
            await asyncio.to_thread(remove_record, folder, path)


@asynccontextmanager
async def _socket(answering: Answering, path: Path) -> AsyncIterator[None]:
    """A socket of that name is one that a killed node has left: whoever has the log of the folder is alone."""
    app = node_app(answering.handlers, answering.gate, answering.metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        try:
            await web.UnixSite(runner, path, backlog=BACKLOG).start()
        except OSError as error:
            raise StorageError(f"{path}: the node cannot listen there ({error.strerror}); remove it") from error
        yield
    finally:
        await runner.cleanup()


async def _own_port(
    stack: AsyncExitStack, answering: Answering, node: NodeSettings, note: Note, *, must_listen: bool
) -> int | None:
    """The port that everything is answered on; None: there is none."""
    if node.port == 0 and not must_listen:
        note("node.port is 0: everything but health, status and metrics is asked through the socket of the folder")
        return None
    try:
        listener = await bound(node.host, node.port)
    except OSError as error:
        why = f"{_address(node.host, node.port)} cannot be used ({reason_of(error)})"
        if must_listen:
            raise StorageError(
                f"{why}: another node or `ringrift loop` may work there (`ringrift-p2p status` asks it); end it, or "
                "choose --port (node.port)"
            ) from error
        note(f"{why}: set node.port; the loop works without it")
        return None
    await stack.enter_async_context(_tcp(answering, listener, LIMITS, aliased=False))
    port: int = listener.getsockname()[1]
    note(f"{_url(answering, node.host, port)} answers everything")
    return port


async def _alias(stack: AsyncExitStack, answering: Answering, node: NodeSettings, name: str, note: Note) -> int | None:
    """A port for those who look after the node."""
    port: int = getattr(node, name)
    if port == 0:
        note(f"node.{name} is 0: nothing listens there")
        return None
    try:
        listener = await bound(node.host, port)
    except OSError as error:
        note(f"port {port} cannot be used ({reason_of(error)}): set node.{name}; the loop works without it")
        return None
    await stack.enter_async_context(_tcp(answering, listener, ALIAS_LIMITS, aliased=True))
    note(f"{_url(answering, node.host, port)}/health, /status and /metrics")
    return port


@asynccontextmanager
async def _tcp(
    answering: Answering, listener: socket.socket, limits: ConnectionLimits, *, aliased: bool
) -> AsyncIterator[None]:
    """Answer on a listener, which is closed at the end."""
    gate = answering.gate
    app = node_app(answering.handlers, gate, answering.metrics, aliased=aliased)
    runner = limited_runner(app, limits, gate.refusals)
    try:
        await runner.setup()
        async with Acceptor(runner, listener, limits, gate.refusals, answering.access.tls):
            yield
    finally:
        listener.close()
        await runner.cleanup()


async def bound(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when there can be none."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except TimeoutError:
        raise OSError(0, f"the name {host} is not resolved in {RESOLVE_S:g} s") from None
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


def reason_of(error: OSError) -> str:
    """Why a socket could not be made, in a few words; asyncio and socket put more into `strerror` at times."""
    known = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else ""
    return known or error.strerror or str(error) or "it is taken"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url(answering: Answering, host: str, port: int) -> str:
    scheme = "http" if answering.access.tls is None else "https"
    return f"{scheme}://{_address(host, port)}"
