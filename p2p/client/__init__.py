"""What the documents call without arguments: accessors of the node of this process, or of one over HTTP.

    from p2p.client import PromotionController, get_router

Outside a node they ask the one that RINGRIFT_P2P_URL names (default http://localhost:8770) and show it
RINGRIFT_ADMIN_TOKEN; NodeUnreachable says when there is none. What the documents name and this version does not have
raises NotYetAvailable when it is used. Nothing else may live here: managers and nodes take their collaborators.
Each name is loaded when it is asked for. Open first: documented.py.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from p2p.client.documented import EXPORTS, MEANWHILE
from p2p.client.not_yet import NotYet

if TYPE_CHECKING:
    from managers.node_selector import NodeSelector
    from managers.runtime import CoordinatorStats, DataEventType, EventRouter
    from managers.signal_computer import UnifiedSignalComputer
    from p2p.client.attached import attach, detach
    from p2p.client.cluster_status import check_model_availability, status, wait_for_model_distribution
    from p2p.client.daemons import DaemonManager, DaemonType, LoopManager, get_daemon_manager, get_loop_manager
    from p2p.client.events import (
        UnifiedEventCoordinator,
        emit_training_completed,
        emit_training_started,
        get_data_event_bus,
        get_event_bus,
        get_event_coordinator,
        get_event_router,
        get_router,
        publish,
    )
    from p2p.client.health import get_health_check_orchestrator
    from p2p.client.node_errors import NodeRefusal, NodeUnreachable
    from p2p.client.not_yet import NotYetAvailable
    from p2p.client.pipeline_actions import trigger_promotion
    from p2p.client.promotion import PromotionController
    from p2p.client.rollback import RollbackManager
    from p2p.client.sync_facade import SyncFacade, sync
    from ringrift_core.evaluation.gauntlet import GameGauntlet
    from ringrift_core.registry import ModelRegistry, RollbackThresholds, create_rollback_alert_rules

__all__ = [
    "CoordinatorStats",
    "DaemonManager",
    "DaemonType",
    "DataEventType",
    "EventRouter",
    "GameGauntlet",
    "LoopManager",
    "ModelRegistry",
    "NodeRefusal",
    "NodeSelector",
    "NodeUnreachable",
    "NotYetAvailable",
    "PromotionController",
    "RollbackManager",
    "RollbackThresholds",
    "SyncFacade",
    "UnifiedEventCoordinator",
    "UnifiedSignalComputer",
    "attach",
    "check_model_availability",
    "create_rollback_alert_rules",
    "detach",
    "emit_training_completed",
    "emit_training_started",
    "get_daemon_manager",
    "get_data_event_bus",
    "get_event_bus",
    "get_event_coordinator",
    "get_event_router",
    "get_health_check_orchestrator",
    "get_loop_manager",
    "get_router",
    "publish",
    "status",
    "sync",
    "trigger_promotion",
    "wait_for_model_distribution",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """A documented name, loaded now, or what stands for one that arrives later."""
    if name in EXPORTS:
        module, _, attribute = EXPORTS[name].partition(":")
        found: object = getattr(import_module(module), attribute)
        globals()[name] = found
        return found
    if name in MEANWHILE:
        return NotYet(name, MEANWHILE[name])
    raise AttributeError(f"p2p.client has no {name!r}; docs/reference/python.md lists its names")


def __dir__() -> list[str]:
    return sorted({*globals(), *EXPORTS, *MEANWHILE})
