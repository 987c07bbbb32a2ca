"""Every import, script and module that the documents name, and what stands for it: one table.

The names of `p2p.client`, what raises NotYetAvailable, `ringrift old-names` and a section of docs/reference/python.md
are made of it. Plain data, quick to load.
"""

from dataclasses import dataclass

CLIENT = "p2p.client"
LOOP = "`ringrift loop`"
PROMOTE = "`ringrift promote`"
EVENTS = "p2p.client.events"
ONE = "a cluster of one has nothing to bring anywhere"
INSTALL = "run `ringrift loop` from a unit of your own"


@dataclass(frozen=True, slots=True)
class Documented:
    """A documented name."""

    theirs: str  # dotted, or the path of a script
    ours: str  # what stands for it; of a later one: what to use meanwhile
    target: str = ""  # module:attribute of a name that `p2p.client` hands out
    now: bool = True

    @property
    def name(self) -> str:
        """Its last part, as an import statement has it."""
        return self.theirs.rpartition(".")[2]


def later(theirs: str, meanwhile: str) -> Documented:
    """One that this version does not have."""
    return Documented(theirs, meanwhile, now=False)


IMPORTS = (
    Documented("app.coordination.event_router.get_router", "the node's router", f"{EVENTS}:get_router"),
    Documented("app.coordination.event_router.get_event_router", "the same", f"{EVENTS}:get_event_router"),
    Documented("app.core.event_bus.get_event_bus", "the same", f"{EVENTS}:get_event_bus"),
    Documented("app.distributed.data_events.get_data_event_bus", "the same", f"{EVENTS}:get_data_event_bus"),
    Documented("app.coordination.event_router.get_event_coordinator", "the same", f"{EVENTS}:get_event_coordinator"),
    Documented(
        "app.coordination.event_router.publish", "publishes in the node; need not be awaited", f"{EVENTS}:publish"
    ),
    Documented(
        "app.coordination.event_router.emit_training_started",
        "`(config, source=None, **fields)` publishes TRAINING_STARTED",
        f"{EVENTS}:emit_training_started",
    ),
    Documented(
        "app.coordination.event_router.emit_training_completed",
        "the same with TRAINING_COMPLETED",
        f"{EVENTS}:emit_training_completed",
    ),
    Documented(
        "app.coordination.event_router.EventRouter", "the class of a node's router", "managers.runtime:EventRouter"
    ),
    Documented(
        "app.coordination.event_router.UnifiedEventCoordinator", "the same class", f"{EVENTS}:UnifiedEventCoordinator"
    ),
    Documented(
        "app.coordination.event_router.CoordinatorStats",
        "what `router.coordinator_stats()` returns",
        "managers.runtime:CoordinatorStats",
    ),
    Documented(
        "app.distributed.data_events.DataEventType",
        "public names of [events](events.md)",
        "managers.runtime:DataEventType",
    ),
    Documented(
        "app.training.promotion_controller.PromotionController",
        "`PromotionController()` or `.get_instance()`: `await .evaluate_and_promote(...)`, `.last_evaluation`, "
        "`await .force(...)`",
        "p2p.client.promotion:PromotionController",
    ),
    Documented(
        "app.training.rollback_manager.RollbackManager",
        "`RollbackManager(registry, thresholds=...)`: `.should_rollback`, `.rollback_model`, `.get_rollback_history`, "
        "`.set_baseline`; the thresholds are the node's (settings `rollback`), others are refused",
        "p2p.client.rollback:RollbackManager",
    ),
    Documented(
        "app.training.rollback_manager.RollbackThresholds",
        "same fields and defaults",
        "ringrift_core.registry:RollbackThresholds",
    ),
    Documented(
        "app.training.rollback_manager.create_rollback_alert_rules",
        "rules for Prometheus, as text ([metrics](metrics.md))",
        "ringrift_core.registry:create_rollback_alert_rules",
    ),
    Documented(
        "app.training.model_registry.ModelRegistry",
        'the registry of a folder (`root="models"`)',
        "ringrift_core.registry:ModelRegistry",
    ),
    Documented(
        "app.training.game_gauntlet.GameGauntlet",
        "a gauntlet in this process; `ringrift gauntlet`",
        "ringrift_core.evaluation.gauntlet:GameGauntlet",
    ),
    Documented(
        "app.training.unified_signals.UnifiedSignalComputer",
        "`(settings).compute_signals(state, game, now)`; a node's signals stand in `/status`",
        "managers.signal_computer:UnifiedSignalComputer",
    ),
    Documented(
        "app.coordination.daemon_manager.get_daemon_manager",
        "`await .start_all()`, `await .start(DaemonType.X)`, `await .stop(...)`, `.get_daemon_status(...)`",
        "p2p.client.daemons:get_daemon_manager",
    ),
    Documented("app.coordination.daemon_manager.DaemonManager", "the same", "p2p.client.daemons:DaemonManager"),
    Documented(
        "app.coordination.daemon_manager.DaemonType",
        "names of daemons; AUTO_SYNC and DISTILLATION are later",
        "p2p.client.daemons:DaemonType",
    ),
    Documented(
        "app.coordination.loop_manager.LoopManager",
        '`.get_loop_status("JobReaperLoop")`; not inside a node',
        "p2p.client.daemons:LoopManager",
    ),
    Documented("app.coordination.loop_manager.get_loop_manager", "the same", "p2p.client.daemons:get_loop_manager"),
    Documented(
        "app.coordination.health_check_orchestrator.get_health_check_orchestrator",
        "`await .check_node_health(node_id)`",
        "p2p.client.health:get_health_check_orchestrator",
    ),
    Documented(
        "app.coordination.data_pipeline_orchestrator.CircuitBreaker",
        "`.can_execute()`, `.record_success(name)`, `.record_failure(name, why)`",
        "managers.circuit_breaker:CircuitBreaker",
    ),
    Documented(
        "app.coordination.pipeline_actions.trigger_promotion",
        "`await trigger_promotion(model_path, board_type, num_players)`: `.success`, `.duration_seconds`, `.error`",
        "p2p.client.pipeline_actions:trigger_promotion",
    ),
    Documented(
        "app.coordination.unified_distribution_daemon.check_model_availability",
        "node id to bool, for the champion's net",
        "p2p.client.cluster_status:check_model_availability",
    ),
    Documented(
        "app.coordination.unified_distribution_daemon.wait_for_model_distribution",
        "`await ...(model, timeout=300)`; TimeoutError names the nodes that do not have it",
        "p2p.client.cluster_status:wait_for_model_distribution",
    ),
    Documented(
        "app.coordination.sync_facade.SyncFacade",
        "`await .sync_games(config_key=...)`, `.sync_models(model_path=...)`, `.sync(what)`: the node fetches "
        "now what it should have; `.success`, `.files`, `.problems`",
        "p2p.client.sync_facade:SyncFacade",
    ),
    Documented(
        "app.coordination.sync_facade.sync", "the same for `games`, `models` or `all`", "p2p.client.sync_facade:sync"
    ),
    later("app.coordination.auto_sync_daemon.AutoSyncDaemon", ONE),
    later("app.coordination.pipeline_actions.trigger_data_sync", ONE),
    later("app.coordination.pipeline_actions.trigger_npz_export", "shards are read as they are: `ringrift shards ls`"),
    later(
        "app.coordination.pipeline_actions.trigger_training",
        "the loop trains when there are enough new games; `ringrift train` does it by hand",
    ),
    later(
        "app.coordination.pipeline_actions.trigger_evaluation",
        "`trigger_promotion` judges a net; `ringrift gauntlet` judges without promoting",
    ),
    later("app.coordination.sync_bandwidth.BandwidthCoordinatedRsync", ONE),
    later("app.coordination.sync_bandwidth.TransferPriority", ONE),
    later("app.coordination.sync_bandwidth.get_bandwidth_manager", ONE),
    later(
        "app.coordination.daemon_adapters.get_daemon_adapter",
        "every daemon is a supervised service: `get_daemon_manager()`",
    ),
    Documented(
        "scripts.p2p.managers.NodeSelector",
        "`NodeSelector(state, unfit)`; `.rank_nodes(job)` with the parts of each score, `.select_best_node(job)`",
        "managers.node_selector:NodeSelector",
    ),
    later("scripts.p2p.managers.SyncPlanner", ONE),
)

