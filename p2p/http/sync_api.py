"""POST /admin/sync {"what"}: look now at what the other nodes hold and fetch what this node should have.

The node does so by itself every few seconds; this is for whoever does not want to wait, or wants to hear what hinders.
"""

from aiohttp import web

from p2p.exchange.exchange import Exchange
from p2p.http.answers import SyncAnswer
from p2p.http.errors import body_of
from p2p.http.forms import SyncForm
from p2p.http.json_answer import Handlers, json_answer

WAIT_S = 10.0


def sync_handlers(exchange: Exchange) -> Handlers:
    """The handlers."""

    async def sync(request: web.Request) -> web.Response:
        what = (await body_of(request, SyncForm)).what
        looks = [it.looks for it in exchange.keepers if what in {"all", it.what}]
        before, done = sum(it.came for it in looks), True
        for it in looks:
            done &= await it.asked(WAIT_S / len(looks))
        return json_answer(
            SyncAnswer(
                done=done,
                files=sum(it.came for it in looks) - before,
                nodes=tuple(sorted(exchange.others())),
                problems=tuple(problem for it in looks for problem in it.problems),
            )
        )

    return {"POST /admin/sync": sync}
