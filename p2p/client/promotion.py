"""PromotionController under the documents' name: inside a node its own, outside the same methods over HTTP."""

import asyncio
from collections.abc import Mapping
from typing import Self

from managers.ports import BusyError
from managers.promotion_result import PromotionResult
from p2p.client.attached import attached
from p2p.client.node_errors import NodeRefusal, NodeUnreachable
from p2p.client.node_http import Answer, NodeHttp, node_http
from ringrift_core.errors import RingriftError, StorageError

GATE = "/admin/promote"
VERDICT_S = 25 * 3600.0  # a node gives up waiting for a gauntlet somewhat sooner
ASK_S = 1.0  # between two looks at a request
SILENCES_MAX = 30  # looks in a row that nobody answers


class TicketAnswer(Answer):
    """A request to promote, as a node tells of it."""

    number: int
    progress: str
    result: PromotionResult | None = None
    error: str = ""


class EvaluationAnswer(Answer):
    """The part of GET /admin/promote that tells of verdicts."""

    last_evaluation: PromotionResult | None = None


class PromotionController:
    """Judges nets and promotes them."""

    @classmethod
    def get_instance(cls) -> Self:
        """The same as calling the class."""
        return cls()

    @property
    def last_evaluation(self) -> PromotionResult | None:
        """The latest gauntlet that came to an end, whoever wished for it."""
        here = attached()
        if here is not None:
            return here.node.promotion.last_evaluation
        return node_http().get(GATE, EvaluationAnswer).last_evaluation

    async def evaluate_and_promote(
        self, model_path: str, board_type: str, num_players: int, gauntlet_games: int | None = None
    ) -> PromotionResult:
        """Judge a net of the node's `models/` and promote it if it passes; takes as long as its gauntlet.

        RulesError for a wrong wish, StorageError without such a file, BusyError when too many wait.
        """
        here = attached()
        if here is not None:
            promotion = here.node.promotion
            return await here.do(
                lambda: promotion.evaluate_and_promote(model_path, board_type, num_players, gauntlet_games)
            )
        wish = {"gauntlet_games": gauntlet_games}
        return await _asked({"model_path": model_path, "board_type": board_type, "num_players": num_players, **wish})

    async def force(self, model_path: str, board_type: str, num_players: int, reason: str) -> PromotionResult:
        """Promote a net without any game, a blocked one too; errors as those of `evaluate_and_promote`."""
        here = attached()
        if here is not None:
            promotion = here.node.promotion
            return await here.do(lambda: promotion.force(model_path, board_type, num_players, reason))
        wish = {"force": True, "reason": reason}
        return await _asked({"model_path": model_path, "board_type": board_type, "num_players": num_players, **wish})


async def _asked(wish: Mapping[str, object]) -> PromotionResult:
    """What came of a request."""
    http = node_http()
    ticket = await asyncio.to_thread(_submit, http, wish)
    async with asyncio.timeout(VERDICT_S):
        ticket = await _done(http, ticket)
    if ticket.result is None:
        raise RingriftError(ticket.error or "the node says neither a result nor why there is none")
    return ticket.result


async def _done(http: NodeHttp, ticket: TicketAnswer) -> TicketAnswer:
    silences = 0
    while ticket.progress != "done":
        await asyncio.sleep(ASK_S)
        try:
            ticket = await asyncio.to_thread(http.get, f"{GATE}/{ticket.number}", TicketAnswer)
            silences = 0
        except NodeUnreachable:
            silences += 1
            if silences >= SILENCES_MAX:
                raise
    return ticket


def _submit(http: NodeHttp, wish: Mapping[str, object]) -> TicketAnswer:
    try:
        return http.post(GATE, TicketAnswer, wish)
    except NodeRefusal as refusal:
        if refusal.status == 404:
            raise StorageError(str(refusal)) from refusal
        if refusal.status == 409:
            raise BusyError(str(refusal)) from refusal
        raise
