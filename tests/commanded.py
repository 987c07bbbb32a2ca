"""A replicated state that tests send commands to, and short ways to say what the commands hold.

Everything goes through the machine of bytes, as a consensus would hand it over.
"""

from managers.state import commands as asked
from managers.state.cluster_state import ClusterState, Result
from managers.state.jobs import Job
from managers.state.learners import Learner
from managers.state.machine import StateMachine
from managers.state.tasks import (
    CanaryBlocks,
    CanaryOutcome,
    CanaryTask,
    GateForm,
    GauntletOutcome,
    GauntletRow,
    Rating,
    SelfplayOutcome,
    SelfplayTask,
    TrainingOutcome,
    TrainingTask,
)
from ringrift_core.game.config_key import ConfigKey

GAME = "hex8_2p"
OTHER_GAME = "square8_3p"
START = 1000.0  # seconds: the clock of a new cluster


class Commanded:
    """A state, the clock of those who ask, and their running numbers."""

    def __init__(self) -> None:
        self.machine = StateMachine()
        self.state: ClusterState = self.machine.initial()
        self.at = START
        self.sequences: dict[str, int] = {}

    def ask(self, body: asked.Body, client: str = "a", epoch: int | None = None) -> Result:
        """One command with the client's next number."""
        self.sequences[client] = self.sequences.get(client, 0) + 1
        command = self.command(body, client, self.sequences[client])
        return self.send(command.model_copy(update={"epoch": epoch}))

    def send(self, command: asked.Command) -> Result:
        """One command as it is."""
        self.state, result = self.machine.apply(self.state, asked.encode(command))
        return result

    def command(self, body: asked.Body, client: str, sequence: int) -> asked.Command:
        """A command of now."""
        return asked.Command(client=client, sequence=sequence, at=self.at, body=body)

    def do(self, body: asked.Body, epoch: int | None = None) -> Result:
        """A command that must be accepted."""
        result = self.ask(body, epoch=epoch)
        assert result.accepted, result.reason
        assert result.seq == self.state.seq
        return result

    def refused(self, body: asked.Body, epoch: int | None = None) -> str:
        """The reason why a command is refused, which changes nothing but the answer to its client."""
        before = self.state
        result = self.ask(body, epoch=epoch)
        assert not result.accepted, "it was accepted"
        assert result.reason
        assert (result.seq, result.job, result.transitions) == (before.seq, None, ())
        assert self.state.model_copy(update={"answered": before.answered}) == before
        return result.reason

    def learner(self, game: str = GAME) -> Learner:
        """What is learned of a configuration."""
        return self.state.learner(game)

    def job(self, name: str) -> Job:
        """A job that the state remembers."""
        job = self.state.jobs.get(name)
        assert job is not None
        return job

    def join(self, node: str = "n1", session: int = 1) -> None:
        """A node begins a life."""
        address = f"{node}:8771"
        self.do(asked.Join(node=node, session=session, cores=4, raft_address=address))

    def queued(self, task: SelfplayTask | TrainingTask | CanaryTask, priority: int = 10, attempts_max: int = 3) -> str:
        """A new job."""
        name = self.do(asked.Enqueue(task=task, priority=priority, attempts_max=attempts_max)).job
        assert name is not None
        return name

    def leased(self, job: str, node: str = "n1") -> int:
        """A job assigned to a node, which joins if it is not there; the fence."""
        if node not in self.state.members:
            self.join(node)
        return self.do(asked.Assign(job=job, node=node, session=self.state.members[node].session)).seq

    def trained(self, net: str, gate: GateForm | None = None, game: str = GAME, rows_made: int = 10) -> Result:
        """A training from the queue to its candidate; with a gate its gauntlet waits then."""
        job = self.queued(training(game, gate=gate, rows_made=rows_made))
        return self.do(asked.Complete(job=job, fence=self.leased(job), outcome=training_outcome(net)))

    def gauntlet(self, net: str, game: str = GAME) -> str:
        """A trained candidate whose gauntlet waits; the job."""
        job = self.trained(net, GateForm(), game).job
        assert job is not None
        return job

    def judged(self, net: str, verdict: str = "passed", result: str = "e" * 16, game: str = GAME) -> None:
        """A trained candidate with a verdict."""
        job = self.gauntlet(net, game)
        self.do(asked.Complete(job=job, fence=self.leased(job), outcome=gauntlet_outcome(verdict, result, game=game)))

    def crowned(self, net: str, game: str = GAME) -> Result:
        """A trained candidate that its gate made champion."""
        self.judged(net, game=game)
        return self.do(promotion(net, expected=self.learner(game).champion, game=game))

    def sealed(self, net: str, game: str = GAME) -> None:
        """A net that a person brought and made champion."""
        self.do(asked.AddNet(game=game, sha256=net, size_bytes=1, version=1, parent=None))
        self.do(promotion(net, expected=self.learner(game).champion, how="manual", game=game))


