"""`status_of(sight)`: how the loop stands, as records; pure.

Some milliseconds of computing per configuration, so not for the event loop's thread.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from config.schema import Settings
from managers.cluster_rows import champion_rows, distributions, elo_of, node_rows, promotion_status
from managers.decision import Wait
from managers.event_journal import Entry
from managers.health import Health
from managers.job_progress import JobWord
from managers.milestones import Outlook, milestones_of
from managers.model_installer import Finding
from managers.outcomes import Outcome
from managers.pipeline import LOOK_S, Pipeline
from managers.ports import Report, Usage
from managers.promotion_desk import Ticket
from managers.resource_watch import Resources
from managers.runtime.service import ServiceStatus
from managers.selfplay_scheduler import SelfplayScheduler
from managers.sightings import NOTHING, Seen
from managers.signal_computer import UnifiedSignalComputer
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner, Reign
from managers.state.members import LEADER, Role
from managers.state.tally import champions_of
from managers.state.tasks import GauntletOutcome, TrainingOutcome
from managers.status_records import (
    CANDIDATES_MAX,
    DAEMONS_MAX,
    EVENTS_MAX,
    FINDINGS_MAX,
    GPUS_MAX,
    JOBS_MAX,
    OUTCOMES_MAX,
    PEERS_MAX,
    REQUESTS_MAX,
    WAITS_MAX,
    CandidateStatus,
    ChampionStatus,
    DaemonRow,
    FindingRow,
    GameStatus,
    GpuRow,
    JobStatusRow,
    LoopRow,
    MissingShards,
    SelfStatus,
    Status,
    Versions,
    WaitStatus,
    WinRate,
    WorkQueue,
)
from managers.versions import PRESENT

WELL = Health(status="ok")
LOOPS = {  # of the documents: the daemon that does it here; EloSyncLoop and AutoScalingLoop have nothing to do
    "JobReaperLoop": "JOB_REAPER",
    "QueuePopulatorLoop": "QUEUE_POPULATOR",
    "IdleDetectionLoop": "DISPATCHER",
    "ValidationLoop": "FEEDBACK_LOOP",
}


@dataclass(frozen=True, slots=True)
class Work:
    """A job that runs, here or elsewhere."""

    report: Report = field(default_factory=dict)  # what it last reported; {} of one on another node
    usage: Usage | None = None
    word: JobWord = field(default_factory=JobWord)


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a status is made of, at one moment; nothing in it changes any more."""

    state: ClusterState
    settings: Settings
    now: float
    games: tuple[str, ...]  # configurations to tell of
    session: int = 0
    running: bool = False
    pid: int | None = None
    uptime_s: float = 0.0
    health: Health = WELL
    clock_apart_s: float = 0.0
    services: tuple[ServiceStatus, ...] = ()
    waits: tuple[Wait, ...] = ()
    findings: tuple[Finding, ...] = ()
    resources: Resources | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
    games_per_h: Mapping[str, float | None] = field(default_factory=dict)
    recent: tuple[Outcome, ...] = ()
    events: tuple[Entry, ...] = ()
    requests: tuple[Ticket, ...] = ()  # to promote, the oldest first
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the same on other nodes, by node
    installed: Mapping[str, str] = field(default_factory=dict)  # digests of canonical files here, by configuration
    silent: Mapping[str, str] = field(default_factory=dict)  # other nodes that are not heard
    seen: Seen = NOTHING  # what the leader hears of them
    voters: tuple[str, ...] = ()  # that agree on the state now
    addresses: tuple[str, ...] = ()
    versions: Versions = PRESENT
    notes: tuple[str, ...] = ()
    missing: tuple[MissingShards, ...] = ()


def work_of(pipeline: Pipeline) -> Mapping[str, Work]:
    """The jobs that run, as far as this node knows."""
    usage, running = pipeline.jobs.usage(), pipeline.jobs.running
    return {
        name: Work(dict(running[name].progress), usage.get(name), word) if name in running else Work(word=word)
        for name, word in pipeline.view.words(pipeline.consensus.state).items()
    }


