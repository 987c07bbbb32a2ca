"""A node that runs no processes: it does what the state has assigned to it, for as long as the seed says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from managers.state.cluster_state import Result
from managers.state.commands import Complete, CountData, Fail, Join, Qualify, Start
from managers.state.jobs import Job, JobStatus
from managers.state.learners import DataCount
from managers.state.tasks import CanaryTask, GauntletTask, Outcome, TrainingOutcome, TrainingTask

if TYPE_CHECKING:
    from tests.sim.loop import Client, Loop

RECONCILE_S = 20.0  # between two looks when nothing is said to have changed
COUNT_S = 30.0  # between two counts of the games
GAMES_PER_MINUTE = 60  # of a core
ROWS_PER_GAME = 30
SECONDS = {"training": (60.0, 180.0), "gauntlet": (40.0, 200.0), "canary": (15.0, 45.0)}
FUTURE_S = 3600.0  # by which the clock that dates files may be ahead


@dataclass(slots=True, eq=False)
class Attempt:
    """One assignment of a job, being worked on."""

    job: Job
    client: "Client"
    began_t: float
    counted_t: float
    stopped: bool = False


@dataclass(slots=True)
class Disk:
    """What a node has of a configuration."""

    games: float = 0.0
    newest_at: float = 0.0


@dataclass(slots=True)
class FakeNode:
    """One node; outlives its crashes with its disk."""

    sim: "Loop"
    name: str
    cores: int
    session: int = 0
    up: bool = False
    joined: bool = False
    cut_until_t: float = 0.0
    running: dict[str, Attempt] = field(default_factory=dict)
    disk: dict[str, Disk] = field(default_factory=dict)
    played_s: dict[str, float] = field(default_factory=dict)  # core-seconds of selfplay, by configuration
    canary_s: dict[str, float] = field(default_factory=dict)  # seconds of shadow tournaments, by configuration
    _due_t: float = 0.0
    _counter: "Client | None" = None

    @property
    def reachable(self) -> bool:
        """Whether it hears and is heard."""
        return self.up and self.sim.t >= self.cut_until_t

    # ---- lives ----

    def begin(self) -> None:
        """A new life."""
        self.session += 1
        self.up, self.joined = True, False
        session = self.session
        self._counter = self._client("COUNTER")
        self._client("JOIN").propose(Join(node=self.name, session=session, cores=self.cores), self._joined)

    def crash(self, down_s: float) -> None:
        """Everything that runs is gone; a new life begins later."""
        if not self.up:
            return
        for attempt in list(self.running.values()):
            self._forget(attempt)
            attempt.client.ended = True
        assert self._counter is not None
        self._counter.ended = True
        self.up = False
        self.sim.after(down_s, self.begin)

    def cut(self, seconds: float) -> None:
        """Nobody hears it, it hears nobody; it works on."""
        self.cut_until_t = max(self.cut_until_t, self.sim.t + seconds)

    def _joined(self, result: Result) -> None:
        assert result.accepted, result.reason
        self.joined = True
        self._look_by(0.1)
        session = self.session
        self.sim.after(1.0, lambda: self._count(session))

    def _client(self, name: str) -> "Client":
        from tests.sim.loop import Client

        session = self.session
        return Client(self.sim, f"{self.name}/{session}/{name}", lambda: self.reachable and self.session == session)

    # ---- jobs ----

    def wake(self) -> None:
        """Something has changed."""
        if self._due_t > self.sim.t + 2.0:
            self._look_by(float(self.sim.rng.uniform(0.05, 2.0)))

    def _look_by(self, delay_s: float) -> None:
        due, session = self.sim.t + delay_s, self.session
        self._due_t = due
        self.sim.after(delay_s, lambda: self._look(session, due))

    def _look(self, session: int, due: float) -> None:
        if session == self.session and self.up and self._due_t == due:
            self._look_by(RECONCILE_S)
            if self.reachable and "JOB_MANAGER" not in self.sim.plan.without:
                self.reconcile()

    def reconcile(self) -> None:
        """Start and stop what the state says."""
        state = self.sim.state
        mine = {job.id: job for job in state.jobs.on(self.name) if job.session == self.session}
        for name, attempt in list(self.running.items()):
            if state.halt is not None or name not in mine or mine[name].fence != attempt.job.fence:
                self._forget(attempt)
        for name, job in mine.items():
            if name not in self.running and state.halt is None:
                self._start(job)

    def _start(self, job: Job) -> None:
        client = self._client(f"jobs/{job.id}/{job.fence}")
        attempt = Attempt(job, client, self.sim.t, self.sim.t)
        self.running[job.id] = attempt
        if job.status is JobStatus.LEASED:
            client.propose(Start(job=job.id, fence=job.fence))
        rng, settings = self.sim.rng, self.sim.settings
        bad = self.sim.faulty and rng.random() < self.sim.plan.faults.failing_share
        if bad and rng.random() < 0.5:
            self._later(attempt, float(rng.uniform(1, 100)), lambda: self._failed(attempt, "it crashed"))
        elif bad:  # it hangs, and is ended for that
            self._later(attempt, settings.jobs.hang_seconds, lambda: self._failed(attempt, "no report"))
        elif job.kind != "selfplay":
            seconds = float(rng.uniform(*SECONDS[job.kind]))
            if isinstance(job.task, GauntletTask) and job.task.champion is not None:
                self._later(attempt, seconds / 3, lambda: self._qualified(attempt))
            self._later(attempt, seconds, lambda: self._done(attempt))

    def _later(self, attempt: Attempt, delay_s: float, what: Callable[[], None]) -> None:
        self.sim.after(delay_s, lambda: None if attempt.stopped else what())

    def _end(self, attempt: Attempt) -> None:
        """It does not run any more; what became of it may still have to be told."""
        if attempt.stopped:
            return
        attempt.stopped = True
        self._play(attempt)
        game, lasted_s = attempt.job.game, self.sim.t - attempt.began_t
        if attempt.job.kind == "selfplay":
            self.played_s[game] = self.played_s.get(game, 0.0) + lasted_s * attempt.job.cores
        if attempt.job.kind == "canary":
            self.canary_s[game] = self.canary_s.get(game, 0.0) + lasted_s

    def _forget(self, attempt: Attempt) -> None:
        self._end(attempt)
        if self.running.get(attempt.job.id) is attempt:
            del self.running[attempt.job.id]

    def _failed(self, attempt: Attempt, reason: str) -> None:
        self._end(attempt)
        wait_s = self.sim.settings.jobs.backoff_seconds * 2**attempt.job.attempts
        self._give_up(attempt, reason, wait_s)

    def _give_up(self, attempt: Attempt, reason: str, wait_s: float | None) -> None:
        body = Fail(job=attempt.job.id, fence=attempt.job.fence, reason=reason, retry_after_s=wait_s)
        attempt.client.propose(body, lambda _: self._forget(attempt))

    def _qualified(self, attempt: Attempt) -> None:
        job = attempt.job
        assert isinstance(job.task, GauntletTask)
        games, wins = self.sim.world.qualifying(job.task)
        attempt.client.propose(Qualify(job=job.id, fence=job.fence, games=games, wins=wins))

    def _done(self, attempt: Attempt) -> None:
        job = attempt.job
        self._end(attempt)

        def answered(result: Result) -> None:
            if result.accepted:
                self._forget(attempt)
            else:
                self._give_up(attempt, f"its completion was refused: {result.reason}", None)

        attempt.client.propose(Complete(job=job.id, fence=job.fence, outcome=self._outcome(job)), answered)

    def _outcome(self, job: Job) -> Outcome:
        world = self.sim.world
        match job.task:
            case TrainingTask() as task:
                parent = self.sim.state.learner(job.game).nets.get(task.parent or "")
                return TrainingOutcome(
                    candidate=world.trained(task),
                    size_bytes=1,
                    version=1 if parent is None else parent.version + 1,
                    steps=task.steps,
                    samples_total=task.steps * task.batch + (0 if parent is None else parent.samples_total),
                    rows=task.rows_made,
                    evaluations=0,
                )
            case GauntletTask() as task:
                return world.gauntlet(task)
            case CanaryTask() as task:
                return world.canary(task)
            case _:
                raise AssertionError(f"{job.kind} does not end by itself")

    # ---- games ----

    def _play(self, attempt: Attempt) -> None:
        """Put the games of a job on the disk."""
        if attempt.job.kind == "selfplay":
            disk = self.disk.setdefault(attempt.job.game, Disk())
            disk.games += (self.sim.t - attempt.counted_t) / 60 * GAMES_PER_MINUTE * attempt.job.cores
            ahead_s = float(self.sim.rng.uniform(0, FUTURE_S)) if self.sim.faulty else 0.0
            disk.newest_at = self.sim.now() + ahead_s
        attempt.counted_t = self.sim.t

    def _count(self, session: int) -> None:
        """Tell what is on the disk, as the data counter does."""
        if session != self.session or not self.up:
            return
        self.sim.after(COUNT_S, lambda: self._count(session))
        for attempt in self.running.values():
            self._play(attempt)
        counter = self._counter
        if counter is None or counter.busy or "DATA_COUNTER" in self.sim.plan.without:
            return
        for game, disk in self.disk.items():
            known = self.sim.state.learner(game).data.get(self.name, DataCount())
            games = int(disk.games)
            if games > known.games:
                count = DataCount(games=games, rows=games * ROWS_PER_GAME, newest_at=disk.newest_at)
                counter.propose(CountData(game=game, node=self.name, count=count))
