"""A node with nothing but the guard: dummy handlers on a real port, and requests to it as raw bytes."""

import asyncio
import hashlib
import json
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

from p2p.http.connection_limits import Acceptor, ConnectionLimits, limited_runner
from p2p.http.errors import body_of, errors_as_answers
from p2p.http.forms import EmptyForm
from p2p.http.guard import PRINCIPAL, SENDER, Gate, guard
from p2p.http.node_api import mounted
from p2p.http.refusal_log import RefusalLog
from p2p.http.session_api import session_handlers
from p2p.identity.credentials import Credentials, Token
from p2p.identity.envelope import HEADER, NONCE_BYTES, Address, Call, Known, Verifier, seal
from p2p.identity.node_key import NodeKey
from p2p.identity.principals import Principal
from p2p.identity.sessions import Sessions

ADMIN_TOKEN = "admin-token-of-a-test"
CLUSTER_TOKEN = "cluster-token-of-a-test"
CLUSTER, NODE, WORKER, VOTER = "c-1", "node-1", "worker-7", "voter-2"
WALL, EPOCH = 1_700_000_000.0, 5
BODY_BYTES_MAX = 4096
TIMEOUT_S = 20.0
LIMITS = ConnectionLimits(total=8, per_site=4)
SOON = ConnectionLimits(total=8, per_site=4, headers_s=1.0)  # for what waits for the limit


def key_of(name: str) -> NodeKey:
    """The key of a node of the tests."""
    return NodeKey(hashlib.sha256(name.encode()).digest())


class Members:
    """Who is known."""

    def known(self, node_id: str) -> Known | None:
        principal = {WORKER: Principal.WORKER, VOTER: Principal.VOTER}.get(node_id)
        return None if principal is None else Known(key_of(node_id).public, principal)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0: the connection was closed without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


@dataclass
class Node:
    """The node, its clocks, and what reached its handlers."""

    credentials: Credentials
    wall_s: float = WALL
    monotonic_s: float = 1000.0
    body_s: float = TIMEOUT_S
    port: int = 0
    reached: list[tuple[str, str, Principal, str | None]] = field(default_factory=list)

    def gate(self) -> Gate:
        return Gate(
            credentials=self.credentials,
            sessions=Sessions(),
            refusals=RefusalLog(lambda: self.monotonic_s),
            names=frozenset({"node.example"}),
            wall=lambda: self.wall_s,
            monotonic=lambda: self.monotonic_s,
            verifier=Verifier(CLUSTER, NODE, Members(), since=WALL - 3600),
            epoch=lambda: EPOCH,
            body_s=self.body_s,
        )

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            await body_of(request, EmptyForm)
        self.reached.append((request.method, request.path, request[PRINCIPAL], request.get(SENDER)))
        return web.json_response({"principal": request[PRINCIPAL]})

    def app(self, gate: Gate) -> web.Application:
        app = web.Application(middlewares=[errors_as_answers, guard(gate)], client_max_size=BODY_BYTES_MAX)
        questions = ("/health", "/status", "/jobs/{number}", "/admin/promote", "/secrets")
        app.add_routes([web.get(path, self.handle) for path in questions])
        orders = ("/admin/halt", "/admin/promote", "/admin/{anything}", "/secrets")
        app.add_routes([web.post(path, self.handle) for path in orders])
        app.add_routes(mounted(session_handlers(gate, secrets.token_bytes)))
        return app

    def envelope(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        sender: str = WORKER,
        key: NodeKey | None = None,
        audience: str = NODE,
        cluster: str = CLUSTER,
        epoch: int = EPOCH,
        late_s: float = 0.0,
    ) -> dict[str, str]:
        """The header of a call that is sealed now."""
        call, address = Call.of(method, target, body), Address(audience, cluster, epoch)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return {HEADER: seal(call, sender, address, key or key_of(sender), now=self.wall_s - late_s, nonce=nonce)}

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        host: str | None = None,
    ) -> Answer:
        """Send one request and read its answer."""
        fields = {"Host": host or f"localhost:{self.port}", **(headers or {})}
        if body:
            fields.setdefault("Content-Length", str(len(body)))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return await self.send("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)

    async def send(self, *parts: bytes, gap_s: float = 0.05) -> Answer:
        """Send bytes, part by part until something comes back, and read what comes until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = bytearray()
        try:
            async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(_read(reader, content))
                for number, part in enumerate(parts):
                    if number:
                        await asyncio.wait([reading], timeout=gap_s)
                    if content or reading.done():
                        break
                    writer.write(part)
        finally:
            writer.close()
        return _answer(bytes(content))


def tokens(admin: str | None = ADMIN_TOKEN, cluster: str | None = CLUSTER_TOKEN) -> Credentials:
    """The tokens of a node."""
    return Credentials(*(None if text is None else Token(text, "a test") for text in (admin, cluster)))


@asynccontextmanager
async def guarded_node(
    credentials: Credentials | None = None, limits: ConnectionLimits = LIMITS, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Node]:
    """A node that answers on loopback until the block ends."""
    node = Node(tokens() if credentials is None else credentials, body_s=limits.headers_s)
    gate = node.gate()
    runner = limited_runner(node.app(gate), limits, gate.refusals)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    node.port = listener.getsockname()[1]
    try:
        async with Acceptor(runner, listener, limits, gate.refusals, tls):
            yield node
    finally:
        await runner.cleanup()


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def _read(reader: asyncio.StreamReader, content: bytearray) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(1 << 16):
            content += part


def _answer(content: bytes) -> Answer:
    head, _, body = content.partition(b"\r\n\r\n")
    if not head:
        return Answer(0, {}, b"")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, body)
