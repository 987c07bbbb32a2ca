"""Asking the nodes of a local cluster how they stand: a question a second and node, bounded in time and size."""

import asyncio
import os
from collections.abc import Callable

import aiohttp
from pydantic import ValidationError

from managers.game_rate import GameRate
from managers.status_records import Status
from p2p.local_cluster.plan import NodePlan
from p2p.local_cluster.sight import games_of

LOOK_S = 1.0  # between two questions
TIMEOUT_S = 2.0  # for an answer
ANSWER_BYTES_MAX = 1 << 20
COUNT_EVERY = 5  # looks between two counts of games


class NodeLook:
    """What one node last said."""

    def __init__(self, plan: NodePlan, session: aiohttp.ClientSession, monotonic: Callable[[], float]) -> None:
        self._url = f"http://{plan.address}"
        self._name = plan.name
        self._session = session
        self._monotonic = monotonic
        self._rate = GameRate()
        self._looks = 0
        self.status: Status | None = None
        self.silence = "not asked yet"

    @property
    def games_per_h(self) -> float | None:
        """Its rate lately; None: not measured."""
        return self._rate.per_h(self._monotonic())

    async def look(self) -> None:
        """Ask it; raises nothing that its answer, or its silence, could cause."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = Status.model_validate_json(await self._get("/status"))
                if self._looks % COUNT_EVERY == 0:
                    self._count((await self._get("/metrics")).decode("utf-8", "replace"))
        except TimeoutError:
            self.status, self.silence = None, f"no answer in {TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError) as error:
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number else type(error).__name__
            self.status, self.silence = None, f"does not answer ({reason})"
        except ValueError as error:  # a ValidationError is one
            kind = "of another version" if isinstance(error, ValidationError) else str(error)
            self.status, self.silence = None, f"its answer is none ({kind})"
        else:
            stranger = status.node_id != self._name
            self.status = None if stranger else status
            self.silence = f"{status.node_id} answers there" if stranger else ""
            self._looks += 1

    def forget(self, why: str) -> None:
        """Its process does not run: what it said does not hold any more."""
        self.status, self.silence = None, why

    def _count(self, metrics: str) -> None:
        games = games_of(metrics, self._name)
        if games is not None:
            self._rate.look(self._monotonic(), games)

    async def _get(self, path: str) -> bytes:
        async with self._session.get(f"{self._url}{path}", allow_redirects=False) as response:
            content = bytearray()
            async for part in response.content.iter_chunked(1 << 16):
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    raise ValueError(f"more than {ANSWER_BYTES_MAX >> 20} MiB")
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            return bytes(content)
