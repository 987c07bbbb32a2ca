"""The sections of the settings, one per component: names, ranges, defaults, meanings.

A name ends in its unit; a plain count is named by what it counts, a share lies between 0 and 1. What also stands in a
job spec or in a policy has its name, range and default from there. The documents' names go before our own
(`batch_size`, `ema_decay`). None stands for what its meaning says.
"""

import ipaddress
import platform
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from config.environment import PORT_MAX, shown

DAY_S = 86_400
PEERS_MAX = 256  # addresses to begin with; the others are heard of
HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)
DIGITS_AND_DOTS = re.compile("[0-9.]+")
PORT_TEXT = re.compile("[1-9][0-9]{0,4}")
NODE_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # goes into file names and addresses


def as_folder(value: object) -> object:
    """A text as a path, `~` as the home folder; anything else as it is, for pydantic to refuse."""
    return _as_path(value, "a folder")


def as_file(value: object) -> object:
    """The same for a file."""
    return _as_path(value, "a file")


def _as_path(value: object, wish: str) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError(f"write {wish}")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home folder; write a whole path") from None


def host_name() -> str:
    """The name of this machine, as far as it can name a node."""
    kept = re.sub("[^A-Za-z0-9._-]", "-", platform.node())[:64].lstrip("._-")
    return kept or "node"


def as_address(text: str) -> str:
    """HOST:PORT, with an IPv6 address in brackets; ValueError for what is none."""
    host, _, port = text.rpartition(":")
    if not (host and PORT_TEXT.fullmatch(port) and int(port) <= PORT_MAX):
        raise ValueError(f"{shown(text)} is no address; write HOST:PORT such as 10.0.0.1:8770")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if bracketed is not (":" in bare):
        raise ValueError(f"{shown(text)} is no address; write an IPv6 address in brackets, such as [::1]:8770")
    as_host(bare)
    return text


def as_host(text: str) -> str:
    """A host name or an IP address; ValueError for what is none."""
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is no IPv6 address; write one such as ::1") from None
    elif DIGITS_AND_DOTS.fullmatch(text):
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is no IPv4 address; write one such as 127.0.0.1") from None
    elif not HOST_NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} is no host; write a host name or an IP address")
    return text


