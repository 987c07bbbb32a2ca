"""Each command and each piece of Python in the five documents, and what becomes of it here.

A row is *now* (it is run, with `edits` that the reference page names), *later* (Python of such a row says so itself
when it is run) or an *example* (nothing that anybody runs as it is printed).
"""

from dataclasses import dataclass, field
from enum import StrEnum

CLUSTER, COORDINATION, DEPLOYMENT = "cluster-integration", "coordination", "deployment"
ORCHESTRATOR, RUNBOOK = "orchestrator-selection", "promotion-runbook"
UNIT = "a unit file is to be written by who installs it; deploy/ arrives later"
MESH = "a cluster of one has nothing to bring anywhere"
Edits = tuple[tuple[str, str], ...]


class When(StrEnum):
    """What becomes of a snippet."""

    NOW = "now"
    LATER = "later"
    EXAMPLE = "example"


@dataclass(frozen=True, slots=True)
class Row:
    """One snippet, or several that say the same."""

    page: str
    has: str  # a part of its text that no snippet of another row of the page has
    when: When = When.NOW
    why: str = ""  # of later and of examples
    edits: Edits = ()  # beside those that hold everywhere
    shows: tuple[str, ...] = ()  # parts of what it prints
    code: int = 0  # what it exits with
    alone: bool = False  # in a folder where no loop works
    names: dict[str, object] = field(default_factory=dict)  # what the text around the snippet has made before

    @property
    def id(self) -> str:
        """For people."""
        return f"{self.page}: {self.has[:60]}"


def later(page: str, has: str, why: str) -> Row:
    """A row of later."""
    return Row(page, has, When.LATER, why)


def example(page: str, has: str, why: str) -> Row:
    """A row that is an example."""
    return Row(page, has, When.EXAMPLE, why)


TINY = ("--games 50", "--games 2 --config tiny.yaml")
SHORT = "--minutes 0.02 --data-dir ../short --cores 1 --plain --set node.disable_local_tasks=true {no_ports}"
STATUS = "curl -s http://localhost:8770/status | jq "

