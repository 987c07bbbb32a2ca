"""NodeKeeper: what a node keeps over restarts, written at intervals: samples of its machine, the epoch, circuits.

Nothing hangs on it: a file that cannot be written is told once and written again when it can be.
"""

import logging
from collections.abc import Callable

from managers.circuit_breaker import BreakerRow, CircuitBreaker
from managers.node_store import ResourceSample
from managers.ports import BusyError
from managers.resource_watch import Resources
from managers.runtime.every import every
from managers.runtime.service import Beat
from managers.state.cluster_state import ClusterState
from managers.state.members import LEADER
from managers.state_manager import StateManager
from ringrift_core.errors import StorageError

KEEP_S = 10.0  # between two looks
KEEP_TIMEOUT_S = 120.0
SAMPLE_S = 60.0

logger = logging.getLogger(__name__)


class NodeKeeper:
    """Writes what is worth keeping; `clock` gives unix seconds."""

    def __init__(
        self,
        kept: StateManager,
        clock: Callable[[], float],
        state: Callable[[], ClusterState],
        resources: Callable[[], Resources | None],
        breaker: CircuitBreaker,
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._state = state
        self._resources = resources
        self._breaker = breaker
        self._epoch = 0
        self._sampled_at = float("-inf")
        self._rows: tuple[BreakerRow, ...] = ()
        self._trouble = ""

    async def restore(self) -> None:
        """Take over what earlier lives have kept; StorageError when it cannot be read."""
        self._epoch = await self._kept.get_cluster_epoch()
        self._breaker.restore(await self._kept.breakers(), self._clock())

    async def run(self, beat: Beat) -> None:
        """Keep things until cancelled."""
        await every(KEEP_S, self.keep, timeout_s=KEEP_TIMEOUT_S, beat=beat)

    async def keep(self) -> None:
        """Write what is new."""
        try:
            await self._keep()
        except (StorageError, BusyError) as error:
            if not self._trouble:
                logger.error("what this node keeps for itself cannot be written: %s", error)  # noqa: TRY400
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _keep(self) -> None:
        now, office, found = self._clock(), self._state().roles.get(LEADER), self._resources()
        if office is not None and office.seq > self._epoch:
            await self._kept.see_epoch(office.seq)
            self._epoch = office.seq
        if found is not None and now - self._sampled_at >= SAMPLE_S:
            await self._kept.add_sample(ResourceSample.of(found, now))
            self._sampled_at = now
        rows = self._breaker.rows(now)
        if [(it.target, it.failures) for it in rows] != [(it.target, it.failures) for it in self._rows]:
            await self._kept.save_breakers(rows)
            self._rows = rows
