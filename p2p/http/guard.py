"""The guard in front of every route: who asks, from where, and whether they may. docs/design/identity.md has the table.

    app = web.Application(middlewares=[errors_as_answers, guard(gate)], client_max_size=...)

In this order: the name of this node, the route, the page that sends it, the credential, the right to the route, the
body. Each refusal is answered here and told in the log once. A credential that is shown and wrong is refused, whatever
the route: it never counts as none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from p2p.http.errors import Handler, RequestError
from p2p.http.json_body import check_json, read_body
from p2p.http.origin import LOOPBACK_NAMES, SOCKET_NAMES, Host, Page, host_of, page_of
from p2p.http.peer import Door, Peer, peer_of
from p2p.http.refusal_log import RefusalLog
from p2p.http.routes import Route, methods_at, route_of, shape
from p2p.identity.credentials import Credentials, bearer_of
from p2p.identity.envelope import HEADER, Call, Verifier
from p2p.identity.principals import EVERYBODY, Principal
from p2p.identity.refusal import Refusal
from p2p.identity.sessions import Sessions, cookie_name

PRINCIPAL = web.RequestKey("principal", Principal)  # as whom a request is taken
SENDER = web.RequestKey("sender", str)  # the node that has signed it; missing otherwise
PEER = web.RequestKey("peer", Peer)
Stands = Callable[[], bool]
STANDS: web.RequestKey[Stands] = web.RequestKey("stands")  # whether its session lasts; missing without one
QUESTIONS = frozenset({"GET", "HEAD"})
BODY_S = 10.0  # for a whole body
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ringrift"'}
CODES = {408: "slow_body", 413: "too_large", 415: "encoded_body"}  # of a body that is refused; others: bad_body


@dataclass(frozen=True, slots=True)
class Gate:
    """What the guard asks."""

    credentials: Credentials
    sessions: Sessions
    refusals: RefusalLog
    names: frozenset[str]  # of this node beside loopback and the address of a connection: lower case, no port
    wall: Callable[[], float]  # unix seconds
    monotonic: Callable[[], float]
    verifier: Verifier | None = None  # None: no other node may call
    epoch: Callable[[], int] = lambda: 0
    body_s: float = BODY_S


class Refused(RequestError):  # noqa: N818 - the literature's word
    """The request is not let through; the guard answers and tells it."""

    def __init__(self, refusal: Refusal, headers: Mapping[str, str] | None = None, *, end_cookie: str = "") -> None:
        super().__init__(refusal.message, refusal.status)
        self.refusal = refusal
        self.headers = dict(headers or {})
        self.end_cookie = end_cookie  # the name of one that the browser should forget


def guard(gate: Gate) -> Middleware:
    """The middleware; it stands right below `errors_as_answers`."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = peer_of(request.transport, request.headers)
        try:
            await _admit(gate, request, peer)
            return await handler(request)
        except Refused as error:
            gate.refusals.tell(error.refusal, request.method, request.raw_path, peer.address)
            return _answer(error)

    return guarded


async def _admit(gate: Gate, request: web.Request, peer: Peer) -> None:
    """Let a request in, with its principal, or raise Refused."""
    host = _host(gate, request, peer)
    route = _route(request)
    asks = request.method in QUESTIONS
    page = page_of(
        request.headers.getall("Origin", ()), request.headers.getall("Sec-Fetch-Site", ()), host, request.scheme
    )
    if page is Page.FOREIGN and not asks:
        raise _refused("foreign_page", 403, "a page of another site may not do this")
    if asks and request.can_read_body:
        raise _refused("bad_body", 400, "a question has no body")
    request[PEER] = peer
    shown = await _shown(gate, request, route, page)
    principal = _ambient(gate, peer, page, asks=asks) if shown is None else shown
    if principal not in route.principals:
        if shown is None:
            raise _refused("no_credential", 401, "this needs a credential: Authorization: Bearer TOKEN", CHALLENGE)
        raise _refused("not_allowed", 403, f"{principal} may not {request.method} {route.pattern}")
    if not asks:
        await _body(gate, request, route)
    request[PRINCIPAL] = principal


def _host(gate: Gate, request: web.Request, peer: Peer) -> Host:
    host = host_of(request.headers.getall("Host", ()), request.scheme)
    on_socket = not peer.own_address
    names = SOCKET_NAMES if on_socket else gate.names | LOOPBACK_NAMES | {peer.own_address}
    if host is None or host.name not in names:
        raise _refused("other_host", 421, "the Host of the request is no name of this node")
    return host


