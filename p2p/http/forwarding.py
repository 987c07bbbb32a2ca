"""Orders that the leader carries out: whoever else is asked hands them on, with the user's own credential.

    handlers = forwarded(handlers, forwarder)

The guard has let the request in here; the leader's guard judges it anew by the same `Authorization` header. A node
never lends its own authority: a session's cookie and the Unix socket are worth nothing elsewhere, and where no
credential is shown only another node of this machine is asked. A request is handed on once, and given up when this
node knows that its leader leads no more, or that nothing can be written.
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
from managers.patience import unless_in_vain
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


@dataclass(frozen=True, slots=True)
class Leadership:
    """What this node knows about who leads; asked anew each time."""

    leads: Callable[[], bool]  # whether it does itself
    leader: Callable[[], Leading | None]  # who else, None where nobody is known
    trouble: Callable[[], str] = str  # why nothing can be written from here; "" when it can
    cut_off: Callable[[], str] = str  # why nobody can write, as far as this node can tell; "" when somebody may


class Forwarder:
    """Hands requests on; `async with` opens and closes its session."""

    def __init__(self, node: str, leadership: Leadership, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: leaders are asked over https."""
        self._node = node
        self._leadership = leadership
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
            return await handler(request) if self._leadership.leads() else await self._hand_on(request)

        return handle

    async def _hand_on(self, request: web.Request) -> web.Response:
        leader, trouble = self._leadership.leader(), self._leadership.trouble()
        if leader is None or leader.node == self._node or not leader.addresses:
            raise RequestError(f"no leader is known now{_also(trouble)}; try again", 503, code="no_leader")
        if HOP in request.headers:
            raise _not_leader(leader, f"{self._node} does not lead any more, and the request was handed on already")
        address = _address_for(request, leader)
        if address is None and trouble:
            raise RequestError(f"the leader cannot be asked now{_also(trouble)}; try again", 503, code="no_leader")
        if address is None:
            raise _not_leader(leader, "what lets you in here is worth nothing at another node")
        if self._places.locked():
            raise RequestError(f"{TOGETHER_MAX} requests wait for the leader; try again", 503, code="busy")
        async with self._places:
            return await self._asked(request, leader, address)

    async def _asked(self, request: web.Request, leader: Leading, address: str) -> web.Response:
        try:
            return await unless_in_vain(self._answer(request, address), lambda: self._in_vain(leader), ANSWER_S)
        except aiohttp.ClientConnectorError as error:
            why = f"{one_line(str(error))}{_also(self._leadership.trouble())}"
            text = f"the leader {leader.node} at {address} cannot be reached: {why}"
            raise RequestError(text, 503, code="leader_unreachable") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            why = one_line(str(error)) or f"no answer in {ANSWER_S:g} s"
            text = f"the leader {leader.node} has not answered ({why}); what was asked may have been done or not"
            raise RequestError(text, 503, code="leader_unreachable") from error

    def _in_vain(self, leader: Leading) -> str:
        """Why a leader that was asked and has not answered will not."""
        present = self._leadership.leader()
        if present is not None and present.node != leader.node:
            return f"{present.node} leads now"
        return self._leadership.cut_off()

    async def _answer(self, request: web.Request, address: str) -> web.Response:
        if self._session is None:
            raise InvariantError("requests are handed on within the block of Forwarder")
        url = f"{'http' if self._tls is None else 'https'}://{address}{request.raw_path}"
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


def forwarded(handlers: Handlers, forwarder: Forwarder) -> Handlers:
    """The handlers, with those that the leader alone carries out handed on."""
    marked = {f"{route.method} {route.pattern}" for route in ROUTES if route.forwarded}
    return {name: forwarder.wrapped(it) if name in marked else it for name, it in handlers.items()}


def _address_for(request: web.Request, leader: Leading) -> str | None:
    """Where a request may be handed on to with what it shows; None where it shows nothing that counts there."""
    if "Authorization" in request.headers:
        return leader.addresses[0]
    here = [address for address in leader.addresses if is_loopback(address.rpartition(":")[0].strip("[]"))]
    if request[PEER].door is Door.LOOPBACK and not request.cookies and here:
        return here[0]
    return None


def _also(trouble: str) -> str:
    return f": {trouble}" if trouble else ""


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