def each_once(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses of which none is there twice; ValueError otherwise."""
    twice = next((it for it in addresses if addresses.count(it) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is there twice; write each address once")
    return addresses


Folder = Annotated[Path, BeforeValidator(as_folder)]
File = Annotated[Path, BeforeValidator(as_file)]
FILE_OR_NULL: JsonDict = {"allowed": "a file or null"}
Host = Annotated[str, AfterValidator(as_host), Field(json_schema_extra={"allowed": "a host name or an IP address"})]
Address = Annotated[
    str, AfterValidator(as_address), Field(json_schema_extra={"allowed": "HOST:PORT such as 10.0.0.1:8770"})
]


class Section(BaseModel):
    """A part of the settings: nothing unknown, nothing changed, no text where a number belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class NodeSettings(Section):
    """This machine."""

    node_id: str = Field(
        default_factory=host_name,
        pattern=f"^{NODE_NAME}$",
        description="name of this node; the host name where nothing is said",
        json_schema_extra={"allowed": "up to 64 letters, digits, `.`, `_`, `-`"},
    )
    data_dir: Folder = Field(default=Path(), description="folder with `models/`, `data/` and `logs/`")
    cores: int | None = Field(default=None, ge=1, le=4096, description="cores that jobs may use; null: all")
    disk_floor_gb: float = Field(default=2, ge=0, le=1e6, description="free disk below which no job is started")
    disable_local_tasks: bool = Field(default=False, description="decide and watch, but start no jobs here")
    coordinator: bool = Field(default=False, description="never compute, and be preferred as a voter")
    metrics_port: int = Field(default=9090, ge=0, le=65_535, description="port of the metrics and `/health`; 0: none")
    health_port: int = Field(default=8780, ge=0, le=65_535, description="second port of `/health`; 0: none")
    admin_token_file: File | None = Field(
        default=None,
        description="holds the token of the people who may change something; null: `RINGRIFT_ADMIN_TOKEN`, or none",
        json_schema_extra=FILE_OR_NULL,
    )
    cluster_token_file: File | None = Field(
        default=None,
        description="holds the token that admits a node; null: `RINGRIFT_CLUSTER_AUTH_TOKEN`, or none",
        json_schema_extra=FILE_OR_NULL,
    )
    tls_cert: File | None = Field(
        default=None,
        description="PEM certificates that this node shows, its own first; null: plain HTTP",
        json_schema_extra=FILE_OR_NULL,
    )
    tls_key: File | None = Field(
        default=None, description="PEM key of `tls_cert`, not encrypted", json_schema_extra=FILE_OR_NULL
    )

    host: Host = Field(default="127.0.0.1", description="address that the node listens at; 0.0.0.0: at every one")
    port: int = Field(
        default=8770,
        ge=0,
        le=PORT_MAX,
        description="port that the node listens at; the one after it is its consensus'; 0: none (`ringrift-p2p`: any)",
    )
    peers: Annotated[tuple[Address, ...], AfterValidator(each_once)] = Field(
        default=(),
        max_length=PEERS_MAX,
        description="nodes of the cluster that this one asks first; none: a cluster of one",
        json_schema_extra={"allowed": f"a list of up to {PEERS_MAX} addresses such as [10.0.0.1:8770, gpu-2:8770]"},
    )
    advertise: Address | None = Field(
        default=None, description="address that others are told; null: where the node listens"
    )
    bootstrap_expect: int | None = Field(
        default=None,
        ge=1,
        le=PEERS_MAX + 1,
        description="nodes that must agree before a cluster is founded; null: a majority of the peers and this node",
    )
    spot: bool = Field(default=False, description="this machine may be taken away at any time: it never votes")
    swim_enabled: bool = Field(default=True, description="membership by SWIM; false only without peers")
    raft_enabled: bool = Field(default=True, description="consensus by Raft; false only without peers")

    @property
    def computes(self) -> bool:
        """Whether jobs are started on this machine."""
        return not (self.disable_local_tasks or self.coordinator)

    @model_validator(mode="after")
    def _tls_fits(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together; write both or neither")
        return self

    @model_validator(mode="after")
    def _peers_are_met(self) -> Self:
        for name in ("swim_enabled", "raft_enabled"):
            if self.peers and not getattr(self, name):
                raise ValueError(f"{name} is false, and there are peers; write true, or leave out the peers")
        return self


class SelfplaySettings(Section):
    """Games of the current net against itself."""

    bootstrap: Literal["heuristic", "none"] = Field(
        default="heuristic", description="who plays before there is a net; none: a net with random weights"
    )
    bootstrap_games: int = Field(
        default=8000, ge=0, le=10_000_000, description="games per configuration before the first net"
    )
    bootstrap_sims: int = Field(default=16, ge=0, le=100_000, description="simulations per decision in those games")
    sims: int = Field(default=16, ge=0, le=100_000, description="simulations per decision of a full search")
    cheap_sims: int | None = Field(
        default=None, ge=0, le=100_000, description="simulations of a cheap search; null: a quarter of `sims`"
    )
    full_share: float | None = Field(
        default=None, gt=0, le=1, description="share of full searches; null: 1 below 32 simulations, else 0.3"
    )
    opening_max: int = Field(default=6, ge=0, le=1000, description="random decisions at most at the start of a game")
    drawn_decisions: int = Field(
        default=20, ge=0, le=100_000, description="decisions drawn by visits before the best is taken"
    )
    minutes_per_job: float = Field(default=10, gt=0, le=1440, description="length of a job")
    previous_share: float = Field(default=0, ge=0, le=1, description="share of games against the previous champion")
    heuristic_share: float = Field(default=0, ge=0, le=1, description="share of games against the heuristic")
    minimum_share_of_cores: float = Field(
        default=0.5, ge=0, le=1, description="share of the cores that selfplay keeps while training and gauntlets wait"
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.previous_share + self.heuristic_share > 1:
            raise ValueError("previous_share and heuristic_share sum to more than 1; write less for one of them")
        return self


class TrainingSettings(Section):
    """When a candidate is trained, and how."""

    trigger_threshold_games: int = Field(
        default=1500, ge=1, le=100_000_000, description="new games before the next run"
    )
    min_interval_seconds: float = Field(
        default=0, ge=0, le=30 * DAY_S, description="least time between the starts of two runs"
    )
    max_concurrent_jobs: int = Field(default=1, ge=1, le=1024, description="runs at the same time")
    size: Literal["nano", "micro", "small", "base", "large"] = Field(default="nano", description="size of a first net")
    bootstrap_steps: int = Field(
        default=2500, ge=0, le=10_000_000, description="steps of a first run; 0: as rows allow"
    )
    steps: int = Field(default=1500, ge=0, le=10_000_000, description="steps of a later run; 0: as rows allow")
    batch_size: int = Field(default=256, ge=2, le=1 << 16, description="samples per step")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="highest rate of a run")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="decay of the weights")
    ema_decay: float = Field(
        default=0.999, ge=0, lt=1, description="per step, of the average of weights that is published"
    )
    ownership_weight: float = Field(default=0.3, ge=0, le=100, description="weight of the ownership loss")
    score_weight: float = Field(default=0.3, ge=0, le=100, description="weight of the score loss")
    root_share: float = Field(
        default=0.2, ge=0, le=1, description="share of the search's root value in the value target"
    )
    passes: float = Field(default=4, gt=0, le=1000, description="samples drawn at most per row ever made")
    max_age_hours: float = Field(default=48, ge=0, le=1e6, description="age of the newest shard at most; 0: any")
    save_every: int = Field(default=200, ge=1, le=10_000_000, description="steps between saved states")
    precision: Literal["auto", "fp32", "bf16"] = Field(default="bf16", description="auto: bf16 on CUDA, fp32 elsewhere")
    threads: int | None = Field(
        default=None, ge=1, le=256, description="threads of a run; null: the cores that it is granted"
    )


class EvaluationSettings(Section):
    """Gauntlets and shadow tournaments; all agents play with 64 simulations, as the gate says."""

    games: int = Field(default=50, ge=1, le=1_000_000, description="games at least per opponent before a decision")
    games_max: int | None = Field(
        default=None, ge=1, le=1_000_000, description="games at most per opponent; null: the cap of the gate"
    )
    anchors_max: int = Field(
        default=2, ge=0, le=16, description="former champions that a candidate meets beside the last one"
    )
    shadow_interval_seconds: float = Field(
        default=300, ge=1, le=30 * DAY_S, description="between two shadow tournaments"
    )
    shadow_games_per_config: int = Field(
        default=15, ge=1, le=100_000, description="games of each in a shadow tournament"
    )
    split_max: int = Field(
        default=8, ge=0, le=8, description="chunks of a gauntlet that other nodes play ahead; 0: none"
    )
    proving_games: int = Field(
        default=64, ge=0, le=100_000, description="shadow games of a new champion right after its installation"
    )

    @model_validator(mode="after")
    def _games_fit(self) -> Self:
        if self.games_max is not None and self.games_max < self.games:
            raise ValueError(
                f"games_max is {self.games_max}, games is {self.games}; write at least {self.games} for games_max, "
                "or less for games"
            )
        return self


Rate = Annotated[float, Field(gt=0, lt=1)]


class PromotionSettings(Section):
    """What becomes of a candidate that has passed; rates are those of games with two players."""

    auto_promote: bool = Field(default=True, description="promote what passes; false: wait for a person")
    skip_gauntlet: bool = Field(default=False, description="promote every candidate without a gauntlet")
    random_win_rate: Rate = Field(default=0.85, description="share of games to be proven against random")
    heuristic_win_rate: Rate = Field(default=0.60, description="the same against the heuristic")
    vs_previous_win_rate: Rate = Field(default=0.50, description="the same against the champion")
    max_promotions_per_day: int | None = Field(
        default=None, ge=1, le=10_000, description="promotions of a configuration in 24 hours; null: any number"
    )
    distribution_timeout_seconds: float = Field(
        default=300, ge=1, le=DAY_S, description="how long a promotion waits for its net to be distributed"
    )
    sync_staging: bool = Field(default=False, description="copy each new champion to `staging_dir`")
    staging_dir: Folder | None = Field(default=None, description="where to; null: `staging` in the data folder")


class RollbackSettings(Section):
    """When a champion is taken back."""

    enabled: bool = Field(default=True, description="false: only a person takes one back")
    settling_seconds: float = Field(default=120, ge=0, le=DAY_S, description="after an installation nothing is decided")
    elo_drop_threshold: float = Field(default=50, ge=0, le=1000, description="Elo points that may be lost")
    elo_drop_window_hours: float = Field(default=24, ge=1, le=720, description="time over which a loss is measured")
    win_rate_drop_threshold: Rate = Field(default=0.10, description="share of first places that may be lost")
    error_rate_threshold: Rate = Field(default=0.05, description="share of games that may end in an error")
    min_games_for_evaluation: int = Field(
        default=50, ge=1, le=1_000_000, description="games before anything is decided"
    )


class CurriculumSettings(Section):
    """Weights of the configurations by how well they learn."""

    adaptive: bool = Field(default=True, description="false: every weight is 1")
    weight_max: float = Field(default=1.5, ge=1, le=100, description="largest weight")
    weight_min: float = Field(default=0.7, gt=0, le=1, description="smallest weight")
    ema_alpha: float = Field(default=0.3, gt=0, le=1, description="share of the new value when a weight moves")
    rebalance_seconds: float = Field(
        default=3600, ge=1, le=30 * DAY_S, description="between two changes of the weights"
    )


class ScoreWeights(Section):
    """Parts of a configuration's score; only their proportions count."""

    staleness: float = Field(default=0.30, ge=0, le=1000, description="of the time since its last games")
    elo_velocity: float = Field(default=0.20, ge=0, le=1000, description="of its Elo gain per hour")
    curriculum: float = Field(default=0.20, ge=0, le=1000, description="of its curriculum weight")
    quality: float = Field(default=0.15, ge=0, le=1000, description="of the quality of its data")
    data_deficit: float = Field(default=0.15, ge=0, le=1000, description="of the games that it lacks beside the others")

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not self.total:
            raise ValueError("every weight is 0; write a number above 0 for one of them")
        return self

    @property
    def total(self) -> float:
        """Their sum, above 0."""
        return self.staleness + self.elo_velocity + self.curriculum + self.quality + self.data_deficit

    @property
    def normalised(self) -> "ScoreWeights":
        """The same proportions with the sum 1."""
        return ScoreWeights(**{name: value / self.total for name, value in self})


class SchedulerSettings(Section):
    """Which configuration plays next."""

    weights: ScoreWeights = Field(default=ScoreWeights(), description="parts of a configuration's score")
    minimum_share: float = Field(
        default=0.1, ge=0, le=1, description="share of selfplay that each configuration has; at most an equal one"
    )

    def floor(self, games: int) -> float:
        """The least share of one of `games` configurations."""
        return min(self.minimum_share, 1 / games)


class MemoryLimits(Section):
    """Memory at which a job is stopped, by its kind."""

    selfplay: float = Field(default=4, gt=0, le=10_000, description="of a selfplay job")
    training: float = Field(default=8, gt=0, le=10_000, description="of a training run")
    gauntlet: float = Field(default=4, gt=0, le=10_000, description="of a gauntlet")
    part: float = Field(default=4, gt=0, le=10_000, description="of a part of a gauntlet that another node judges")
    canary: float = Field(default=4, gt=0, le=10_000, description="of a shadow tournament")


class JobSettings(Section):
    """Child processes and their leases."""

    attempts_max: int = Field(default=3, ge=1, le=100, description="failures of a job before it is given up")
    backoff_seconds: float = Field(
        default=5, ge=0, le=3600, description="before a failed job is tried again; doubles each time"
    )
    lease_seconds: float = Field(
        default=30, ge=1, le=3600, description="time after which a node that is silent is lost"
    )
    hang_seconds: float = Field(
        default=300, ge=1, le=DAY_S, description="time without a report after which a job is stopped"
    )
    stop_seconds: float = Field(
        default=15, ge=0, le=3600, description="time that a job has to stop before it is killed"
    )
    memory_gb_max: MemoryLimits = Field(default=MemoryLimits(), description="memory at which a job is stopped")
    gpu_slots_per_device: int = Field(default=1, ge=1, le=64, description="jobs that share a GPU")


class SafetySettings(Section):
    """When the loop refuses to go on."""

    min_memory_gb: float = Field(
        default=0, ge=0, le=1e6, description="memory of the machine below which the loop does not start"
    )
    max_consecutive_failures: int = Field(
        default=3,
        ge=1,
        le=10_000,
        description="jobs of a kind and a configuration that fail in a row before none is queued for an hour",
    )


class ExchangeSettings(Section):
    """How files travel between nodes."""

    interval_seconds: float = Field(
        default=5, ge=0.2, le=3600, description="between two looks at what the other nodes hold"
    )
    shards_gb: float = Field(
        default=20, ge=0, le=1e6, description="shards of other nodes that are kept here; the oldest make room"
    )
    bandwidth_mbit: float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="for shards that come here, at least 8; 0: no limit. Nets and what a job waits for have none",
    )


class LogSettings(Section):
    """The durable log of the state."""

    snapshot_records: int = Field(
        default=10_000, ge=1, le=10_000_000, description="records before a snapshot replaces them"
    )
    snapshot_bytes: int = Field(
        default=1 << 24, ge=1 << 12, le=1 << 32, description="bytes before a snapshot replaces them"
    )


class MonitoringSettings(Section):
    """What people see."""

    refresh_seconds: float = Field(default=1, ge=0.1, le=3600, description="between two pictures of `--watch`")
    debug: bool = Field(default=False, description="write down what is only of use for finding faults")