ROWS = (
    # ---- cluster-integration ----
    example(CLUSTER, "self.job_manager.run_gpu_selfplay_job", "attributes of the old orchestrator"),
    Row(
        CLUSTER,
        "router.subscribe(DataEventType.SELFPLAY_COMPLETE",
        edits=(
            ("import get_event_router", "import get_event_router, DataEventType"),
            ("payload)", "{'config': 'hex8_2p'})"),
        ),
        names={"my_handler": print},
    ),
    Row(CLUSTER, "facade.sync_games"),
    Row(
        CLUSTER,
        "manager.get_daemon_status(DaemonType.AUTO_SYNC)",
        edits=(
            ("AUTO_SYNC", "JOB_REAPER"),
            ("status = manager.get_daemon_status(DaemonType.JOB_REAPER)",
             "print(manager.get_daemon_status(DaemonType.JOB_REAPER))"),
        ),
        shows=("state='running'",),
    ),
    Row(CLUSTER, "export RINGRIFT_EXTRACTED_LOOPS=true"),
    Row(
        CLUSTER,
        "bus.subscribe(DataEventType.YOUR_EVENT",
        edits=(("YOUR_EVENT", "TRAINING_COMPLETED"), ("self._on_your_event", "print")),
    ),
    later(CLUSTER, "daemon.trigger_urgent_sync(config_key)", MESH),
    Row(CLUSTER, "hco.check_node_health(node_id)", names={"node_id": "here"}),
    # ---- coordination ----
    Row(
        COORDINATION,
        '@bus.subscribe("training.completed")',
        edits=(("await bus.publish(event)", "await bus.publish('training.completed', {'config': 'hex8_2p'}, 'me')"),),
    ),
    Row(COORDINATION, 'source="training_daemon"', edits=(("get_router, publish", "DataEventType, publish"),)),
    Row(COORDINATION, "export RINGRIFT_DEBUG=true"),
    Row(
        COORDINATION,
        "router.get_recent_events(limit=100)",
        edits=(("router = get_router()", "from p2p.client import get_router\nrouter = get_router()"),),
    ),
    later(COORDINATION, "result = await trigger_data_sync(", MESH),
    Row(
        COORDINATION,
        "cb = CircuitBreaker(failure_threshold=3, reset_timeout_seconds=300)",
        edits=(("await trigger_training(...)", "'what is protected'"),),
    ),
    later(COORDINATION, "rsync = BandwidthCoordinatedRsync()", MESH),
    later(COORDINATION, "get_daemon_adapter(DaemonType.DISTILLATION)", "every daemon is a supervised service"),
    Row(COORDINATION, "launch_daemons.py --all", edits=(("ringrift daemons --all", f"ringrift loop {SHORT}"),)),
    later(COORDINATION, "launch_daemons.py --sync", MESH),
    later(COORDINATION, "launch_daemons.py --training-only", "a node runs all of its daemons"),
    Row(COORDINATION, "launch_daemons.py --status", shows=("JOB_REAPER",)),
    Row(COORDINATION, "UnifiedEventCoordinator,  # Alias"),
    # ---- deployment ----
    later(DEPLOYMENT, "install-services.sh unified-ai-loop", UNIT),
    later(DEPLOYMENT, "systemctl start unified-ai-loop", UNIT),
    later(DEPLOYMENT, "systemctl enable unified-ai-loop", UNIT),
    later(DEPLOYMENT, "journalctl -u unified-ai-loop -f", UNIT),
    later(DEPLOYMENT, "install-services.sh all", UNIT),
    later(DEPLOYMENT, "systemctl start streaming-data-collector", UNIT),
    later(DEPLOYMENT, "systemctl start shadow-tournament", UNIT),
    later(DEPLOYMENT, "systemctl start model-promoter", UNIT),
    later(DEPLOYMENT, "./setup_node_resilience.sh", UNIT),
    later(DEPLOYMENT, "./setup_node_resilience_macos.sh", UNIT),
    later(DEPLOYMENT, "./install-grafana-dashboard.sh", "/metrics is there; dashboards arrive later"),
    Row(DEPLOYMENT, "curl http://localhost:9090/health", shows=('"status"', '"ok"')),
    Row(DEPLOYMENT, "curl http://localhost:8770/health", shows=('"status"', '"ok"')),
    Row(DEPLOYMENT, "export RINGRIFT_DISABLE_LOCAL_TASKS=true"),
    Row(DEPLOYMENT, "registry = ModelRegistry()", edits=(("square8_2p", "hex8_2p"), ("to_version=3", "to_version=1"))),
    Row(
        DEPLOYMENT,
        "thresholds = RollbackThresholds(",
        edits=(
            (
                "thresholds = Roll",
                "from p2p.client import ModelRegistry, RollbackManager, RollbackThresholds\n"
                "registry = ModelRegistry()\nthresholds = Roll",
            ),
        ),
    ),
    Row(
        DEPLOYMENT,
        "create_rollback_alert_rules()",
        edits=(("/etc/prometheus/rules/rollback.yml", "rollback.yml"),),
    ),
    Row(DEPLOYMENT, "cat data/rollback_history.json | jq '.[0:5]'", shows=('"model_id": "hex8_2p"', '"success": true')),
    # ---- orchestrator-selection ----
    Row(
        ORCHESTRATOR,
        "scripts/master_loop.py --config config/unified_loop.yaml",
        edits=(("--config config/unified_loop.yaml", f"--config {{root}}/config/unified_loop.yaml {SHORT}"),),
        shows=("learning hex8_2p",),
    ),
    Row(
        ORCHESTRATOR,
        "scripts/master_loop.py --watch",
        edits=(("ringrift loop --watch", "ringrift loop --watch --json | head -n 1"),),
        shows=('"running":true',),
    ),
    Row(ORCHESTRATOR, "scripts/master_loop.py --status", shows=("hex8_2p",)),
    Row(ORCHESTRATOR, "scripts/unified_ai_loop.py --halt", shows=("halted",)),
    Row(ORCHESTRATOR, "scripts/unified_ai_loop.py --resume"),
    Row(
        ORCHESTRATOR,
        "scripts/p2p_orchestrator.py --node-id gpu-node-1",
        edits=(
            ("--port 8770 --peers <coordinator_urls>",
             "--port {free_port} --data-dir ../p2p > said 2>&1 & "
             "until curl -s http://localhost:{free_port}/health; do sleep 0.2; done; kill $!; wait $!"),
        ),
        shows=("gpu-node-1",),
    ),
    Row(ORCHESTRATOR, "curl http://localhost:8770/status", shows=('"hex8_2p"',)),
    Row(ORCHESTRATOR, 'result = await sync("all")'),
    Row(
        ORCHESTRATOR,
        "scripts/model_promotion_manager.py --candidate new_model.pt",
        edits=(("new_model.pt", "models/canonical_hex8_2p.pth"),),
        shows=("is the champion already",),
        code=1,
    ),
    Row(
        ORCHESTRATOR,
        "scripts/model_promotion_manager.py --daemon",
        edits=(
            ("--daemon",
             "--daemon > said 2>&1 & until grep 'watching it' said; do sleep 0.2; done; kill $!; wait $!"),
        ),
        shows=("a loop works here",),
        code=130,
    ),
    Row(ORCHESTRATOR, "scripts/model_promotion_manager.py --rollback"),
    # ---- promotion-runbook ----
    Row(RUNBOOK, "--games 50 --sync-to-cluster", edits=(TINY,), shows=("not promoted",), code=1, alone=True),
    Row(RUNBOOK, "--games 50 --dry-run", edits=(TINY,), shows=("it would not be promoted",), code=1, alone=True),
    Row(RUNBOOK, "scripts/auto_promote.py --force", shows=("promoted",)),
    Row(RUNBOOK, '"gauntlet_games": 50', shows=('"number"',)),
    Row(RUNBOOK, f"{STATUS}'.promotion_status'", shows=("last_evaluation",)),
    Row(
        RUNBOOK,
        "result = await controller.evaluate_and_promote(",
        edits=(("models/my_model.pth", "models/canonical_hex8_2p.pth"),),
        shows=("Promotion failed:",),
    ),
    Row(RUNBOOK, f"{STATUS}'.model_distribution'", shows=("here",)),
    Row(RUNBOOK, "availability = check_model_availability(", shows=("here: OK",)),
    Row(
        RUNBOOK,
        '-d \'{"model_path": "models/canonical_hex8_2p.pth"}\'',
        shows=('"nodes"',),
    ),
    Row(
        RUNBOOK,
        "await wait_for_model_distribution(",
        edits=(
            ("await wait_for_model_distribution('canonical_hex8_2p.pth', timeout=300)",
             "import asyncio; asyncio.run(wait_for_model_distribution('canonical_hex8_2p.pth', timeout=300))"),
        ),
        shows=("Distribution complete",),
    ),
    Row(RUNBOOK, f"{STATUS}'.recent_events | map("),
    Row(RUNBOOK, 'grep -i "gauntlet" logs/coordination.log'),
    Row(RUNBOOK, "print(f'Last evaluation: {ctrl.last_evaluation}')", shows=("Last evaluation: ",)),
    Row(RUNBOOK, f"{STATUS}'.daemons.MODEL_DISTRIBUTION'", shows=('"state"',)),
    Row(RUNBOOK, 'grep -i "distribution" logs/coordination.log'),
    Row(RUNBOOK, "for node in $("),
    Row(RUNBOOK, "ls -la models/ | grep canonical", shows=("canonical_hex8_2p.pth",)),
    Row(
        RUNBOOK,
        "torch.load('models/canonical_hex8_2p.pth', weights_only=False)",
        edits=(("weights_only=False", "weights_only=True"),),
        shows=("Version: ", "Trained: ", "Elo: "),
    ),
    Row(RUNBOOK, "cp models/backup/canonical_hex8_2p.pth.bak models/canonical_hex8_2p.pth"),
    Row(RUNBOOK, "ln -sf canonical_hex8_2p.pth models/ringrift_best_hex8_2p.pth"),
    Row(RUNBOOK, '"models/canonical_hex8_2p.pth", "force": true', shows=("hex8_2p",)),
    Row(RUNBOOK, 'grep "run_gauntlet" logs/coordination.log'),
    Row(RUNBOOK, 'grep -i "gauntlet.*exception'),
    example(RUNBOOK, "nvidia-smi --query-gpu=memory.used,memory.free --format=csv", "a tool of the driver's"),
)  # fmt: skip
