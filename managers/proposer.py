"""Proposer: one client of the consensus, one command after the other, each asked again until there is an answer.

A command keeps its number when it is asked again, so a write that was lost on the way back has no second effect.
"""

import asyncio
import logging
from collections.abc import Callable

from managers.ports import BusyError, Consensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Command, encode
from ringrift_core.errors import StorageError

PROPOSE_S = 30.0  # for one try; a disk that needs longer is taken for broken
PAUSE_FIRST_S = 0.5  # before the next try; doubles
PAUSE_MAX_S = 15.0

logger = logging.getLogger(__name__)
Clock = Callable[[], float]  # unix seconds that never fall


class Proposer:
    """Asks the state for changes under one client name, which nobody else may use."""

    def __init__(
        self,
        consensus: Consensus[ClusterState, Result],
        client: str,
        clock: Clock,
        epoch: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`epoch` is that of the leader that decides what is asked for; None binds it to none."""
        self._consensus = consensus
        self._client = client
        self._clock = clock
        self._epoch = epoch
        self._sequence = 0
        self._turn = asyncio.Lock()

    async def propose(self, body: Body) -> Result:
        """The answer to a command; comes when the disk can be written to, however long that takes."""
        async with self._turn:
            content = self._next(body)
            pause_s = PAUSE_FIRST_S
            while True:
                try:
                    return await self._consensus.propose(content, PROPOSE_S)
                except (StorageError, BusyError, TimeoutError) as error:
                    if pause_s == PAUSE_FIRST_S:
                        logger.warning(
                            "%s of %s cannot be written: %s; it is tried again", body.kind, self._client, said(error)
                        )
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def propose_once(self, body: Body) -> Result:
        """The answer to a command; StorageError when it cannot be written now, so that whoever decides decides anew."""
        async with self._turn:
            try:
                return await self._consensus.propose(self._next(body), PROPOSE_S)
            except (BusyError, TimeoutError) as error:
                raise StorageError(f"{body.kind} cannot be written: {said(error)}") from error

    def _next(self, body: Body) -> bytes:
        self._sequence += 1
        command = Command(
            client=self._client, sequence=self._sequence, at=self._clock(), epoch=self._epoch(), body=body
        )
        return encode(command)


def said(error: Exception) -> str:
    """An error in words; a timeout has none of its own."""
    return str(error) or f"no answer in {PROPOSE_S:g} s"