def _route(request: web.Request) -> Route:
    """The row of the table, for a request that the router has led to the very same path."""
    path = request.raw_path.partition("?")[0]
    route = route_of(request.method, path)
    resource = request.match_info.route.resource
    if route is not None and resource is not None and shape(resource.canonical) == shape(route.pattern):
        return route
    methods = methods_at(path)
    if route is None and methods:
        allow = {"Allow": ",".join(methods)}
        raise _refused("method_not_allowed", 405, f"this path takes {', '.join(methods)}", allow)
    raise _refused("not_found", 404, "there is no such path")


async def _shown(gate: Gate, request: web.Request, route: Route, page: Page) -> Principal | None:
    """As whom the credential of a request lets it in, None where it shows none; Refused for a wrong one."""
    envelopes, bearers = request.headers.getall(HEADER, ()), request.headers.getall("Authorization", ())
    if len(envelopes) + len(bearers) > 1:
        raise _refused("several_credentials", 400, "show one credential")
    if envelopes:
        return await _by_envelope(gate, request, route, envelopes[0])
    if bearers:
        return by_token(gate.credentials, bearer_of(bearers[0]))
    name = session_cookie(request)
    cookie = request.cookies.get(name)
    if cookie is None or route.principals == EVERYBODY:
        return None
    if page is Page.FOREIGN:
        raise _refused("foreign_page", 401, "the session is for pages of this node only", CHALLENGE)
    principal = gate.sessions.principal_of(cookie, gate.monotonic())
    if principal is None:
        refusal = Refusal("session_over", 401, "the session is over; begin one with POST /session")
        raise Refused(refusal, CHALLENGE, end_cookie=name)
    request[STANDS] = lambda: gate.sessions.principal_of(cookie, gate.monotonic()) is not None
    return principal


async def _by_envelope(gate: Gate, request: web.Request, route: Route, header: str) -> Principal:
    if gate.verifier is None:
        raise _refused("unknown_sender", 401, "this node is in no cluster", CHALLENGE)
    content = await _read(gate, request, route)
    call = Call.of(request.method, request.raw_path, content)
    epoch = gate.epoch() if route.forwarded else 0  # a node that is behind may ask; it may not pass on orders
    found = gate.verifier.check(call, header, now=gate.wall(), epoch=epoch)
    if isinstance(found, Refusal):
        raise Refused(found, CHALLENGE if found.status == 401 else None)
    request[SENDER] = found.node_id
    return found.principal


def by_token(credentials: Credentials, token: str | None) -> Principal:
    """As whom a token lets in; Refused for one that is none."""
    principal = None if token is None else credentials.principal_of(token)
    if principal is None:
        raise _refused("wrong_token", 401, "the token is not one of this node's", CHALLENGE)
    return principal


def session_cookie(request: web.Request) -> str:
    """The name of the session cookie of the node that a request has come to."""
    return cookie_name(request[PEER].own_port)


def _ambient(gate: Gate, peer: Peer, page: Page, *, asks: bool) -> Principal:
    """As whom somebody is taken who shows nothing: by the door, and never for a page of another site."""
    if page is Page.FOREIGN or peer.door is Door.OUTSIDE:
        return Principal.ANYBODY
    if peer.door is Door.SOCKET:
        return Principal.ADMIN
    return Principal.OBSERVER if asks or gate.credentials.admin is not None else Principal.ADMIN


async def _body(gate: Gate, request: web.Request, route: Route) -> None:
    content = await _read(gate, request, route)
    try:
        check_json(content)
    except RequestError as error:
        raise _refused("bad_body", error.status, str(error)) from None


async def _read(gate: Gate, request: web.Request, route: Route) -> bytes:
    try:
        return await read_body(request, gate.body_s, route.body_bytes_max)
    except RequestError as error:
        raise _refused(CODES.get(error.status, "bad_body"), error.status, str(error)) from None


def _refused(code: str, status: int, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    return Refused(Refusal(code, status, message), headers)


def _answer(error: Refused) -> web.Response:
    refusal = error.refusal
    content = {"code": refusal.code, "message": refusal.message, "details": dict(refusal.details)}
    answer = web.json_response({"error": content}, status=refusal.status, headers=error.headers)
    if error.end_cookie:
        answer.del_cookie(error.end_cookie)
    return answer
