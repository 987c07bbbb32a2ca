"""`status_of(sight)`: how the loop stands, as records; pure.

Some milliseconds of computing per configuration, so not for the event loop's thread.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from config.schema import Settings
from managers.decision import Wait
from managers.health import Health
from managers.job_progress import progress_text
from managers.milestones import Outlook, milestones_of
from managers.model_installer import Finding
from managers.outcomes import Outcome
from managers.ports import Report, Usage
from managers.resource_watch import Resources
from managers.runtime.service import ServiceStatus
from managers.selfplay_scheduler import SelfplayScheduler
from managers.signal_computer import UnifiedSignalComputer
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.learners import Learner, Reign
from managers.state.tally import champions_of
from managers.state.tasks import GauntletOutcome, TrainingOutcome
from managers.status_records import (
    CANDIDATES_MAX,
    FINDINGS_MAX,
    GPUS_MAX,
    JOBS_MAX,
    OUTCOMES_MAX,
    SERVICES_MAX,
    WAITS_MAX,
    CandidateStatus,
    ChampionStatus,
    FindingRow,
    GameStatus,
    GpuRow,
    JobStatusRow,
    ResourceStatus,
    ServiceRow,
    Status,
    WaitStatus,
    WinRate,
)

WELL = Health(status="ok")


@dataclass(frozen=True, slots=True)
class Work:
    """A job that runs here."""

    report: Report  # what it last reported
    usage: Usage | None


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
    notes: tuple[str, ...] = ()


def status_of(sight: Sight) -> Status:
    """How the loop stands."""
    state, games = sight.state, _Games(sight)
    return Status(
        running=sight.running,
        node=sight.settings.node.node_id,
        session=sight.session,
        pid=sight.pid,
        data_dir=str(sight.settings.node.data_dir.absolute()),
        at=sight.now,
        uptime_s=sight.uptime_s,
        seq=state.seq,
        health=sight.health,
        halt=state.halt,
        clock_apart_s=sight.clock_apart_s,
        games=tuple(games.game(game) for game in sight.games),
        jobs=tuple(_job(job, sight.work.get(job.id)) for job in _first_those_that_run(state)[:JOBS_MAX]),
        jobs_total=len(state.jobs.active),
        services=tuple(_service(it) for it in sight.services[:SERVICES_MAX]),
        waits=tuple(WaitStatus(game=it.game, what=it.what, why=it.why) for it in sight.waits[:WAITS_MAX]),
        findings=tuple(FindingRow(game=it.game, what=it.what, text=it.text) for it in sight.findings[:FINDINGS_MAX]),
        resources=_resources(sight.resources),
        recent=sight.recent[-OUTCOMES_MAX:],
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


def _job(job: Job, work: Work | None) -> JobStatusRow:
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
        progress="" if work is None else progress_text(job.kind, work.report),
        reason=job.reason,
        cpu_s=None if usage is None else usage.cpu_s,
        rss_bytes=None if usage is None else usage.rss_bytes,
    )


def _service(service: ServiceStatus) -> ServiceRow:
    return ServiceRow(
        name=service.name,
        state=service.state.value,
        critical=service.critical,
        stalled=service.stalled,
        restarts=service.restarts,
        last_error=service.last_error or "",
    )


def _resources(found: Resources | None) -> ResourceStatus | None:
    if found is None:
        return None
    return ResourceStatus(
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