def status_of(sight: Sight) -> Status:
    """How the loop stands."""
    state, node = sight.state, sight.settings.node.node_id
    games = _Games(sight)
    rows = tuple(games.game(game) for game in sight.games)
    others = tuple(it for it in node_rows(state, node, sight.silent, sight.versions, sight.seen) if not it.self)
    alive = tuple(it.node_id for it in others if it.alive)
    leader = state.roles.get(LEADER)
    return Status(
        running=sight.running,
        node_id=node,
        role=_role(sight, leader),
        leader_id=None if leader is None or not sight.running else leader.node,
        term=leader.term if leader is not None and state.voters else None,
        epoch=0 if leader is None else leader.seq,
        cluster_id=state.cluster_id or None,
        voters=sight.voters,
        alive_peers=alive,
        alive_hosts=alive,
        alive_peer_count=len(alive),
        peers=others[:PEERS_MAX],
        self=_own(sight),
        versions=sight.versions,
        session=sight.session,
        pid=sight.pid,
        data_dir=str(sight.settings.node.data_dir.absolute()),
        at=sight.now,
        uptime_s=sight.uptime_s,
        seq=state.seq,
        health=sight.health,
        halt=state.halt,
        clock_apart_s=sight.clock_apart_s,
        games=rows,
        champions=champion_rows(rows),
        current_net={row.game: row.current for row in rows if row.current is not None},
        elo={game: elo_of(state.learner(game)) for game in sight.games},
        jobs=tuple(job_row(job, sight.work.get(job.id)) for job in _first_those_that_run(state)[:JOBS_MAX]),
        jobs_total=len(state.jobs.active),
        work_queue=_queue(state),
        promotion_status=promotion_status(state, sight.settings, sight.games, sight.requests[-REQUESTS_MAX:]),
        model_distribution=distributions(state, {**sight.elsewhere, node: sight.installed}),
        daemons={it.name: daemon_row(it) for it in sight.services[:DAEMONS_MAX]},
        loops=dict(_loops(sight)),
        waits=tuple(WaitStatus(game=it.game, what=it.what, why=it.why) for it in sight.waits[:WAITS_MAX]),
        findings=tuple(FindingRow(game=it.game, what=it.what, text=it.text) for it in sight.findings[:FINDINGS_MAX]),
        missing=sight.missing,
        recent=sight.recent[-OUTCOMES_MAX:],
        recent_events=tuple(entry.row for entry in sight.events[-EVENTS_MAX:]),
        notes=sight.notes,
    )


