"""The loop's clock: unix seconds that never fall and never jump.

It is set once, at the start, and then follows the monotonic clock; whoever moves the machine's clock moves files' times
and log lines, not the loop. How far the two have come apart is told, so that a person can set it right.
"""

import time
from collections.abc import Callable

JUMP_S = 60.0  # apart by more than this is worth a warning


class SteadyClock:
    """Call it for the time."""

    def __init__(
        self,
        at_least: float = 0.0,
        *,
        wall: Callable[[], float] = time.time,  # noqa: TID251 - the one place where the loop's clock is set
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`at_least` is the latest time that the state knows; where the machine's is behind, it goes on from there."""
        self._wall = wall
        self._monotonic = monotonic
        self._offset = max(at_least, wall()) - monotonic()

    def __call__(self) -> float:
        """Unix seconds."""
        return self._monotonic() + self._offset

    @property
    def apart_s(self) -> float:
        """How much the machine's clock is ahead of this one."""
        return self._wall() - self()
