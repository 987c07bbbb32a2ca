"""Orders that the leader carries out: whoever else is asked hands them on, with the user's own credential.

    handlers = forwarded(handlers, forwarder)

The guard has let the request in here; the leader's guard judges it anew by the same `Authorization` header. A node
never lends its own authority: a session's cookie and the Unix socket are worth nothing elsewhere, and where no
credential is shown only another node of this machine is asked. A request is handed on once.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from managers.line import one_line
from p2p.http.access import is_loopback
from p2p.http.errors import Handler, RequestError
from p2p.http.guard import PEER
from p2p.http.json_answer import Handlers
from p2p.http.peer import Door
from p2p.http.routes import ROUTES
from ringrift_core.errors import InvariantError

HOP = "X-RingRift-Forwarded"  # who has handed a request on
ANSWER_S = 60.0  # for the leader's answer
CONNECT_S = 4.0
ANSWER_BYTES_MAX = 4 << 20
TOGETHER_MAX = 64  # requests that are handed on at once
ADVICE = "ask it yourself, or show a token: Authorization: Bearer TOKEN"


@dataclass(frozen=True, slots=True)
class Leading:
    """Who leads, as this node knows."""

    node: str
    addresses: Sequence[str]  # the best first


class Forwarder:
    """Hands requests on; `async with` opens and closes its session."""

    def __init__(
        self,
        node: str,
        leads: Callable[[], bool],
        leader: Callable[[], Leading | None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`leads`: whether this node does; `leader`: who else, None where nobody is known; `tls`: over https."""
        self._node = node
        self._leads = leads
        self._leader = leader
        self._tls = tls
        self._places = asyncio.Semaphore(TOGETHER_MAX)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def wrapped(self, handler: Handler) -> Handler:
        """A handler that works where this node leads, and is asked of the leader elsewhere."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request) if self._leads() else await self._hand_on(request)

        return handle

    async def _hand_on(self, request: web.Request) -> web.Response:
        leader = self._leader()
        if leader is None or leader.node == self._node or not leader.addresses:
            raise RequestError("no leader is known now; try again", 503, code="no_leader")
        if HOP in request.headers:
            raise _not_leader(leader, f"{self._node} does not lead any more, and the request was handed on already")
        address = _address_for(request, leader)
        if self._places.locked():
            raise RequestError(f"{TOGETHER_MAX} requests wait for the leader; try again", 503, code="busy")
        async with self._places:
            return await self._asked(request, leader, address)

    async def _asked(self, request: web.Request, leader: Leading, address: str) -> web.Response:
        if self._session is None:
            raise InvariantError("requests are handed on within the block of Forwarder")
        url = f"{'http' if self._tls is None else 'https'}://{address}{request.raw_path}"
        try:
            async with self._session.request(
                request.method,
                URL(url, encoded=True),
                data=await request.read() or None,
                headers={**_credential(request), "Accept-Encoding": "identity", HOP: self._node},
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls,
                timeout=aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S),
            ) as answer:
                content = await _whole(answer)
                return web.Response(body=content, status=answer.status, content_type=answer.content_type)
        except aiohttp.ClientConnectorError as error:
            text = f"the leader {leader.node} at {address} cannot be reached: {one_line(str(error))}"
            raise RequestError(text, 503, code="leader_unreachable") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            why = one_line(str(error)) or f"no answer in {ANSWER_S:g} s"
            text = f"the leader {leader.node} has not answered ({why}); what was asked may have been done or not"
            raise RequestError(text, 503, code="leader_unreachable") from error


def forwarded(handlers: Handlers, forwarder: Forwarder) -> Handlers:
    """The handlers, with those that the leader alone carries out handed on."""
    marked = {f"{route.method} {route.pattern}" for route in ROUTES if route.forwarded}
    return {name: forwarder.wrapped(it) if name in marked else it for name, it in handlers.items()}


def _address_for(request: web.Request, leader: Leading) -> str:
    """Where a request may be handed on to with what it shows; RequestError where it shows nothing that counts there."""
    if "Authorization" in request.headers:
        return leader.addresses[0]
    here = [address for address in leader.addresses if is_loopback(address.rpartition(":")[0].strip("[]"))]
    if request[PEER].door is Door.LOOPBACK and not request.cookies and here:
        return here[0]
    raise _not_leader(leader, "what lets you in here is worth nothing at another node")


def _not_leader(leader: Leading, why: str) -> RequestError:
    where = leader.addresses[0] if leader.addresses else ""
    text = f"{leader.node} leads, at {where}; {why}: {ADVICE}"
    return RequestError(text, 409, {"leader": leader.node, "address": where}, code="not_leader")


def _credential(request: web.Request) -> Mapping[str, str]:
    shown = request.headers.get("Authorization")
    return {} if shown is None else {"Authorization": shown}


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for part in answer.content.iter_chunked(1 << 16):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"more than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)