class _Games:
    """The configurations of one sight."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._signals = UnifiedSignalComputer(sight.settings)
        self._scheduler = SelfplayScheduler(sight.settings)
        self._reports = {name: it.report for name, it in sight.work.items()}
        self._shares = self._scheduler.shares(sight.state, sight.now)
        self._ended: dict[str, dict[str, Job]] = {game: {} for game in sight.games}
        for name, job in sight.state.jobs.finished.items():
            if job.kind != "selfplay" and job.game in self._ended:
                self._ended[job.game][name] = job

    def game(self, game: str) -> GameStatus:
        """One of them."""
        sight, state = self._sight, self._slim(game)
        learner = state.learner(game)
        signals = self._signals.compute_signals(state, game, sight.now)
        per_h, total = sight.games_per_h.get(game), learner.total
        outlook = Outlook(state, sight.now, self._reports)
        missing = signals.games_wanted - signals.new_games
        known = game in sight.settings.games
        return GameStatus(
            game=game,
            phase="learning" if learner.nets else "bootstrap",
            champion=_champion(state, learner),
            current=learner.current,
            selfplay_with=self._scheduler.model_of(state, game),
            candidates=_candidates(learner),
            nets=len(learner.nets),
            champions=champions_of(learner),
            games=total.games,
            rows=total.rows,
            evaluations=total.evaluations,
            new_games=signals.new_games,
            games_wanted=signals.games_wanted,
            games_per_h=per_h,
            freshness_h=signals.freshness_h,
            rows_per_new_row=signals.rows_per_new_row,
            elo_per_h=signals.elo_per_h,
            urgency=signals.urgency.value,
            stuck=signals.stuck,
            regression=signals.regression,
            losses=_losses(state, game),
            training=signals.reason,
            selfplay_share=self._shares.get(game),
            share_parts=dict(self._scheduler.parts(sight.state, game, sight.now)) if known else {},
            held=learner.held,
            blocked=len(learner.blocked),
            milestones=milestones_of(outlook, game, missing, per_h, held=not signals.should_train)
            if sight.running
            else (),
            tally=dict(learner.tally),
        )

    def _slim(self, game: str) -> ClusterState:
        """The state with those ended jobs only that tell of a configuration: of 10,000 most are selfplay of others."""
        state = self._sight.state
        return state.model_copy(update={"jobs": state.jobs.model_copy(update={"finished": self._ended[game]})})


def _champion(state: ClusterState, learner: Learner) -> ChampionStatus | None:
    reign = learner.reign
    if reign is None:
        return None
    rating, net = learner.rating(reign.sha256), learner.nets.get(reign.sha256)
    return ChampionStatus(
        sha256=reign.sha256,
        version=0 if net is None else net.version,
        kind=reign.kind,
        since=reign.at,
        reason=reign.reason,
        elo=None if rating is None else rating.elo,
        elo_margin=None if rating is None else rating.margin,
        elo_at_start=reign.elo,
        win_rates=_win_rates(state, learner.game, reign),
        previous=learner.previous,
    )


def _win_rates(state: ClusterState, game: str, reign: Reign) -> tuple[WinRate, ...]:
    """Those of the gauntlet that the champion was promoted by, while the job is remembered."""
    for job in reversed(state.jobs.finished.values()):
        outcome = job.outcome
        if job.game == game and isinstance(outcome, GauntletOutcome) and outcome.result == reign.evidence:
            return tuple(
                WinRate(
                    opponent=row.opponent,
                    sha256=row.sha256,
                    games=row.games,
                    wins=row.wins,
                    share=row.share,
                    low=row.low,
                    high=row.high,
                    outcome=row.outcome,
                )
                for row in outcome.rows
            )
    return ()


def _losses(state: ClusterState, game: str) -> dict[str, float]:
    for job in reversed(state.jobs.finished.values()):
        if job.game == game and isinstance(job.outcome, TrainingOutcome):
            return {name: value for name, value in job.outcome.losses.items() if math.isfinite(value)}
    return {}


def _candidates(learner: Learner) -> tuple[CandidateStatus, ...]:
    latest = list(learner.nets.values())[: -CANDIDATES_MAX - 1 : -1]
    ratings = {net.sha256: learner.rating(net.sha256) for net in latest}
    return tuple(
        CandidateStatus(
            sha256=net.sha256,
            version=net.version,
            status=net.status.value,
            at=net.at,
            elo=None if (rating := ratings[net.sha256]) is None else rating.elo,
            reason=net.reason,
        )
        for net in latest
    )


def _first_those_that_run(state: ClusterState) -> list[Job]:
    return sorted(state.jobs.active.values(), key=lambda job: (job.started_at is None, job.queued_at))


def job_row(job: Job, work: Work | None) -> JobStatusRow:
    """A job in a list."""
    usage = None if work is None else work.usage
    return JobStatusRow(
        id=job.id,
        kind=job.kind,
        game=job.game,
        status=job.status.value,
        node=job.node,
        queued_at=job.queued_at,
        started_at=job.started_at,
        attempts=job.attempts,
        progress="" if work is None else work.word.progress,
        reason=job.reason,
        cpu_s=None if usage is None else usage.cpu_s,
        rss_bytes=None if usage is None else usage.rss_bytes,
        silent_s=None if work is None else work.word.silent_s,
    )


def daemon_row(service: ServiceStatus) -> DaemonRow:
    """A service under `daemons`."""
    return DaemonRow(
        state=service.state.value,
        critical=service.critical,
        stalled=service.stalled,
        restarts=service.restarts,
        last_error=service.last_error or "",
    )


def _role(sight: Sight, leader: Role | None) -> str:
    if not sight.running or leader is None:
        return "none"
    mine = (leader.node, leader.session) == (sight.settings.node.node_id, sight.session)
    return "leader" if mine else "follower"


def _queue(state: ClusterState) -> WorkQueue:
    jobs = state.jobs.active.values()
    found = Counter(job.status for job in jobs)
    return WorkQueue(
        queued=found[JobStatus.QUEUED],
        assigned=found[JobStatus.LEASED],
        running=found[JobStatus.RUNNING],
        by_kind=dict(Counter(job.kind for job in jobs)),
    )


def _loops(sight: Sight) -> Iterator[tuple[str, LoopRow]]:
    """The documents' loops that there are."""
    services = {service.name: service for service in sight.services}
    for name, daemon in LOOPS.items():
        service = services.get(daemon)
        if service is not None:
            age_s = service.progress_age_s
            last = None if age_s is None else sight.now - age_s
            yield name, LoopRow(daemon=daemon, interval_s=LOOK_S, last_run_at=last, state=service.state.value)


def _own(sight: Sight) -> SelfStatus:
    member, found = sight.state.members.get(sight.settings.node.node_id), sight.resources
    cores, addresses = 0 if member is None else member.cores, sight.addresses
    if found is None:
        return SelfStatus(
            cores=cores,
            addresses=addresses,
            disk_free_bytes=None,
            disk_bytes=None,
            memory_free_bytes=None,
            memory_bytes=None,
            cpu_percent=None,
        )
    return SelfStatus(
        cores=cores,
        addresses=addresses,
        disk_free_bytes=found.disk_free_bytes,
        disk_bytes=found.disk_bytes,
        memory_free_bytes=found.memory_free_bytes,
        memory_bytes=found.memory_bytes,
        cpu_percent=found.cpu_percent if math.isfinite(found.cpu_percent) else 0.0,
        unfit=found.unfit,
        gpus=tuple(GpuRow(**asdict(gpu)) for gpu in found.gpus.devices[:GPUS_MAX]),
        gpus_total=len(found.gpus.devices),
        gpu_trouble=found.gpus.trouble,
    )
