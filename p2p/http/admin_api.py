"""Orders to the node: halt and resume, and its daemons.

POST /admin/halt                     {"reason": "..."}
POST /admin/resume
GET  /admin/daemons                  {"daemons": {NAME: {...}}}
POST /admin/daemons/NAME/ACTION      start, stop or restart
"""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from managers.runtime.service import ServiceStatus
from managers.state.cluster_state import Result
from managers.status import daemon_row
from p2p.http.answers import DaemonAnswer, DaemonsAnswer, OrderAnswer
from p2p.http.errors import RequestError, body_of
from p2p.http.forms import NO_REASON, EmptyForm, HaltForm
from p2p.http.json_answer import Handlers, json_answer
from p2p.identity.principals import Principal

ADMIN = Principal.ADMIN.value  # who orders, in the state: whoever may
ACTIONS = ("start", "stop", "restart")


class OrderDoor(Protocol):
    """Who carries orders out."""

    async def halt(self, reason: str) -> Result:
        """Stop all jobs and start no others."""

    async def resume(self) -> Result:
        """Go on."""

    def daemons(self) -> Mapping[str, ServiceStatus]:
        """All services."""

    async def start(self, name: str) -> None:
        """Start a service; RulesError when it cannot be."""

    async def stop(self, name: str) -> None:
        """Stop a service and those that need it."""


def admin_handlers(door: OrderDoor) -> Handlers:
    """The handlers."""

    async def halt(request: web.Request) -> web.Response:
        form = await body_of(request, HaltForm)
        return answer_of(await door.halt(form.reason.strip() or NO_REASON))

    async def resume(request: web.Request) -> web.Response:
        await body_of(request, EmptyForm)
        return answer_of(await door.resume())

    async def daemons(_request: web.Request) -> web.Response:
        return json_answer(DaemonsAnswer(daemons={name: daemon_row(it) for name, it in door.daemons().items()}))

    async def order(request: web.Request) -> web.Response:
        await body_of(request, EmptyForm)
        name, action = request.match_info["name"], request.match_info["action"]
        if action not in ACTIONS:
            raise RequestError(f"{action} is no order; write {', '.join(ACTIONS)}", 404)
        if name not in door.daemons():
            raise RequestError(f"there is no daemon {name}; there are {', '.join(door.daemons())}", 404)
        if action != "start":
            await door.stop(name)
        if action != "stop":
            await door.start(name)
        return json_answer(DaemonAnswer(name=name, **dict(daemon_row(door.daemons()[name]))))

    return {
        "POST /admin/halt": halt,
        "POST /admin/resume": resume,
        "GET /admin/daemons": daemons,
        "POST /admin/daemons/{name}/{action}": order,
    }


def answer_of(result: Result) -> web.Response:
    """What became of an order."""
    return json_answer(OrderAnswer(changed=result.accepted, seq=result.seq, reason=result.reason))
