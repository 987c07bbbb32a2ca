"""What the HTTP side may ask of a running node, and order it to do."""

import asyncio
from collections.abc import Callable, Mapping

from config.schema import Settings
from managers.event_journal import EventJournal
from managers.health import Health
from managers.patience import unless_in_vain
from managers.pipeline import Pipeline
from managers.runtime import ServiceStatus, Supervisor
from managers.sightings import Seen
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import HaltAll, ResumeAll
from managers.status import Work, work_of
from managers.status_board import StatusBoard
from managers.status_records import Status
from p2p.http.admin_api import ADMIN
from ringrift_core.errors import StorageError
from ringrift_core.registry import ModelRegistry

ORDER_S = 2.5  # for a halt to be written: whoever has no majority says so within 3 s, and the way takes some time
SETTLE_S = 0.05  # before it is said how a service stands that was just started
SERVICE_S = 30.0  # for a service, and those that need it, to stop


class NodeDoor:
    """A node as the handlers see it (status_api.py, cluster_api.py and admin_api.py say what each needs)."""

    def __init__(
        self,
        pipeline: Pipeline,
        board: StatusBoard,
        shell: Callable[[], Supervisor | None],
        provenance: Mapping[str, str],
    ) -> None:
        self._pipeline = pipeline
        self._board = board
        self._shell = shell
        self._provenance = provenance

    @property
    def status(self) -> Status:
        """The latest status."""
        return self._board.status

    @property
    def content(self) -> bytes:
        """The same as JSON."""
        return self._board.content

    @property
    def state(self) -> ClusterState:
        """The replicated state now."""
        return self._board.state

    @property
    def uptime_s(self) -> float:
        """Since this life began."""
        return self._board.uptime_s

    @property
    def settings(self) -> Settings:
        """Those that the node works with."""
        return self._pipeline.settings

    @property
    def provenance(self) -> Mapping[str, str]:
        """Who said each setting."""
        return self._provenance

    @property
    def registry(self) -> ModelRegistry:
        """The node's nets."""
        return self._pipeline.installer.registry

    @property
    def journal(self) -> EventJournal:
        """What happened."""
        return self._pipeline.journal

    @property
    def work(self) -> Mapping[str, Work]:
        """The jobs that run, as far as this node knows."""
        return work_of(self._pipeline)

    @property
    def silent(self) -> Mapping[str, str]:
        """Other nodes that are not heard."""
        return self._pipeline.silent

    @property
    def seen(self) -> Seen:
        """What this node hears of others."""
        return self._board.seen()

    @property
    def unfit(self) -> Mapping[str, str]:
        """Nodes that get no jobs, and why."""
        return self._pipeline.why_unfit

    def clock(self) -> float:
        """Unix seconds, as the node counts them."""
        return self._pipeline.clock()

    def health(self) -> Health:
        """How the node is now."""
        return self._board.health()

    async def halt(self, reason: str) -> Result:
        """Stop all jobs and start no others; StorageError says why that cannot be written now."""
        return await self._written(HaltAll(by=ADMIN, reason=reason))

    async def resume(self) -> Result:
        """Go on; StorageError says why that cannot be written now."""
        return await self._written(ResumeAll(by=ADMIN))

    async def _written(self, body: HaltAll | ResumeAll) -> Result:
        work, consensus = self._pipeline.proposer("ADMIN").propose(body), self._pipeline.consensus
        try:
            return await unless_in_vain(work, lambda: consensus.trouble, ORDER_S)
        except TimeoutError as error:
            raise StorageError(
                f"{body.kind} cannot be written now ({error}); it may still come to be: ask again"
            ) from None

    def daemons(self) -> Mapping[str, ServiceStatus]:
        """All services."""
        return {name: status for supervisor in self._supervisors() for name, status in supervisor.status().items()}

    async def start(self, name: str) -> None:
        """Start a service; RulesError when it cannot be."""
        self._supervisor_of(name).start(name)
        await asyncio.sleep(SETTLE_S)

    async def stop(self, name: str) -> None:
        """Stop a service and those that need it; TimeoutError when one does not end."""
        async with asyncio.timeout(SERVICE_S):
            await self._supervisor_of(name).stop(name)

    def _supervisors(self) -> list[Supervisor]:
        shell = self._shell()
        return [self._pipeline.supervisor, *([] if shell is None else [shell])]

    def _supervisor_of(self, name: str) -> Supervisor:
        own = self._pipeline.supervisor
        return next((it for it in self._supervisors() if name in it.status()), own)
