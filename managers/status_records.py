"""What people and scripts read of a node: `/status`, `--status --json` (docs/formats/status.md).

Times are unix seconds, `in_s` and `uptime_s` seconds; lists are bounded, texts are cut.
"""

from typing import Literal

from managers.event_journal import EventRow
from managers.health import Health
from managers.line import Line
from managers.outcomes import Outcome
from managers.promotion_desk import Ticket
from managers.promotion_result import PromotionResult
from managers.state.members import Halt
from managers.state.record import Record

FORM = "ringrift.status/2"
STATUS_BYTES_MAX = 256 << 10
CANDIDATES_MAX = 5  # of a configuration, the latest
JOBS_MAX = 100
DAEMONS_MAX = 64
WAITS_MAX = 100
FINDINGS_MAX = 50
OUTCOMES_MAX = 30
EVENTS_MAX = 30
REQUESTS_MAX = 10  # to promote, the latest
PEERS_MAX = 50  # unless all of them are asked for
GPUS_MAX = 16


class WinRate(Record):
    """What a net won against an opponent in its gauntlet; bounds at 95 %."""

    opponent: str
    sha256: str
    games: int
    wins: int
    share: float
    low: float
    high: float
    outcome: str


class ChampionStatus(Record):
    """What is published and played against."""

    sha256: str
    version: int
    kind: str  # how it became champion: gate, manual, rollback
    since: float
    reason: Line
    elo: float | None  # the latest estimate
    elo_margin: float | None  # 95 %
    elo_at_start: float | None  # the estimate when its reign began
    win_rates: tuple[WinRate, ...]  # of the gauntlet it was promoted by, where that is remembered
    previous: str | None  # what a rollback would install


class CandidateStatus(Record):
    """A net and what became of it."""

    sha256: str
    version: int
    status: str
    at: float
    elo: float | None
    reason: Line


class Milestone(Record):
    """Something that is expected next."""

    what: Literal["training", "candidate", "verdict"]  # begins; is there; is there
    in_s: float | None  # None: unknown yet
    text: Line


class WaitStatus(Record):
    """What is not done now, and why."""

    game: str
    what: str
    why: Line


class GameStatus(Record):
    """One configuration."""

    game: str
    phase: Literal["bootstrap", "learning"]
    champion: ChampionStatus | None
    champions: int  # that there have been, those that were taken back included
    current: str | None  # the net that plays selfplay
    selfplay_with: str  # the same, or who plays before there is one
    candidates: tuple[CandidateStatus, ...]  # the latest first
    nets: int
    games: int
    rows: int
    evaluations: int
    new_games: int  # since the last training was queued
    games_wanted: int  # before the next one
    games_per_h: float | None
    freshness_h: float | None  # age of the newest games
    rows_per_new_row: float
    elo_per_h: float
    urgency: str
    stuck: int  # candidates in a row that did not pass
    regression: bool
    losses: dict[str, float]  # of the latest training, on games that are never trained on
    training: Line  # why training begins now, or does not
    selfplay_share: float | None  # that it should have
    share_parts: dict[str, float]  # why
    held: Line  # why automatic rollbacks stand still
    blocked: int
    milestones: tuple[Milestone, ...]
    tally: dict[str, int]  # what ever happened (managers/state/tally.py)


class JobStatusRow(Record):
    """A job that has not ended."""

    id: str
    kind: str
    game: str
    status: str
    node: str | None
    queued_at: float
    started_at: float | None
    attempts: int
    progress: Line
    reason: Line
    cpu_s: float | None
    rss_bytes: int | None
    silent_s: float | None = None  # since its last sign of work, as its node last said


class DaemonRow(Record):
    """A supervised part of the node."""

    state: str
    critical: bool
    stalled: bool
    restarts: int
    last_error: Line


class LoopRow(Record):
    """A periodic loop under the documents' name, and the daemon that does it."""

    daemon: str
    interval_s: float
    last_run_at: float | None
    state: str


class WorkQueue(Record):
    """Jobs that have not ended, counted."""

    queued: int
    assigned: int  # to a node that has not begun
    running: int
    by_kind: dict[str, int]


class PromotionGame(Record):
    """What a configuration waits for."""

    waiting: str | None  # a net that has passed, else one whose gauntlet is not over
    thresholds: dict[str, float]  # share of first places that must be exceeded, by opponent


class PromotionStatus(Record):
    """Verdicts and wishes."""

    last_evaluation: PromotionResult | None
    requests: tuple[Ticket, ...]  # the latest first
    games: dict[str, PromotionGame]


class Distribution(Record):
    """Where a champion's net is."""

    nodes: tuple[str, ...]  # whose canonical file has its digest
    missing: tuple[str, ...]


class EloStatus(Record):
    """Latest Elo, with the gate's search."""

    champion: float | None
    best: float | None  # of all nets of the configuration


class ChampionRow(Record):
    """A champion in short."""

    sha256: str
    version: int
    elo: float | None
    since: float


class Versions(Record):
    """What a node runs."""

    ringrift: str
    protocol: int  # of what nodes say to each other; 0: nothing
    rules: str  # digest of what the rules do
    python: str


