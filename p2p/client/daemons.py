"""DaemonManager and LoopManager under the documents' names: views of the node's Supervisor."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum

from managers.runtime import ServiceStatus
from managers.runtime.service import State
from p2p.client.attached import Attached, attached
from p2p.client.cluster_status import STATUS
from p2p.client.node_errors import NodeRefusal
from p2p.client.node_http import Answer, NodeHttp, node_http, segment
from p2p.client.not_yet import not_yet
from ringrift_core.errors import RulesError

MESH = "a cluster of one has nothing for it to do"
UP = {State.WAITING.value, State.STARTING.value, State.RUNNING.value, State.BACKOFF.value, State.STOPPING.value}


class DaemonType(StrEnum):
    """The daemons of a node; AUTO_SYNC and DISTILLATION arrive later."""

    JOB_MANAGER = "JOB_MANAGER"
    QUEUE_POPULATOR = "QUEUE_POPULATOR"
    TRAINING_COORDINATOR = "TRAINING_COORDINATOR"
    FEEDBACK_LOOP = "FEEDBACK_LOOP"
    SHADOW_TOURNAMENT = "SHADOW_TOURNAMENT"
    AUTO_PROMOTION = "AUTO_PROMOTION"
    ROLLBACK = "ROLLBACK"
    CURRICULUM = "CURRICULUM"
    DISPATCHER = "DISPATCHER"
    JOB_REAPER = "JOB_REAPER"
    MODEL_DISTRIBUTION = "MODEL_DISTRIBUTION"
    DATA_COUNTER = "DATA_COUNTER"
    RESOURCE_WATCH = "RESOURCE_WATCH"
    PROMOTION_DESK = "PROMOTION_DESK"
    STATUS_BOARD = "STATUS_BOARD"
    AUTO_SYNC = "AUTO_SYNC"
    DISTILLATION = "DISTILLATION"


LATER = {
    DaemonType.AUTO_SYNC: MESH,
    DaemonType.DISTILLATION: "`ringrift train --parent NET --size nano` trains a smaller net",
}


class DaemonStatus(Answer):
    """How a daemon stands."""

    state: str
    restarts: int
    last_error: str | None = None
    critical: bool


class DaemonsAnswer(Answer):
    """The part of /status that tells of daemons."""

    daemons: Mapping[str, DaemonStatus]


class LoopStatus(Answer):
    """How a periodic loop stands."""

    interval_s: float
    last_run_at: float | None = None  # unix s
    state: str = ""


class LoopsAnswer(Answer):
    """The part of /status that tells of loops."""

    loops: Mapping[str, LoopStatus]


class DaemonManager:
    """Starts and stops daemons; the node itself starts them all and keeps them running."""

    async def start_all(self) -> tuple[str, ...]:
        """Start those that are down; their names."""
        here = attached()
        found = _own(here) if here is not None else await asyncio.to_thread(_asked, node_http())
        down = tuple(name for name, status in found.items() if status.state not in UP)
        for name in down:
            await self.start(name)
        return down

    async def start(self, daemon: str) -> None:
        """Start a daemon that is down; one that runs goes on. RulesError for one that nobody knows."""
        await self._order(daemon, "start")

    async def stop(self, daemon: str) -> None:
        """Stop a daemon and first those that need it, until they are started."""
        await self._order(daemon, "stop")

    async def restart(self, daemon: str) -> None:
        """Stop and start a daemon."""
        await self._order(daemon, "restart")

    def get_daemon_status(self, daemon: str) -> DaemonStatus:
        """How a daemon stands; RulesError for one that nobody knows."""
        name, here = known(daemon), attached()
        return _named(name, _own(here) if here is not None else _asked(node_http()))

    def get_all_daemon_status(self) -> Mapping[str, DaemonStatus]:
        """How every daemon stands, by name."""
        here = attached()
        return _own(here) if here is not None else _asked(node_http())

    async def _order(self, daemon: str, action: str) -> None:
        name, here = known(daemon), attached()
        if here is None:
            await asyncio.to_thread(_ordered, node_http(), name, action)
            return
        _named(name, _own(here))

        async def done() -> None:
            if action in {"stop", "restart"}:
                await here.node.supervisor.stop(name)
            if action in {"start", "restart"}:
                here.node.supervisor.start(name)

        await here.do(done)


class LoopManager:
    """Tells of the periodic loops under the documents' names."""

    def get_loop_status(self, loop: str) -> LoopStatus:
        """How a loop stands, such as JobReaperLoop; RulesError for one that the node does not have."""
        loops = self.get_all_loop_status()
        if loop not in loops:
            raise RulesError(f"there is no loop {loop[:100]!r}; there are {', '.join(sorted(loops)) or 'none'}")
        return loops[loop]

    def get_all_loop_status(self) -> Mapping[str, LoopStatus]:
        """How every loop stands, by name."""
        if attached() is not None:
            raise not_yet("LoopManager inside a node", "get_daemon_manager() tells of the same services")
        return node_http().get(STATUS, LoopsAnswer).loops


def get_daemon_manager() -> DaemonManager:
    """The daemons of the node."""
    return DaemonManager()


def get_loop_manager() -> LoopManager:
    """The loops of the node."""
    return LoopManager()


def known(daemon: str) -> str:
    """The name of a daemon; NotYetAvailable for one that arrives later."""
    name = str(daemon)
    if name in LATER:
        raise not_yet(f"the daemon {name}", LATER[DaemonType(name)])
    return name


def _named(name: str, found: Mapping[str, DaemonStatus]) -> DaemonStatus:
    if name not in found:
        raise RulesError(f"there is no daemon {name[:100]!r}; there are {', '.join(sorted(found))}")
    return found[name]


def _own(here: Attached) -> dict[str, DaemonStatus]:
    return {name: _status(it) for name, it in here.node.supervisor.status().items()}


def _status(service: ServiceStatus) -> DaemonStatus:
    return DaemonStatus(
        state=service.state.value, restarts=service.restarts, last_error=service.last_error, critical=service.critical
    )


def _asked(http: NodeHttp) -> Mapping[str, DaemonStatus]:
    return http.get(STATUS, DaemonsAnswer).daemons


def _ordered(http: NodeHttp, name: str, action: str) -> None:
    try:
        http.post(f"/admin/daemons/{segment(name)}/{action}", Answer, {})
    except NodeRefusal as refusal:
        if refusal.status == 404:
            raise RulesError(str(refusal)) from refusal
        raise
