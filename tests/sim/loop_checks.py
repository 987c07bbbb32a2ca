"""What must hold after every command of a simulated loop, against a ledger that is kept outside the state."""

from dataclasses import dataclass, field

from config.schema import Settings
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.cluster_state import ClusterState, Result, What
from managers.state.commands import Assign, Body, Command, Complete, Enqueue, Promote, RollBack
from managers.state.jobs import Job
from managers.state.learners import Learner
from managers.state.tasks import GauntletTask, TrainingTask
from tests.sim.hidden_strengths import Strengths


@dataclass(slots=True)
class Checks:
    """Raises AssertionError at the first command that breaks a rule."""

    settings: Settings
    world: Strengths
    fences: dict[str, int] = field(default_factory=dict)  # the assignment that counts, by job
    completed: set[str] = field(default_factory=set)
    queue_max: int = 0
    refused: int = 0
    late: int = 0  # completions that came with another fence, or for a job that had ended
    repeated: int = 0

    def applied(self, before: ClusterState, command: Command, after: ClusterState, result: Result) -> None:
        """Look at one command and what it did."""
        body = command.body
        known = before.answered.get(command.client)
        if known is not None and command.sequence <= known.sequence:
            self.repeated += 1
            assert after is before, "a repeated command changed something"
            return
        if not result.accepted:
            self.refused += 1
            self.late += isinstance(body, Complete)
            assert after.jobs is before.jobs
            assert after.learners is before.learners
            return
        for transition in result.transitions:
            if transition.what is What.JOB_LEASED and transition.job is not None:
                self.fences[transition.job] = result.seq
        self._commanded(before, body, after)
        if after.jobs is not before.jobs:
            self._jobs(after)
        for game, learner in after.learners.items():
            if learner is not before.learners.get(game):
                self._learner(before.learner(game), learner)

    def _commanded(self, before: ClusterState, body: Body, after: ClusterState) -> None:
        match body:
            case Complete():
                self._completed(before, after, body)
            case Enqueue() if isinstance(body.task, TrainingTask):
                self._training_queued(before, body.task)
            case Promote():
                self._promoted(before, after, body)
            case RollBack():
                assert after.learner(body.game).champion == body.to
                assert body.expected in after.learner(body.game).blocked
            case Assign():
                self._cores(after)
            case _:
                pass

    def _completed(self, before: ClusterState, after: ClusterState, body: Complete) -> None:
        assert body.fence == self.fences[body.job], "a completion of an earlier assignment was accepted"
        assert body.job not in self.completed, "a job was completed twice"
        self.completed.add(body.job)
        job = before.jobs.active[body.job]
        if isinstance(job.task, TrainingTask):
            learner = after.learner(job.game)
            made = next(net for net in learner.nets.values() if net.job == job.id)
            allowed = self.settings.training.passes * learner.total.rows
            assert made.samples_total <= allowed, f"{made.samples_total} samples drawn, {allowed:.0f} are allowed"

    def _training_queued(self, before: ClusterState, task: TrainingTask) -> None:
        learner = before.learner(task.game)
        assert learner.total.games > learner.trained_games, "a training without new games"
        if learner.nets:
            new = learner.total.games - learner.trained_games
            assert new >= self.settings.training.trigger_threshold_games, f"a training after {new} new games"
        running = [job for job in before.jobs.active.values() if job.kind == "training"]
        assert len(running) < self.settings.training.max_concurrent_jobs, "too many trainings at once"

    def _promoted(self, before: ClusterState, after: ClusterState, body: Promote) -> None:
        then = before.learner(body.game).champion
        assert after.learner(body.game).champion == body.candidate
        assert body.expected == then, "a promotion in the place of somebody else"
        if body.how == "manual":
            return
        assert body.evidence in self.world.results, "a promotion by the gate without a stored gauntlet"
        result = self.world.results[body.evidence]
        met = None if result.champion is None else result.champion.sha256
        assert (result.verdict, result.candidate.sha256, met) == ("passed", body.candidate, then)
        assert body.candidate not in before.learner(body.game).blocked, "a blocked net was promoted by the gate"

    def _jobs(self, state: ClusterState) -> None:
        works = [_work(job) for job in state.jobs.active.values() if job.kind != "selfplay"]
        assert len(works) == len(set(works)), f"twin jobs: {works}"
        cores = sum(member.cores for member in state.members.values())
        bound = 2 * cores + 4 * len(self.settings.games)
        assert len(state.jobs.active) <= bound, f"{len(state.jobs.active)} jobs wait or run, {bound} would be many"
        self.queue_max = max(self.queue_max, len(state.jobs.active))

    def _cores(self, state: ClusterState) -> None:
        scheduler = SelfplayScheduler(self.settings)
        for member in state.members.values():
            mine = state.jobs.on(member.node)
            taken = {job.id: min(job.cores, member.cores) for job in mine}
            assert sum(taken.values()) <= member.cores, f"{member.node} has {member.cores} cores: {taken}"
            others = [job for job in mine if job.kind not in {"selfplay", "canary"}]  # canaries are short
            others_max = member.cores - scheduler.cores_of_selfplay(member)
            assert len(others) <= 1 or sum(taken[job.id] for job in others) <= others_max, (
                f"selfplay lost its share of {member.node}: {taken}"
            )

    def _learner(self, before: Learner, after: Learner) -> None:
        assert after.champion not in after.blocked, "a blocked champion"
        assert after.current not in after.blocked, "a blocked net plays selfplay"
        if after.reigns != before.reigns:
            assert after.reigns[:-1] == before.reigns, "the past was changed"
            assert after.reigns[-1].replaced == before.champion, "two champions at once"


def _work(job: Job) -> tuple[str, ...]:
    """What must not be done twice at once."""
    if isinstance(job.task, GauntletTask):
        return job.game, job.kind, job.task.candidate
    return job.game, job.kind
