"""Settings: everything that can be chosen, with its default; and the documents' names that stand for something else."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from config.sections import (
    CurriculumSettings,
    EvaluationSettings,
    ExchangeSettings,
    JobSettings,
    LogSettings,
    MonitoringSettings,
    NodeSettings,
    PromotionSettings,
    RollbackSettings,
    SafetySettings,
    SchedulerSettings,
    Section,
    SelfplaySettings,
    TrainingSettings,
)

BOARD_TYPES = ("square8", "hex8", "square19", "hexagonal")
GameName = Annotated[str, Field(pattern=f"^({'|'.join(BOARD_TYPES)})_[234]p$")]

# The documents' names in unified_loop.yaml that are not ours, and what they set
ALIASES = {
    "metrics_port": "node.metrics_port",
    "curriculum.max_weight_multiplier": "curriculum.weight_max",
    "curriculum.min_weight_multiplier": "curriculum.weight_min",
    "curriculum.rebalance_interval_seconds": "curriculum.rebalance_seconds",
}
CONFIGURATIONS = "configurations"  # another way to write `games`
# Sections that the documents know and that mean nothing without other nodes
MESH_SECTIONS = frozenset({
    "alerting", "auto_scaling", "auto_sync", "cluster", "cluster_sync", "data_aggregation", "data_ingestion",
    "elo_sync", "external_drive_sync", "hosts", "hosts_config_path", "p2p", "p2p_daemon", "p2p_voters",
    "proactive_monitoring", "protocols", "provider_detection", "provider_timeouts", "queue_populator",
    "resource_targets", "safeguards", "self_healing", "slurm", "ssh", "storage", "sync_routing",
})  # fmt: skip
# Sections that the documents know for machinery that this learner has not got
FOREIGN_SECTIONS = frozenset({
    "adaptive_control", "cmaes", "daemon", "elo_targets", "gauntlet", "model_pruning", "model_validation", "nas",
    "notifications", "pbt", "pipeline", "plateau_detection", "regression", "replay_buffer", "tournament", "validation",
})  # fmt: skip
MESH_BACKENDS = ("p2p", "slurm", "ssh")


def _each_once(games: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(games)) < len(games):
        raise ValueError("write each game once")
    return games


def _of_this_version(backend: object) -> object:
    if backend in MESH_BACKENDS:
        raise ValueError("not in this version; write auto or local")
    return backend


def _several(players: object) -> object:
    return players if isinstance(players, tuple) else (players,)


class Configuration(Section):
    """One entry of `configurations`."""

    board_type: Literal["square8", "hex8", "square19", "hexagonal"]
    num_players: Annotated[tuple[Literal[2, 3, 4], ...], BeforeValidator(_several)] = Field(min_length=1)


class Settings(Section):
    """All settings."""

    profile: Literal["local", "demo", "production"] = Field(default="local", description="which defaults hold")
    games: Annotated[tuple[GameName, ...], AfterValidator(_each_once)] = Field(
        default=("hex8_2p",),
        min_length=1,
        max_length=12,
        description="configurations that are learned",
        json_schema_extra={
            "allowed": "a list such as [hex8_2p]; boards are square8, hex8, square19, hexagonal, players 2p, 3p, 4p"
        },
    )
    seed: int = Field(default=1, ge=0, le=(1 << 63) - 1, description="from which the seeds of all jobs are derived")
    execution_backend: Annotated[Literal["auto", "local"], BeforeValidator(_of_this_version)] = Field(
        default="auto", description="where jobs run; both mean child processes of this node"
    )
    node: NodeSettings = Field(default_factory=NodeSettings)
    selfplay: SelfplaySettings = SelfplaySettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    promotion: PromotionSettings = PromotionSettings()
    rollback: RollbackSettings = RollbackSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    jobs: JobSettings = JobSettings()
    safety: SafetySettings = SafetySettings()
    exchange: ExchangeSettings = ExchangeSettings()
    log: LogSettings = LogSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
