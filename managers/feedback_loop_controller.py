"""FeedbackLoopController: every candidate that counts gets its verdict.

The state itself queues a gauntlet when a training completes. What can be left over: a gauntlet that was given up, a
verdict against somebody who is not champion any more, and candidates that a newer one has overtaken.
"""

from collections.abc import Iterator

from config.schema import Settings
from managers.decision import Decision, Wait, paused
from managers.state.apply import seed_of
from managers.state.cluster_state import ClusterState
from managers.state.commands import Body, Cancel, Judge
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner, Net, NetStatus
from managers.state.tasks import GauntletTask
from managers.training_coordinator import gate_form


class FeedbackLoopController:
    """Decides about gauntlets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Gauntlets to queue again, and those that nobody needs any more."""
        decision = Decision()
        for game in self._settings.games:
            learner = state.learner(game)
            decision += Decision(tuple(self._overtaken(state, learner)))
            decision += self._unjudged(state, learner, now)
        return decision

    def _unjudged(self, state: ClusterState, learner: Learner, now: float) -> Decision:
        """The newest candidate, if it has no verdict that counts."""
        net = newest_candidate(learner)
        if net is None or self._settings.promotion.skip_gauntlet or any(_gauntlets(state, learner, net)):
            return Decision()
        stale = net.status is NetStatus.PASSED and net.against != learner.champion
        if not stale and net.status is not NetStatus.UNJUDGED:
            return Decision()
        pause = paused(state, learner.game, "gauntlet", now, self._settings.safety.max_consecutive_failures)
        if pause is not None:
            return Decision(waits=(pause,))
        seed = seed_of(f"{self._settings.seed}/gauntlet/{net.sha256}", state.seq)
        why = "the champion has changed" if stale else net.reason or "it has no verdict"
        return Decision(
            (Judge(game=learner.game, candidate=net.sha256, seed=seed, form=gate_form(self._settings)),),
            (Wait(learner.game, "gauntlet", f"judged again: {why}"),),
        )

    def _overtaken(self, state: ClusterState, learner: Learner) -> Iterator[Body]:
        """Gauntlets that wait although a newer candidate waits too, or against somebody who is champion no more."""
        newest = newest_candidate(learner)
        for job in state.jobs.of(learner.game, "gauntlet"):
            if not isinstance(job.task, GauntletTask):
                continue
            if job.task.champion != learner.champion:
                yield Cancel(job=job.id, reason="the champion it would meet is not champion any more")
            elif job.task.form.asked:
                continue
            elif job.status is JobStatus.QUEUED and newest is not None and job.task.candidate != newest.sha256:
                yield Cancel(job=job.id, reason="a newer candidate waits")


def newest_candidate(learner: Learner) -> Net | None:
    """The latest net that a training of ours made."""
    made = [net for net in learner.nets.values() if net.job is not None]
    return made[-1] if made else None


def _gauntlets(state: ClusterState, learner: Learner, net: Net) -> Iterator[Job]:
    for job in state.jobs.of(learner.game, "gauntlet"):
        if isinstance(job.task, GauntletTask) and job.task.candidate == net.sha256:
            yield job
