"""Promotions and rollbacks by request; the server mounts `routes(pipeline)` where only its user, or an admin, asks.

    POST /admin/promote            {"model_path", "board_type", "num_players", "gauntlet_games", "force", "reason"}
                                   202 and a number; with "dry_run": 200 and the gauntlet that would be played
    GET  /admin/promote            the requests, the latest evaluation
    GET  /admin/promote/{number}   one request and its result
    POST /admin/rollback           {"model_id" or "board_type" and "num_players", "to_version", "reason"}
    GET  /admin/rollback           rollbacks, newest first

`model_path` is a file below the node's `models/`; what it holds is read later, by a child process.
"""

import asyncio
from typing import Self

from aiohttp import web
from pydantic import Field, model_validator

from managers.net_intake import resolved
from managers.pipeline import Pipeline
from managers.ports import BusyError
from managers.promotion_desk import Request
from managers.promotion_result import gate_plan
from managers.state.record import Record, Text
from p2p.http.errors import RequestError, body_of
from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey

HISTORY_MAX = 100  # rollbacks in an answer
BY_HAND = "asked for over HTTP"


class PromoteForm(Request):
    """The body of a wish to promote; a dry run needs no model."""

    model_path: str = ""
    dry_run: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.dry_run and not self.model_path:
            raise ValueError("model_path is missing")
        return self


class RollbackForm(Record):
    """The body of a wish to roll back."""

    model_id: str | None = None
    board_type: str | None = None
    num_players: int | None = None
    to_version: int | None = Field(default=None, ge=1)
    reason: Text = BY_HAND

    @property
    def game(self) -> str:
        """The configuration that is meant; RequestError when none or two are."""
        named = self.board_type is not None and self.num_players is not None
        if (self.model_id is None) != named:
            raise RequestError("say model_id, or board_type and num_players")
        return self.model_id if self.model_id is not None else f"{self.board_type}_{self.num_players}p"


def routes(pipeline: Pipeline) -> list[web.RouteDef]:
    """The routes of a node."""

    async def promote(request: web.Request) -> web.Response:
        form = await body_of(request, PromoteForm)
        key = ConfigKey(form.board_type, form.num_players)
        if form.dry_run:
            learner = pipeline.consensus.state.learner(str(key))
            plan = gate_plan(learner, pipeline.settings, form.gauntlet_games)
            return _answer({"dry_run": True, "plan": plan.model_dump(mode="json")})
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
        return _answer(ticket.model_dump(mode="json"), 202)

    async def requests(_request: web.Request) -> web.Response:
        last = pipeline.promotion.last_evaluation
        tickets = [ticket.model_dump(mode="json") for ticket in reversed(pipeline.desk.tickets.values())]
        return _answer({"requests": tickets, "last_evaluation": None if last is None else last.model_dump(mode="json")})

    async def one(request: web.Request) -> web.Response:
        text = request.match_info["number"]
        ticket = pipeline.desk.tickets.get(int(text)) if text.isdecimal() and len(text) < 10 else None
        if ticket is None:
            raise RequestError(f"no request has the number {text[:20]}; the node may have been restarted", 404)
        return _answer(ticket.model_dump(mode="json"))

    async def rollback(request: web.Request) -> web.Response:
        form = await body_of(request, RollbackForm)
        result = await pipeline.rollback.rollback_model(str(ConfigKey.parse(form.game)), form.to_version, form.reason)
        if not result.success:
            raise RequestError(result.failure_reason or "it was refused", 409)
        return _answer(result.model_dump(mode="json"))

    async def history(_request: web.Request) -> web.Response:
        events = await pipeline.rollback.get_rollback_history(limit=HISTORY_MAX)
        return _answer({"rollbacks": [event.model_dump(mode="json") for event in events]})

    return [
        web.post("/admin/promote", promote),
        web.get("/admin/promote", requests),
        web.get("/admin/promote/{number}", one),
        web.post("/admin/rollback", rollback),
        web.get("/admin/rollback", history),
    ]


def _answer(content: dict[str, object], status: int = 200) -> web.Response:
    return web.json_response(content, status=status)
