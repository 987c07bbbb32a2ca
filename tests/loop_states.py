"""States of a loop, made by the commands that lead to them."""

from managers.state.apply import apply
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import (
    Assign,
    Body,
    Command,
    Complete,
    CountData,
    Enqueue,
    Join,
    Promote,
    RollBack,
    Start,
)
from managers.state.learners import DataCount
from managers.state.tasks import (
    GateForm,
    GauntletOutcome,
    GauntletRow,
    Rating,
    SelfplayTask,
    TrainingOutcome,
    TrainingTask,
)

GAME = "hex8_2p"
NODE = "here"


def digest(number: int) -> str:
    """The digest of the net of that number."""
    return f"{number:064x}"


class Loop:
    """A state and the commands that change it; a second passes with each."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.state = ClusterState()
        self.now = now
        self.results: list[Result] = []
        self._sequence = 0
        self.do(Join(node=NODE, session=1, cores=2))

    def do(self, body: Body, *, after_s: float = 1.0) -> Result:
        """Apply a command that is accepted."""
        self.now += after_s
        self._sequence += 1
        command = Command(client="test", sequence=self._sequence, at=self.now, body=body)
        self.state, result = apply(self.state, command)
        assert result.accepted, result.reason
        self.results.append(result)
        return result

    def count(self, games: int, rows: int, *, after_s: float = 1.0) -> Result:
        """So many games and rows are there."""
        at = self.now + after_s
        count = DataCount(games=games, rows=rows, evaluations=10 * rows, newest_at=at)
        return self.do(CountData(game=GAME, node=NODE, count=count), after_s=after_s)

    def begin(self, job: str, *, after_s: float = 1.0) -> int:
        """Lease and start a queued job; its fence."""
        fence = self.do(Assign(job=job, node=NODE, session=1), after_s=after_s).seq
        self.do(Start(job=job, fence=fence))
        return fence

    def selfplay(self) -> str:
        """A selfplay job that runs."""
        job = self.do(Enqueue(task=SelfplayTask(game=GAME, model="heuristic", sims=16), priority=50)).job
        assert job is not None
        self.begin(job)
        return job

    def queue_training(self) -> str:
        """A training job that waits."""
        total = self.state.learner(GAME).total
        task = TrainingTask(
            game=GAME, size="nano", seed=1, steps=100, rows_made=total.rows, games_made=total.games, gate=GateForm()
        )
        job = self.do(Enqueue(task=task, priority=70)).job
        assert job is not None
        return job

    def train(self, number: int, *, took_s: float = 60.0) -> str:
        """A candidate is trained; the job of its gauntlet."""
        job = self.queue_training()
        fence = self.begin(job)
        outcome = TrainingOutcome(
            candidate=digest(number), size_bytes=1000, version=number, steps=100, samples_total=25_600, rows=1000,
            evaluations=10, losses={"total": 2.5, "policy": 1.5},
        )  # fmt: skip
        gauntlet = self.do(Complete(job=job, fence=fence, outcome=outcome), after_s=took_s).job
        assert gauntlet is not None
        return gauntlet

    def judge(self, gauntlet: str, number: int, verdict: str, *, elo: float = 1400.0, took_s: float = 120.0) -> None:
        """The gauntlet of a candidate ends."""
        fence = self.begin(gauntlet)
        row = GauntletRow(
            opponent="random", sha256=digest(900), games=50, wins=48, share=0.96, low=0.88, high=0.99, outcome="passed"
        )
        outcome = GauntletOutcome.model_validate(
            {
                "result": f"{number:016x}", "verdict": verdict, "reason": f"{verdict} as it is", "rows": [row],
                "ratings": [Rating(sha256=digest(number), sims=64, elo=elo, margin=30.0)],
            }
        )  # fmt: skip
        self.do(Complete(job=gauntlet, fence=fence, outcome=outcome), after_s=took_s)

    def crown(self, number: int, *, elo: float = 1400.0) -> None:
        """A candidate is trained, passes and becomes champion."""
        self.judge(self.train(number), number, "passed", elo=elo)
        expected = self.state.learner(GAME).champion
        self.do(
            Promote(
                game=GAME, candidate=digest(number), expected=expected, how="gate", evidence=f"{number:016x}",
                reason="it passed",
            )
        )  # fmt: skip

    def roll_back(self, number: int, to: int) -> None:
        """A champion is taken back."""
        self.do(RollBack(game=GAME, expected=digest(number), to=digest(to), trigger="auto_elo", reason="weaker"))