def digest(number: int) -> str:
    """A digest with a number in it."""
    return f"{number:064x}"


def selfplay(game: str = GAME) -> SelfplayTask:
    """Games of the rule of thumb."""
    return SelfplayTask(game=game, model="heuristic", sims=16)


def selfplay_outcome() -> SelfplayOutcome:
    """Some games."""
    return SelfplayOutcome(games=4, rows=200)


def training(game: str = GAME, gate: GateForm | None = None, rows_made: int = 10) -> TrainingTask:
    """A training over the rows there are."""
    return TrainingTask(game=game, seed=1, steps=100, rows_made=rows_made, games_made=rows_made // 2, gate=gate)


def training_outcome(net: str) -> TrainingOutcome:
    """A candidate."""
    return TrainingOutcome(
        candidate=net, size_bytes=10, version=1, steps=100, samples_total=25_600, rows=1000, evaluations=7
    )


def gauntlet_outcome(
    verdict: str = "passed", result: str = "e" * 16, rated: str | None = None, game: str = GAME
) -> GauntletOutcome:
    """A verdict over one row against the frozen player."""
    players = ConfigKey.parse(game).players
    row = GauntletRow(
        opponent="heuristic",
        sha256=digest(0xABC),
        games=20 * players,
        wins=6 + 12 * players,
        share=0.75,
        low=0.6,
        high=0.9,
        outcome="passed",
        blocks=(2, 6, *(0,) * (players - 2), 12),
    )
    return GauntletOutcome.model_validate(
        {
            "result": result,
            "verdict": verdict,
            "reason": "as it went",
            "rows": (row,),
            "ratings": () if rated is None else (rating(rated),),
        }
    )


def canary(model: str, game: str = GAME) -> CanaryTask:
    """The champion against the rule of thumb."""
    return CanaryTask(game=game, model=model, opponents=("heuristic",), number=1, games=8, seed=3)


def canary_outcome(rated: str | None = None) -> CanaryOutcome:
    """Blocks of two games against one opponent."""
    blocks = CanaryBlocks(opponent=digest(0xABC), wins=(2, 1, 0), match="c" * 16)
    return CanaryOutcome(blocks=(blocks,), ratings=() if rated is None else (rating(rated),))


def rating(net: str) -> Rating:
    """What the fit says of a net."""
    return Rating(sha256=net, sims=64, elo=1300.5, margin=20.25)


def promotion(
    net: str, *, expected: str | None, how: str = "gate", evidence: str | None = "e" * 16, game: str = GAME
) -> asked.Promote:
    """A promotion; by the gate with the evidence of `gauntlet_outcome`."""
    return asked.Promote.model_validate(
        {
            "game": game,
            "candidate": net,
            "expected": expected,
            "how": how,
            "evidence": evidence if how == "gate" else None,
            "reason": "it won" if how == "gate" else "a person wished it",
        }
    )


def rollback(*, expected: str, to: str, game: str = GAME) -> asked.RollBack:
    """A rollback for lost strength."""
    return asked.RollBack(
        game=game, expected=expected, to=to, trigger="auto_elo", reason="it lost", metrics={"elo": -80.5, "games": None}
    )
