"""What a loop answers, and what it may be told.

    GET  /health         200 {"status": "ok" or "halted", ...}; 503 with the reasons
    GET  /status         the latest status (docs/formats/status.md)
    GET  /metrics        for Prometheus
    POST /admin/halt     {"reason": "..."}
    POST /admin/resume

On TCP (loopback only) there are the GETs; what changes something is taken on the Unix socket, which only its user can
reach. Handlers serve what was made before they were asked: none of them touches a disk or computes for long
on the loop's thread.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from managers.health import Health
from managers.state.cluster_state import ClusterState, Result
from managers.status_records import Status
from p2p.http.errors import Handler, RequestError, body_of, errors_as_answers
from p2p.http.metrics import metrics_text

BODY_BYTES_MAX = 64 << 10
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
METRICS_S = 10.0  # for a thread to be free
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NO_REASON = "no reason given"
ADMIN = "admin"  # whoever can reach the socket


class LoopDoor(Protocol):
    """What the answers are made of."""

    @property
    def status(self) -> Status:
        """The latest status."""

    @property
    def content(self) -> bytes:
        """The same as JSON."""

    @property
    def state(self) -> ClusterState:
        """The replicated state now."""

    def health(self) -> Health:
        """How the loop is now; quick."""

    async def halt(self, reason: str) -> Result:
        """Stop all jobs and start no others."""

    async def resume(self) -> Result:
        """Go on."""


class HaltForm(BaseModel):
    """The body of a halt."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(default=NO_REASON, max_length=1000)


class EmptyForm(BaseModel):
    """A body in which nothing is to be said."""

    model_config = ConfigDict(extra="forbid")


def loopback_app(door: LoopDoor) -> web.Application:
    """What TCP answers: questions only, and none that a page of another site asks in a browser."""
    app = web.Application(middlewares=[errors_as_answers, only_questions], client_max_size=BODY_BYTES_MAX)
    app.add_routes(questions(door))
    return app


def socket_app(door: LoopDoor, more: Iterable[web.AbstractRouteDef] = ()) -> web.Application:
    """What the Unix socket answers: everything, with `more` routes of others."""
    app = web.Application(middlewares=[errors_as_answers], client_max_size=BODY_BYTES_MAX)
    app.add_routes([*questions(door), *orders(door), *more])
    return app


def questions(door: LoopDoor) -> list[web.RouteDef]:
    """The routes that change nothing."""

    async def health(_request: web.Request) -> web.Response:
        found = door.health()
        code = 503 if found.status == "failing" else 200
        return web.Response(body=found.model_dump_json(), status=code, content_type="application/json")

    async def status(_request: web.Request) -> web.Response:
        return web.Response(body=door.content, content_type="application/json")

    async def metrics(_request: web.Request) -> web.Response:
        async with asyncio.timeout(METRICS_S):
            text = await asyncio.to_thread(metrics_text, door.status, door.state)
        return web.Response(body=text, headers={"Content-Type": METRICS_TYPE})

    return [web.get("/health", health), web.get("/status", status), web.get("/metrics", metrics)]


def orders(door: LoopDoor) -> list[web.RouteDef]:
    """The routes that change something."""

    async def halt(request: web.Request) -> web.Response:
        form = await body_of(request, HaltForm)
        return answer_of(await door.halt(form.reason.strip() or NO_REASON))

    async def resume(request: web.Request) -> web.Response:
        await body_of(request, EmptyForm)
        return answer_of(await door.resume())

    return [web.post("/admin/halt", halt), web.post("/admin/resume", resume)]


def answer_of(result: Result) -> web.Response:
    """What became of an order; one that changes nothing is no error."""
    return web.json_response({"changed": result.accepted, "seq": result.seq, "reason": result.reason})


@web.middleware
async def only_questions(request: web.Request, handler: Handler) -> web.StreamResponse:
    """GET and HEAD only, and for this machine's own names only: a page elsewhere may point its own name here."""
    name = request.host.lower()
    if not name.endswith("]"):
        head, colon, port = name.rpartition(":")
        name = head if colon and port.isdecimal() else name
    if name not in LOOPBACK:
        raise RequestError(f"{request.host[:100]!r} is no name of this machine; ask 127.0.0.1 or localhost", 403)
    if request.method not in {"GET", "HEAD"}:
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
    return await handler(request)
