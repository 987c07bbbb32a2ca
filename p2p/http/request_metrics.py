"""What the node's own HTTP does, counted: requests by route, method and status, refusals, the lag of the event loop.

Since the process began; the labels are those of the table, so their number is bounded.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from p2p.http.errors import Handler
from p2p.http.routes import route_of

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
OTHER = "other"
LAGS_MAX = 240  # looks that are remembered: a minute


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """The counts at one moment."""

    requests: Mapping[tuple[str, str, str], int]  # by route, method, status
    refusals: Mapping[str, int]  # by code
    lag_s: float  # the longest of the last minute
    tasks: int = 0  # of the event loop


NOTHING = RequestCounts({}, {}, 0.0)


class RequestMetrics:
    """Counts; on the loop's thread only."""

    def __init__(self, refusals: Mapping[str, int]) -> None:
        """`refusals` are counted by somebody else, as they happen."""
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._refusals = refusals
        self._lags: deque[float] = deque(maxlen=LAGS_MAX)

    def answered(self, method: str, path: str, status: int) -> None:
        """A request was answered."""
        route = route_of(method, path)
        name = method if method in METHODS else OTHER
        self._requests[route.pattern if route else OTHER, name, str(status)] += 1

    def lagged(self, seconds: float) -> None:
        """So much later than it was due the loop had a turn."""
        self._lags.append(max(0.0, seconds))

    def snapshot(self, tasks: int = 0) -> RequestCounts:
        """The counts now, of a loop that has so many tasks."""
        return RequestCounts(dict(self._requests), dict(self._refusals), max(self._lags, default=0.0), tasks)


def counted(metrics: RequestMetrics) -> Middleware:
    """The middleware; it stands above all others, so that it sees the answer as it goes out."""

    @web.middleware
    async def counting(request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 499  # the client has gone
        try:
            answer = await handler(request)
            status = answer.status
            return answer
        finally:
            metrics.answered(request.method, request.raw_path.partition("?")[0], status)

    return counting
