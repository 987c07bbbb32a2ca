"""PromotionDesk: requests to promote that come while the node runs; each has a number under which its result is found.

A gauntlet takes longer than anybody holds a connection open. Results are kept in memory, the newest ones; the state
keeps what counts: gauntlets, verdicts, promotions.
"""

import asyncio
import logging
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from managers.manual_promotion import ManualPromotion
from managers.ports import BusyError
from managers.promotion_result import PromotionResult
from managers.runtime.bounded_queue import BoundedQueue, Overflow
from managers.runtime.service import Beat
from managers.state.record import Count, Record, Text
from ringrift_core.errors import RingriftError

REQUESTS_MAX = 8  # that wait or are worked on
PATH_CHARS_MAX = 4096  # as on Linux; every status shows it
TICKETS_MAX = 100  # whose results are remembered

logger = logging.getLogger(__name__)


ModelPath = Annotated[str, Field(max_length=PATH_CHARS_MAX)]


class Request(Record):
    """Who shall be promoted."""

    model_path: ModelPath
    board_type: str
    num_players: int
    gauntlet_games: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    force: bool = False
    reason: Text = ""  # of a forced one


class Progress(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"


class Ticket(Record):
    """A request and what came of it."""

    number: Count
    request: Request
    progress: Progress = Progress.WAITING
    result: PromotionResult | None = None
    error: Text = ""  # why there is no result


class PromotionDesk:
    """Takes requests; `run` is a service of the node."""

    def __init__(self, promotion: ManualPromotion) -> None:
        self._promotion = promotion
        self._queue: BoundedQueue[int] = BoundedQueue(REQUESTS_MAX, Overflow.REFUSE)
        self.tickets: dict[int, Ticket] = {}
        self._count = 0

    def submit(self, request: Request) -> Ticket:
        """Take a request; BusyError when too many wait."""
        open_ = sum(ticket.progress is not Progress.DONE for ticket in self.tickets.values())
        if open_ >= REQUESTS_MAX:
            raise BusyError(f"{REQUESTS_MAX} promotions are asked for already; wait for one of them")
        self._count += 1
        ticket = Ticket(number=self._count, request=request)
        self.tickets[ticket.number] = ticket
        self._queue.put(ticket.number)
        done = [number for number, it in self.tickets.items() if it.progress is Progress.DONE]
        for number in done[: max(0, len(self.tickets) - TICKETS_MAX)]:
            del self.tickets[number]
        return ticket

    async def run(self, beat: Beat) -> None:
        """Work on all requests side by side: a forced one does not wait for a gauntlet."""
        beat()
        async with asyncio.TaskGroup() as work:
            while True:
                work.create_task(self._work(await self._queue.get()))

    async def _work(self, number: int) -> None:
        request = self._change(number, progress=Progress.WORKING).request
        error = "ended with the service"
        result = None
        try:
            result = await self._ask(request)
            error = ""
        except RingriftError as refusal:
            error = str(refusal)
        finally:
            self._change(number, progress=Progress.DONE, result=result, error=error)
        told = error or (result.failure_reason if result is not None else None) or "promoted"
        logger.info("promotion %d of %s: %s", number, request.model_path, told)

    async def _ask(self, request: Request) -> PromotionResult:
        where = (request.model_path, request.board_type, request.num_players)
        if request.force:
            return await self._promotion.force(*where, request.reason)
        return await self._promotion.evaluate_and_promote(*where, request.gauntlet_games)

    def _change(self, number: int, **changes: object) -> Ticket:
        self.tickets[number] = self.tickets[number].model_copy(update=changes)
        return self.tickets[number]
