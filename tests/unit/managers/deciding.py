"""A state for deciders: made by the shipped reducer, command after command, never by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.schema import Settings
from managers.decision import Decision
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import (
    Assign,
    Body,
    Command,
    Complete,
    CountData,
    Enqueue,
    Fail,
    Join,
    Promote,
    Start,
    encode,
)
from managers.state.jobs import Job
from managers.state.learners import DataCount, Learner
from managers.state.machine import StateMachine
from managers.state.tasks import (
    CanaryBlocks,
    CanaryOutcome,
    GateForm,
    GauntletOutcome,
    GauntletRow,
    GauntletTask,
    Outcome,
    Rating,
    SelfplayTask,
    TrainingOutcome,
    TrainingTask,
)
from ringrift_core.game.config_key import ConfigKey

GAME, OTHER = "hex8_2p", "square8_2p"
A, B, C = (letter * 64 for letter in "abc")
HEURISTIC = "e" * 64
BEGAN = 1_000_000.0


def settings_of(*games: str, **sections: Mapping[str, object]) -> Settings:
    """Settings of some games, sections as plain data."""
    return Settings.model_validate({"games": games or (GAME,), **sections})


def selfplay(game: str = GAME, model: str = "heuristic") -> SelfplayTask:
    return SelfplayTask(game=game, model=model, sims=16)


def training(game: str = GAME, parent: str | None = None, gate: GateForm | None = None) -> TrainingTask:
    return TrainingTask(game=game, parent=parent, seed=1, steps=10, rows_made=1000, games_made=100, gate=gate)


def blocks_of(wins: tuple[int, ...], opponent: str = A) -> CanaryOutcome:
    return CanaryOutcome(blocks=(CanaryBlocks(opponent=opponent, wins=wins, match="0" * 16),))


@dataclass(slots=True)
class Cluster:
    """The state after some commands."""

    state: ClusterState = field(default_factory=lambda: StateMachine().initial())
    now: float = BEGAN
    sequence: int = 0

    def ask(self, body: Body) -> Result:
        """One command, whatever its answer."""
        self.sequence += 1
        content = encode(Command(client="test", sequence=self.sequence, at=self.now, body=body))
        self.state, result = StateMachine().apply(self.state, content)
        return result

    def do(self, body: Body) -> Result:
        """One command that must be accepted."""
        result = self.ask(body)
        assert result.accepted, result.reason
        return result

    def follow(self, decision: Decision) -> list[Job]:
        """Carry out what was decided; the jobs that it queued."""
        names = [self.do(body).job for body in decision.bodies]
        return [self.state.jobs.active[name] for name in names if name]

    def later(self, seconds: float) -> float:
        """Let time pass; the time then."""
        self.now += seconds
        return self.now

    def learner(self, game: str = GAME) -> Learner:
        return self.state.learner(game)

    def node(self, name: str = "a", cores: int = 4, session: int = 1) -> None:
        self.do(Join(node=name, session=session, cores=cores))

    def queued(self, task: SelfplayTask | TrainingTask, priority: int = 50, cores: int = 1) -> str:
        """The name of a new job."""
        return self.do(Enqueue(task=task, priority=priority, cores=cores)).job or ""

    def leased(self, job: str, node: str = "a") -> int:
        """Give a job to a node, which begins it; the fence."""
        fence = self.do(Assign(job=job, node=node, session=self.state.members[node].session)).seq
        self.do(Start(job=job, fence=fence))
        return fence

    def done(self, job: str, outcome: Outcome) -> None:
        """Run a queued job to its end."""
        self.do(Complete(job=job, fence=self.leased(job), outcome=outcome))

    def failed(self, job: str, reason: str = "it broke") -> None:
        """Run a queued job to its end for good."""
        self.do(Fail(job=job, fence=self.leased(job), reason=reason, retry_after_s=None))

    def data(self, games: int, rows: int | None = None, game: str = GAME, newest_at: float | None = None) -> None:
        """What node a has."""
        at = self.now if newest_at is None else newest_at
        rows = 30 * games if rows is None else rows
        self.do(CountData(game=game, node="a", count=DataCount(games=games, rows=rows, newest_at=at)))

    def candidate(self, sha256: str, game: str = GAME, gate: GateForm | None = None, samples: int = 2560) -> str:
        """A net that a training has made; the name of the training."""
        name = self.queued(training(game, self.learner(game).current, gate))
        outcome = TrainingOutcome(
            candidate=sha256, size_bytes=1, version=1, steps=10, samples_total=samples, rows=1000, evaluations=0
        )
        self.done(name, outcome)
        return name

    def gauntlet(self, game: str = GAME) -> Job:
        """The gauntlet that waits or runs."""
        return self.state.jobs.of(game, "gauntlet")[0]

    def judged(self, verdict: str = "passed", game: str = GAME, ratings: tuple[Rating, ...] = ()) -> None:
        """End the gauntlet that waits."""
        job = self.gauntlet(game)
        assert isinstance(job.task, GauntletTask)
        self.done(job.id, verdict_of(verdict, job.task.candidate, ratings, game))

    def promoted(self, sha256: str, game: str = GAME) -> None:
        """Make a net that has passed champion."""
        net = self.learner(game).nets[sha256]
        self.do(
            Promote(
                game=game, candidate=sha256, expected=self.learner(game).champion, how="gate", evidence=net.gauntlet,
                reason="passed",
            )
        )  # fmt: skip

    def crowned(self, sha256: str, game: str = GAME) -> None:
        """Train, judge and promote a net."""
        self.candidate(sha256, game, GateForm())
        self.judged(game=game)
        self.promoted(sha256, game)


def verdict_of(verdict: str, candidate: str, ratings: tuple[Rating, ...] = (), game: str = GAME) -> GauntletOutcome:
    """A gauntlet of one row against the heuristic."""
    players = ConfigKey.parse(game).players
    row = {
        "opponent": "heuristic", "sha256": HEURISTIC, "games": 20 * players, "wins": 4 + 16 * players,
        "share": 0.9, "low": 0.8, "high": 1.0,
        "outcome": "passed", "blocks": (0, 4, *(0,) * (players - 2), 16),
    }  # fmt: skip
    return GauntletOutcome.model_validate(
        {"result": candidate[:16], "verdict": verdict, "reason": verdict, "rows": [GauntletRow.model_validate(row)],
         "ratings": ratings}
    )  # fmt: skip
