"""HTTP_WATCH: how late the event loop gets to its turns, and the refusals that have no line of their own yet."""

import asyncio

from managers.runtime import Service
from managers.runtime.service import Beat
from p2p.http.refusal_log import RefusalLog
from p2p.http.request_metrics import RequestMetrics

LOOK_S = 0.25  # between two turns that are measured
FLUSH_LOOKS = 240  # after so many refusals are told


class HttpWatch:
    """Measures and tells while it runs."""

    def __init__(self, metrics: RequestMetrics, refusals: RefusalLog) -> None:
        self._metrics = metrics
        self._refusals = refusals

    @property
    def service(self) -> Service:
        """Under its public name."""
        return Service(name="HTTP_WATCH", run=self.run, progress_s=40 * LOOK_S)

    async def run(self, beat: Beat) -> None:
        """For ever."""
        now = asyncio.get_running_loop().time
        while True:
            for _ in range(FLUSH_LOOKS):
                due = now() + LOOK_S
                await asyncio.sleep(LOOK_S)
                self._metrics.lagged(now() - due)
                beat()
            self._refusals.flush()
