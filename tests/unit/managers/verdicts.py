"""Gauntlets as a gate leaves them, the outcome that a job tells of them, and states in which they were played."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from managers.proposer import Proposer
from managers.state import LocalConsensus
from managers.state.apply import apply
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import AddNet, Assign, Body, Command, Complete, Join, Judge, Promote
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner
from managers.state.tasks import GateForm, GauntletOutcome, GauntletTask
from ringrift_core.errors import StorageError
from ringrift_core.evaluation.gauntlet import reason_of, row_of
from ringrift_core.evaluation.gauntlet_result import GauntletResult, SearchForm, verdict_of
from ringrift_core.evaluation.sprt import Sprt
from ringrift_core.evaluation.stored_match import Book
from ringrift_core.evaluation.thresholds import Role, Thresholds, alpha_of, gate_rows
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import agent_of
from tests.sim.hidden_strengths import net_agent, told_row

GAME = "hex8_2p"
KEY = ConfigKey.parse(GAME)
NODE = "node"
BEGAN = 1_800_000_000.0
STRONG, WEAK = (0, 20, 180), (100, 20, 4)  # blocks with 0, 1, 2 won games
NETS = tuple(letter * 64 for letter in "abcdef")


def played(task: GauntletTask, blocks: tuple[int, ...] = STRONG) -> GauntletResult:
    """What the gauntlet of a task finds when everybody is met with the same success."""
    met = [(Role.RANDOM, agent_of("random", KEY).identity), (Role.HEURISTIC, agent_of("heuristic", KEY).identity)]
    met += [(Role.CHAMPION, net_agent(task.champion))] if task.champion else []
    met += [(Role.ANCHOR, net_agent(anchor)) for anchor in task.anchors]
    rules = gate_rows(KEY.players, Thresholds(task.form.random, task.form.heuristic, task.form.champion))
    rows = []
    for number, (role, agent) in enumerate(met):
        test = Sprt(rules[role].h0, rules[role].h1, alpha_of(task.candidate_number))
        rows.append(row_of(rules[role], agent, test, blocks, f"{number:016x}"))
        if not rows[-1].passes:
            break
    return GauntletResult(
        config_key=GAME,
        candidate=net_agent(task.candidate),
        candidate_number=task.candidate_number,
        search=SearchForm(considered=16, visit_weight=50.0, value_weight=0.1),
        book=Book(name="book", sha256="0" * 64),
        seed=task.seed,
        games_min=task.form.games or 50,
        rows=tuple(rows),
        verdict=verdict_of(tuple(rows)),
        reason=reason_of(rows),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def told(result: GauntletResult, stem: str) -> GauntletOutcome:
    """What the job says of it."""
    rows = tuple(map(told_row, result.rows))
    return GauntletOutcome(result=stem, verdict=result.verdict.value, reason=result.reason, rows=rows)


@dataclass(slots=True)
class World:
    """A state, what led to it, and the gauntlets that are stored."""

    state: ClusterState = field(default_factory=ClusterState)
    now: float = BEGAN
    stored: dict[str, GauntletResult] = field(default_factory=dict)
    asked: int = 0

    def do(self, *bodies: Body) -> Result:
        """Bring commands, of which every one is accepted."""
        result = None
        for body in bodies:
            self.asked += 1
            self.state, result = apply(self.state, Command(client="test", sequence=self.asked, at=self.now, body=body))
            assert result.accepted, result.reason
        assert result is not None
        return result

    @property
    def learner(self) -> Learner:
        return self.state.learner(GAME)

    def read(self, _game: str, stem: str) -> GauntletResult:
        """As the promotion controller reads stored gauntlets."""
        if stem not in self.stored:
            raise StorageError(f"there is no gauntlet {stem}")
        return self.stored[stem]

    def judged(self, sha256: str, blocks: tuple[int, ...] = STRONG, form: GateForm | None = None) -> str:
        """A net is brought and plays its gauntlet; the stem of the result."""
        if NODE not in self.state.members:
            self.do(Join(node=NODE, session=1, cores=1))
        if sha256 not in self.learner.nets:
            self.do(added(sha256))
        name = self.do(Judge(game=GAME, candidate=sha256, seed=1, form=form or GateForm())).job
        assert name is not None
        return self.completed(name, blocks)

    def completed(self, name: str, blocks: tuple[int, ...] = STRONG) -> str:
        """A queued gauntlet is played."""
        self.do(Assign(job=name, node=NODE, session=1))
        job = self.state.jobs.active[name]
        outcome = self.outcome_of(job, blocks)
        self.do(Complete(job=name, fence=job.fence, outcome=outcome))
        return outcome.result

    def outcome_of(self, job: Job, blocks: tuple[int, ...] = STRONG) -> GauntletOutcome:
        """What a gauntlet finds, stored."""
        assert isinstance(job.task, GauntletTask)
        stem = f"{len(self.stored) + 1:016x}"
        self.stored[stem] = played(job.task, blocks)
        return told(self.stored[stem], stem)

    def champions(self, *nets: str) -> None:
        """Make nets champions, one after the other."""
        for sha256 in nets:
            if sha256 not in self.learner.nets:
                self.do(added(sha256))
            expected = self.learner.champion
            self.do(Promote(game=GAME, candidate=sha256, expected=expected, how="manual", reason="test"))


def added(sha256: str, version: int = 1) -> AddNet:
    return AddNet(game=GAME, sha256=sha256, size_bytes=1, version=version, parent=None)


Consensus = LocalConsensus[ClusterState, Result]


async def umpire(
    consensus: Consensus, world: World, blocks: tuple[int, ...] = STRONG, *, before: Iterable[Body] = ()
) -> None:
    """Play every gauntlet that is queued, for ever; `before` is proposed before the first is complete."""
    proposer = Proposer(consensus, "umpire", lambda: BEGAN)
    await proposer.propose(Join(node=NODE, session=1, cores=1))
    surprises = list(before)
    while True:
        version = consensus.version
        queued = [
            job for job in consensus.state.jobs.active.values()
            if job.kind == "gauntlet" and job.status is JobStatus.QUEUED
        ]  # fmt: skip
        for job in queued:
            await proposer.propose(Assign(job=job.id, node=NODE, session=1))
            while surprises:
                assert (await proposer.propose(surprises.pop(0))).accepted
            fence = consensus.state.jobs.active[job.id].fence
            await proposer.propose(Complete(job=job.id, fence=fence, outcome=world.outcome_of(job, blocks)))
        await consensus.changed(version, 5.0)
