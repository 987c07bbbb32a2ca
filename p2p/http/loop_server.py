"""The loop's listeners: the Unix socket, and loopback ports where they are free."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from config.sections import NodeSettings
from p2p.http.loop_api import LoopDoor, loopback_app, socket_app
from p2p.http.loop_socket import make_socket_path, remove_record, write_record
from ringrift_core.errors import StorageError

LOOPBACK_ADDRESS = "127.0.0.1"
CLOSE_S = 2.0  # for answers that are under way at the end
BACKLOG = 64


@asynccontextmanager
async def listening(
    door: LoopDoor, node: NodeSettings, note: Callable[[str], None], more: Iterable[web.AbstractRouteDef] = ()
) -> AsyncIterator[Path]:
    """Answer until the block ends; gives the path of the socket. `note` hears where, and of ports that are taken."""
    folder = node.data_dir.absolute()
    socket = await asyncio.to_thread(make_socket_path, folder)
    runners = [
        web.AppRunner(socket_app(door, more), access_log=None, shutdown_timeout=CLOSE_S),
        web.AppRunner(loopback_app(door), access_log=None, shutdown_timeout=CLOSE_S),
    ]
    try:
        for runner in runners:
            await runner.setup()
        await _listen_on_socket(runners[0], socket)
        for name in ("metrics_port", "health_port"):
            note(await _listen_on_port(runners[1], name, getattr(node, name)))
        await asyncio.to_thread(write_record, folder, socket)
        yield socket
    finally:
        await asyncio.to_thread(remove_record, folder, socket)
        for runner in reversed(runners):
            await runner.cleanup()


async def _listen_on_socket(runner: web.AppRunner, path: Path) -> None:
    """A socket of that name is one that a killed loop has left: whoever has the log of the folder is alone."""
    try:
        await web.UnixSite(runner, path, backlog=BACKLOG).start()
    except OSError as error:
        raise StorageError(f"{path}: the loop cannot listen there ({error.strerror}); remove it") from error


async def _listen_on_port(runner: web.AppRunner, name: str, port: int) -> str:
    """What came of it, for people."""
    if port == 0:
        return f"node.{name} is 0: nothing listens there"
    try:
        await web.TCPSite(runner, LOOPBACK_ADDRESS, port, backlog=BACKLOG).start()
    except OSError as error:
        reason = "it is taken" if error.errno is not None else str(error)
        return f"port {port} cannot be used ({error.strerror or reason}): set node.{name}; the loop works without it"
    return f"http://{LOOPBACK_ADDRESS}:{port}/health, /status and /metrics"