class NodeResources(Record):
    """The machine of a node, in short."""

    cpu_percent: float
    memory_free_bytes: int
    memory_bytes: int
    disk_free_bytes: int
    disk_bytes: int
    gpus: int  # that work
    unfit: Line = ""  # why no job is started there


class NodeRow(Record):
    """A member of the cluster."""

    node_id: str
    self: bool  # the node that says so
    session: int
    cores: int  # for jobs
    gpus: int
    memory_bytes: int
    alive: bool
    draining: bool
    joined_at: float
    public_key: str  # Ed25519, base64url; "": not told
    versions: Versions | None  # None: not told
    voter: bool = False  # agrees on the state with others
    spot: bool = False  # may be taken away at any time
    addresses: tuple[Line, ...] = ()  # where others call it, the best first
    unfit: Line = ""  # why it gets no jobs; "" where nothing is known to speak against it
    resources: NodeResources | None = None  # this and the next: as the leader last heard; None elsewhere
    heard_ago_s: float | None = None
    round_trip_s: float | None = None  # of a heartbeat
    clock_ahead_s: float | None = None  # of the leader's
    games_per_h: float | None = None  # new ones that count; None: not measured yet, as the next
    speed: float | None = None  # at its jobs, compared with the fastest node at each: 1 is as fast


class MissingShards(Record):
    """Shards that no living node holds, as far as this node has seen what the others held."""

    game: str
    nodes: tuple[str, ...]  # silent ones that held them last
    shards: int
    games: int
    rows: int


class FindingRow(Record):
    """Something about a canonical file that a person should know."""

    game: str
    what: str
    text: Line


class GpuRow(Record):
    """A GPU of this machine; what its driver does not tell is None."""

    index: int
    name: Line
    uuid: Line
    memory_bytes: int | None
    memory_free_bytes: int | None
    busy_percent: float | None
    trouble: Line  # why it cannot be used


class SelfStatus(Record):
    """The node's machine, and where the node is reached."""

    cores: int  # for jobs
    addresses: tuple[Line, ...]  # where it listens
    disk_free_bytes: int | None  # this and the following are None until the first look
    disk_bytes: int | None
    memory_free_bytes: int | None
    memory_bytes: int | None
    cpu_percent: float | None
    unfit: Line = ""  # why no job is started here
    gpus: tuple[GpuRow, ...] = ()  # that this node may use
    gpus_total: int = 0
    gpu_trouble: Line = ""  # why nothing, or nothing new, is known of them


class Status(Record):
    """Everything."""

    form: str = FORM
    running: bool  # False: read from the folder, no node works there
    node_id: str
    role: str  # leader or follower; none: it does not run
    leader_id: str | None
    term: int | None  # of the election that the leader took office by; None in a cluster of one
    epoch: int  # seq at which the leader took office
    cluster_id: str | None  # None: not founded yet
    voters: tuple[str, ...]  # who agrees on the state; none in a cluster of one
    alive_peers: tuple[str, ...]  # other nodes that are alive
    alive_hosts: tuple[str, ...]  # where those are reached
    alive_peer_count: int
    peers: tuple[NodeRow, ...]  # the other nodes
    self: SelfStatus
    versions: Versions
    session: int
    pid: int | None
    data_dir: str
    at: float
    uptime_s: float
    seq: int
    health: Health
    halt: Halt | None
    clock_apart_s: float  # how much the machine's clock is ahead of the node's
    games: tuple[GameStatus, ...]
    champions: dict[str, ChampionRow]  # by configuration, as are the next two
    current_net: dict[str, str]
    elo: dict[str, EloStatus]
    jobs: tuple[JobStatusRow, ...]
    jobs_total: int
    work_queue: WorkQueue
    promotion_status: PromotionStatus
    model_distribution: dict[str, Distribution]  # by digest of a champion
    daemons: dict[str, DaemonRow]
    loops: dict[str, LoopRow]
    waits: tuple[WaitStatus, ...]
    findings: tuple[FindingRow, ...]
    missing: tuple[MissingShards, ...] = ()
    recent: tuple[Outcome, ...]  # what happened lately, for people; the latest last
    recent_events: tuple[EventRow, ...]  # the same for programs, and more
    notes: tuple[Line, ...] = ()  # what was found at the start, such as a port that was taken


def encode_status(status: Status) -> bytes:
    """As JSON of at most STATUS_BYTES_MAX; where texts are too large for that, lists are cut to their first part."""
    content = status.model_dump_json().encode()
    share = 2
    while len(content) > STATUS_BYTES_MAX and share <= JOBS_MAX * 2:
        names = ("jobs", "waits", "findings", "missing", "recent", "recent_events", "peers", "notes")
        cut: dict[str, object] = {name: getattr(status, name)[: len(getattr(status, name)) // share] for name in names}
        wishes = status.promotion_status
        few = wishes.model_copy(update={"requests": wishes.requests[: REQUESTS_MAX // share]})
        content = status.model_copy(update={**cut, "promotion_status": few}).model_dump_json().encode()
        share *= 2
    return content
