"""Who agrees on the state: `GET /cluster/voters` for people, `GET /cluster/standing` for other nodes."""

from aiohttp import web

from p2p.http.json_answer import Handlers, json_answer
from p2p.membership.group_view import GroupView


def cluster_voters_handlers(view: GroupView) -> Handlers:
    """The handlers."""

    async def voters(_request: web.Request) -> web.Response:
        return json_answer(await view.answer())

    async def standing(_request: web.Request) -> web.Response:
        return json_answer(view.standing())

    return {"GET /cluster/voters": voters, "GET /cluster/standing": standing}
