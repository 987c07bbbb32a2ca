"""Pace: at most so many bytes a second, all downloads that share it together."""

import asyncio
import math
from collections.abc import Callable

LEAST_BYTES_S = 1_000_000  # a slower one would outlast the patience with a holder
BURST_S = 1.0


class Pace:
    """Called with bytes that have come; returns when more may. 0 a second: at once."""

    def __init__(self, bytes_s: float, now: Callable[[], float] | None = None) -> None:
        """`now` gives seconds that never fall; without it those of the running loop."""
        self._bytes_s = max(bytes_s, LEAST_BYTES_S) if bytes_s > 0 else 0.0
        self._now = now
        self._free_at = -math.inf  # when all that has come is paid for

    async def __call__(self, size: int) -> None:
        """Wait for as long as so many bytes take."""
        wait_s = self.wait_s(size, self._now() if self._now else asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def wait_s(self, size: int, now: float) -> float:
        """How long to wait after so many bytes."""
        if self._bytes_s == 0:
            return 0.0
        self._free_at = max(self._free_at, now - BURST_S) + size / self._bytes_s
        return max(0.0, self._free_at - now)