MODULES = (
    Documented("app/config/thresholds.py", "settings `promotion` and `rollback`"),
    Documented("app/coordination/daemon_manager.py", f"`{CLIENT}`, `managers/runtime/supervisor.py`"),
    Documented("app/coordination/data_pipeline_orchestrator.py", f"`{CLIENT}.CircuitBreaker`, `managers/pipeline.py`"),
    Documented("app/coordination/event_router.py", f"`{CLIENT}`, `managers/runtime/event_router.py`"),
    Documented("app/coordination/feedback_loop_controller.py", "`managers/feedback_loop_controller.py`"),
    Documented("app/coordination/pipeline_actions.py", f"`{CLIENT}.trigger_promotion`; the others are later"),
    Documented("app/core/event_bus.py", f"`{CLIENT}.get_event_bus`"),
    Documented("app/core/node.py", "`managers/node_folder.py`, `managers/state/members.py`"),
    Documented("app/distributed/cross_process_events.py", f"`{CLIENT}`: publishing and subscribing over HTTP"),
    Documented("app/distributed/data_events.py", f"`{CLIENT}.DataEventType`"),
    Documented("app/distributed/stage_events.py", f"`{CLIENT}`: one router for all events"),
    Documented("app/training/game_gauntlet.py", f"`{CLIENT}.GameGauntlet`"),
    Documented("app/training/promotion_controller.py", f"`{CLIENT}.PromotionController`"),
    Documented("app/training/rollback_manager.py", f"`{CLIENT}.RollbackManager`"),
    Documented("app/training/unified_signals.py", f"`{CLIENT}.UnifiedSignalComputer`"),
    later("app/core/ssh.py", "nodes speak HTTP; nothing here logs in elsewhere"),
    later("app/coordination/auto_sync_daemon.py", ONE),
    later("app/coordination/daemon_adapters.py", f"`{CLIENT}.get_daemon_manager`"),
    later("app/coordination/p2p_backend.py", f"`{CLIENT}`"),
    later("app/coordination/sync_bandwidth.py", ONE),
    Documented("app/coordination/sync_facade.py", "`ringrift sync`"),
    later("app/coordination/unified_distribution_daemon.py", f"`{CLIENT}.check_model_availability`"),
    later("app/distributed/p2p_sync.py", ONE),
    later("app/distributed/unified_data_sync.py", ONE),
)

