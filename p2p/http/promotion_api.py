"""Promotions and rollbacks by request.

    POST /admin/promote            {"model_path", "board_type", "num_players", "gauntlet_games", "force", "reason"}
                                   202 and a number; with "dry_run": 200 and the gauntlet that would be played
    GET  /admin/promote            the requests, the latest evaluation
    GET  /admin/promote/{number}   one request and its result
    POST /admin/rollback           {"model_id" or "board_type" and "num_players", "to_version", "reason"}
    GET  /admin/rollback           rollbacks, newest first
    GET  /admin/rollback/{game}    whether the champion should be taken back
    POST /admin/rollback/{game}/baseline   {"metrics"}: kept with the version in production

`model_path` is a file below the node's `models/`; what it holds is read later, by a child process.
"""

import asyncio

from aiohttp import web

from managers.net_intake import resolved
from managers.pipeline import Pipeline
from managers.ports import BusyError
from managers.promotion_desk import Request
from managers.promotion_result import gate_plan
from p2p.http.answers import BaselineAnswer, PlanAnswer, PromotionsAnswer, ShouldAnswer
from p2p.http.errors import RequestError, body_of
from p2p.http.forms import BaselineForm
from p2p.http.json_answer import Handlers, json_answer
from p2p.http.promotion_forms import BY_HAND, PromoteForm, RollbackForm
from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey

HISTORY_MAX = 100  # rollbacks in an answer


def promotion_handlers(pipeline: Pipeline) -> Handlers:
    """The handlers of a node."""
    return {**_promotions(pipeline), **_rollbacks(pipeline)}


def _promotions(pipeline: Pipeline) -> Handlers:
    async def promote(request: web.Request) -> web.Response:
        form = await body_of(request, PromoteForm)
        key = ConfigKey(form.board_type, form.num_players)
        if form.dry_run:
            learner = pipeline.consensus.state.learner(str(key))
            plan = gate_plan(learner, pipeline.settings, form.gauntlet_games)
            return json_answer(PlanAnswer(dry_run=True, plan=plan))
        wish = Request.model_validate(form.model_dump(exclude={"dry_run"}))
        if wish.force and not wish.reason.strip():
            wish = wish.model_copy(update={"reason": BY_HAND})
        try:
            await asyncio.to_thread(resolved, pipeline.folder, wish.model_path)
            ticket = pipeline.desk.submit(wish)
        except StorageError as error:
            raise RequestError(str(error), 404) from error
        except BusyError as error:
            raise RequestError(str(error), 409) from error
        return json_answer(ticket, 202)

    async def requests(_request: web.Request) -> web.Response:
        tickets = tuple(reversed(pipeline.desk.tickets.values()))
        last = await asyncio.to_thread(lambda: pipeline.promotion.last_evaluation)
        return json_answer(PromotionsAnswer(requests=tickets, last_evaluation=last))

    async def one(request: web.Request) -> web.Response:
        text = request.match_info["number"]
        ticket = pipeline.desk.tickets.get(int(text)) if text.isdecimal() and len(text) < 10 else None
        if ticket is None:
            raise RequestError(f"no request has the number {text[:20]}; the node may have been restarted", 404)
        return json_answer(ticket)

    return {
        "POST /admin/promote": promote,
        "GET /admin/promote": requests,
        "GET /admin/promote/{number}": one,
    }


def _rollbacks(pipeline: Pipeline) -> Handlers:
    async def rollback(request: web.Request) -> web.Response:
        form = await body_of(request, RollbackForm)
        result = await pipeline.rollback.rollback_model(str(ConfigKey.parse(form.game)), form.to_version, form.reason)
        if not result.success:
            raise RequestError(result.failure_reason or "it was refused", 409)
        return json_answer(result)

    async def history(_request: web.Request) -> web.Response:
        events = await pipeline.rollback.get_rollback_history(limit=HISTORY_MAX)
        return web.json_response({"rollbacks": [event.model_dump(mode="json") for event in events]})

    async def should(request: web.Request) -> web.Response:
        game = str(ConfigKey.parse(request.match_info["game"]))
        found, reason = await asyncio.to_thread(pipeline.rollback.should_rollback, game)
        return json_answer(ShouldAnswer(should_rollback=found, reason=reason))

    async def baseline(request: web.Request) -> web.Response:
        game = str(ConfigKey.parse(request.match_info["game"]))
        form = await body_of(request, BaselineForm)
        await pipeline.rollback.set_baseline(game, form.metrics)
        return json_answer(BaselineAnswer(model_id=game, metrics=form.metrics))

    return {
        "POST /admin/rollback": rollback,
        "GET /admin/rollback": history,
        "GET /admin/rollback/{game}": should,
        "POST /admin/rollback/{game}/baseline": baseline,
    }
