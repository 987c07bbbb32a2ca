"""What a control process has asked its raft process for and still waits for: bodies and wishes about the group.

A body travels with a tag in front, random for this life and counted, by which its result finds who proposed it; the tag
stays the same when a proposal that was in no log is tried again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from managers.ports import BusyError
from managers.state.log_format import RECORD_BYTES_MAX
from p2p.consensus.effects import Refused
from p2p.consensus.pipe import Answered, Change, Propose, ToRaft, Wish
from ringrift_core.errors import RulesError, StorageError

R = TypeVar("R")
LIFE_BYTES = 8  # of a tag, random
COUNT_BYTES = 8
TAG_BYTES = LIFE_BYTES + COUNT_BYTES
WAITING_MAX = 4096  # proposals
WAITING_BYTES_MAX = 64 << 20
AGAIN_MIN_S, AGAIN_MAX_S = 0.02, 0.5  # before a proposal that was not placed is tried again; doubles
WISH_S = 5.0  # for an answer to a wish
MAYBE = "this may have been written or not"


class _NotPlacedError(Exception):
    """A proposal that is in no log."""


@dataclass(slots=True)
class _Proposal(Generic[R]):
    """A body on its way and who waits for it."""

    body: bytes  # with its tag
    result: asyncio.Future[R]
    reason: str = ""  # why it was not placed the last time


class Requests(Generic[R]):
    """Everything that is asked for; on the event loop's thread."""

    def __init__(self, say: Callable[[ToRaft], bool], trouble: Callable[[], str], life: bytes) -> None:
        """`say` is False where nobody hears it; `trouble` is why nothing can be written, if it is known."""
        assert len(life) == LIFE_BYTES
        self._say = say
        self._trouble = trouble
        self._life = life
        self._count = 0
        self._waiting: dict[bytes, _Proposal[R]] = {}  # by tag
        self._waiting_bytes = 0
        self._placed: dict[int, _Proposal[R]] = {}  # by number, with the present raft process
        self._wishes: dict[int, asyncio.Future[str]] = {}
        self._moved = asyncio.Event()  # set, and replaced, when trying again may help

    async def propose(self, body: bytes, timeout_s: float) -> R:
        """The result of a body, tried again while it is in no log; errors as in managers/ports.py."""
        if len(body) > RECORD_BYTES_MAX:
            raise RulesError(f"a command of {len(body)} bytes; {RECORD_BYTES_MAX} are the most")
        if len(self._waiting) >= WAITING_MAX or self._waiting_bytes + len(body) > WAITING_BYTES_MAX:
            raise BusyError(f"{len(self._waiting)} commands wait for the voters; try again")
        tag = self._life + self._next().to_bytes(COUNT_BYTES, "big")
        proposal = _Proposal[R](tag + body, asyncio.get_running_loop().create_future())
        self._waiting[tag] = proposal
        self._waiting_bytes += len(body)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._pursue(proposal)
        except TimeoutError:
            why = self._trouble() or proposal.reason or f"no answer in {timeout_s:g} s"
            raise TimeoutError(f"{why}; {MAYBE}") from None
        finally:
            del self._waiting[tag]
            self._waiting_bytes -= len(body)

    async def wish(self, wish: Wish, node: str | None) -> None:
        """Ask for a change of the group; RulesError where it cannot be now, StorageError without an answer."""
        number = self._next()
        if not self._say(Change(number, wish, node)):
            raise StorageError(self._trouble() or "the raft process does not read")
        answer = self._wishes[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(WISH_S):
                reason = await answer
        except TimeoutError:
            raise StorageError(self._trouble() or f"no answer in {WISH_S:g} s") from None
        finally:
            del self._wishes[number]
        if reason:
            raise RulesError(reason)

    def applied(self, body: bytes, result: R) -> None:
        """A body, with its tag, was applied."""
        proposal = self._waiting.get(body[:TAG_BYTES])
        if proposal is not None and not proposal.result.done():
            proposal.result.set_result(result)

    def refused(self, refused: Refused) -> None:
        """The raft process could not place a proposal, or does not know what became of it."""
        proposal = self._placed.get(refused.number)
        if proposal is not None and not proposal.result.done():
            error = StorageError(f"{refused.reason}; {MAYBE}") if refused.maybe else _NotPlacedError(refused.reason)
            proposal.result.set_exception(error)

    def answered(self, answered: Answered) -> None:
        """A wish has its answer."""
        answer = self._wishes.get(answered.number)
        if answer is not None and not answer.done():
            answer.set_result(answered.reason)

    def lost(self, reason: str) -> None:
        """Nothing will be heard any more of what the raft process was told."""
        for proposal in self._placed.values():
            if not proposal.result.done():
                proposal.result.set_exception(StorageError(f"{reason}; {MAYBE}"))
        for answer in self._wishes.values():
            if not answer.done():
                answer.set_exception(StorageError(reason))

    def moved(self) -> None:
        """Try again what was not placed."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _pursue(self, proposal: _Proposal[R]) -> R:
        """Ask until the proposal is placed; its result."""
        pause_s = AGAIN_MIN_S
        while True:
            proposal.result = asyncio.get_running_loop().create_future()
            number = self._next()
            if self._say(Propose(number, proposal.body)):
                self._placed[number] = proposal
                try:
                    return await proposal.result
                except _NotPlacedError as error:
                    proposal.reason = str(error)
                finally:
                    del self._placed[number]
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._moved.wait()
            pause_s = min(2 * pause_s, AGAIN_MAX_S)

    def _next(self) -> int:
        self._count += 1
        return self._count