SCRIPTS = (
    Documented("scripts/master_loop.py", f"{LOOP} (`--config`, `--watch`, `--status`)"),
    Documented("scripts/unified_ai_loop.py", f"{LOOP} (`--halt`, `--resume`)"),
    Documented("scripts/auto_promote.py", f"{PROMOTE}, same options"),
    Documented("scripts/model_promotion_manager.py", f"{PROMOTE} (`--candidate`, `--daemon`, `--rollback`)"),
    Documented("scripts/run_model_elo_tournament.py", "`ringrift tournament`"),
    Documented("scripts/run_diverse_tournaments.py", "`ringrift tournament`"),
    Documented("scripts/run_strength_regression_gate.py", "`ringrift gate`"),
    Documented("scripts/p2p_orchestrator.py", "`ringrift-p2p`, same options"),
    Documented("scripts/unified_cluster_monitor.py", f"{LOOP} `--watch`"),
    Documented("scripts/launch_daemons.py", f"{LOOP} runs them all; `ringrift daemons --status`"),
    later("scripts/unified_data_sync.py", ONE),
    later("scripts/cluster_orchestrator.py", "`ringrift-p2p`"),
    later("deploy/install-services.sh", INSTALL),
    later("deploy/install-grafana-dashboard.sh", "`/metrics` has what a dashboard shows"),
    later("deploy/setup_node_resilience.sh", INSTALL),
    later("deploy/setup_node_resilience_macos.sh", INSTALL),
    later("deploy/deploy_cluster_resilience.py", INSTALL),
)

DEPRECATED = (  # by the documents themselves
    Documented("scripts/continuous_improvement_daemon.py", LOOP),
    Documented("scripts/improvement_cycle_manager.py", LOOP),
    Documented("scripts/pipeline_orchestrator.py", f"{LOOP}; `ringrift gate` for a check alone"),
    Documented("scripts/auto_promote_best_models.py", PROMOTE),
    Documented("scripts/auto_promote_weights.py", PROMOTE),
    Documented("app/coordination/unified_event_coordinator.py", f"`{CLIENT}`: the names are the same"),
    Documented("app/coordination/node_health_monitor.py", f"`{CLIENT}.get_health_check_orchestrator`"),
    Documented("app/coordination/model_distribution_daemon.py", "the daemon MODEL_DISTRIBUTION"),
    Documented("app/coordination/npz_distribution_daemon.py", "shards are read where they are"),
    Documented("app/coordination/cluster/p2p.py", f"`{CLIENT}`"),
    Documented("app/coordination/cluster_monitor_daemon.py", f"{LOOP} `--watch`"),
    Documented("app/coordination/robust_cluster_monitor.py", f"{LOOP} `--watch`"),
    Documented("queue_populator_daemon", "the daemon QUEUE_POPULATOR"),
    Documented("model_distribution", "the daemon MODEL_DISTRIBUTION"),
    Documented("GAME_BATCH_READY", "the event SELFPLAY_COMPLETE; the old name is understood"),
    Documented("EVALUATION_RESULT", "the event EVALUATION_COMPLETED; the old name is understood"),
    Documented("RINGRIFT_UNIFIED_LOOP_LEGACY", f"nothing: {LOOP} has `--halt` and `--resume` without it"),
    later("app/coordination/sync_coordinator.py", ONE),
    later("app/distributed/sync_orchestrator.py", ONE),
    later("lambda_idle", "end a node with Ctrl-C; what runs is given back"),
    later("vast_idle", "end a node with Ctrl-C; what runs is given back"),
    later("replication_monitor", ONE),
)

EXPORTS = {row.name: row.target for row in IMPORTS if row.target} | {
    "attach": "p2p.client.attached:attach",
    "detach": "p2p.client.attached:detach",
    "status": "p2p.client.cluster_status:status",
    "NodeUnreachable": "p2p.client.node_errors:NodeUnreachable",
    "NodeRefusal": "p2p.client.node_errors:NodeRefusal",
    "NotYetAvailable": "p2p.client.not_yet:NotYetAvailable",
}
MEANWHILE = {row.name: row.ours for row in IMPORTS if not row.now}  # what to use in place of later names
