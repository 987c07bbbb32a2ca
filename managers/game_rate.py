"""How many games come per hour, measured from counts that grow a shard at a time."""

from collections import deque

WINDOW_S = 600.0  # over which games are counted
SHARD_S = 90.0  # between two counts while games are played; after this the time without counts is part of the measure
LEAST_S = 20.0  # between the first and the last count: less measures nothing
POINTS_MAX = 128


class GameRate:
    """The rate of one configuration; times are unix seconds that never fall."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque(maxlen=POINTS_MAX)

    def look(self, now: float, games: int) -> None:
        """There are so many games now; looks without new ones cost nothing."""
        if not self._points or games != self._points[-1][1]:
            self._points.append((now, games))
        while len(self._points) > 1 and now - self._points[1][0] > WINDOW_S:
            self._points.popleft()

    def per_h(self, now: float) -> float | None:
        """Games per hour lately; None: nothing was measured yet."""
        if len(self._points) < 2:
            return None
        (began, first), (ended, last) = self._points[0], self._points[-1]
        quiet_s = now - ended
        if quiet_s > WINDOW_S:
            return 0.0
        span_s = ended - began if quiet_s <= SHARD_S else now - began
        return None if span_s < LEAST_S else (last - first) * 3600 / span_s
