"""The application that a node's listeners answer with: the handlers under the rows of the table, behind the guard."""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from p2p.http.errors import errors_as_answers
from p2p.http.guard import Gate, guard
from p2p.http.json_answer import Handlers, text_answer
from p2p.http.openapi import openapi_json
from p2p.http.request_metrics import RequestMetrics, counted
from p2p.http.routes import ROUTES, Route
from ringrift_core.errors import InvariantError

# Of any route; the guard holds each to its own
BODY_BYTES_MAX = max(route.body_bytes_max for route in ROUTES)


def node_app(handlers: Handlers, gate: Gate, metrics: RequestMetrics, *, aliased: bool = False) -> web.Application:
    """An application with these handlers; `aliased`: only those that the further ports answer."""
    middlewares = [counted(metrics), errors_as_answers, guard(gate)]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_BYTES_MAX)
    rows = [route for route in ROUTES if route.aliased] if aliased else ROUTES
    app.add_routes(mounted(handlers, rows))
    return app


def mounted(handlers: Handlers, rows: Iterable[Route] = ROUTES) -> list[web.RouteDef]:
    """The rows that have a handler; InvariantError for a handler without a row."""
    known = {f"{route.method} {route.pattern}" for route in ROUTES}
    if strange := sorted(handlers.keys() - known):
        raise InvariantError(f"no route is called {', '.join(strange)}")
    return [
        web.route(route.method, route.pattern, handler)
        if route.method != "GET"
        else web.get(route.pattern, handler)  # takes HEAD too
        for route in rows
        if (handler := handlers.get(f"{route.method} {route.pattern}")) is not None
    ]


def table_handlers() -> Handlers:
    """What tells the table itself."""
    made: list[str] = []

    async def openapi(_request: web.Request) -> web.Response:
        if not made:
            made.append(await asyncio.to_thread(openapi_json))
        return text_answer(made[0])

    return {"GET /openapi.json": openapi}
