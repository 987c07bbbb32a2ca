"""ShadowTournament: the champion meets those it is held to, every few minutes.

Right after an installation come as many games as it takes to see a disaster, in one batch; then some at intervals. They
are the canary of the rollback and keep the ratings fresh. Those of a former champion end: the new one must not wait for
them.
"""

from config.schema import Settings
from managers.decision import Decision, Wait, paused
from managers.state.apply import seed_of
from managers.state.cluster_state import ClusterState
from managers.state.commands import Cancel, Enqueue
from managers.state.learners import Learner
from managers.state.tasks import CanaryTask
from ringrift_core.game.config_key import ConfigKey

CANARY_PRIORITY = 90


class ShadowTournament:
    """Decides about canary jobs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Shadow tournaments that are due."""
        return sum((self._decide(state, game, now) for game in self._settings.games), Decision())

    def _decide(self, state: ClusterState, game: str, now: float) -> Decision:
        learner = state.learner(game)
        reign, opponents = learner.reign, opponents_of(learner)
        under_way = state.jobs.of(game, "canary")
        if reign is None or not opponents or under_way:
            return Decision(tuple(
                Cancel(job=job.id, reason="whom it watches is not champion any more")
                for job in under_way if isinstance(job.task, CanaryTask) and job.task.model != learner.champion
            ))  # fmt: skip
        pause = paused(state, game, "canary", now, self._settings.safety.max_consecutive_failures)
        if pause is not None:
            return Decision(waits=(pause,))
        left_s = 0.0 if self._unproven(learner) else self._rest_s(learner, now)
        if left_s > 0:
            return Decision(waits=(Wait(game, "canary", f"the next shadow tournament begins in {left_s:.0f} s"),))
        task = CanaryTask(
            game=game,
            model=reign.sha256,
            opponents=opponents,
            games=self._games(learner, len(opponents)),
            number=learner.canaries,
            seed=seed_of(f"{self._settings.seed}/canary/{game}", reign.seq),
        )
        attempts = self._settings.jobs.attempts_max
        return Decision((Enqueue(task=task, priority=CANARY_PRIORITY, attempts_max=attempts),))

    def _unproven(self, learner: Learner) -> int:
        """Games that are still missing before a disaster would have been seen."""
        players = ConfigKey.parse(learner.game).players
        return max(0, self._settings.evaluation.proving_games - players * sum(len(it.wins) for it in learner.seen))

    def _rest_s(self, learner: Learner, now: float) -> float:
        """Seconds until the next one is due."""
        if learner.canary_at is None:
            return 0.0
        return learner.canary_at + self._settings.evaluation.shadow_interval_seconds - now

    def _games(self, learner: Learner, opponents: int) -> int:
        """Games against each opponent, in whole blocks: all that are missing at once, else those of a tournament."""
        players = ConfigKey.parse(learner.game).players
        games = max(self._settings.evaluation.shadow_games_per_config, -(-self._unproven(learner) // opponents))
        return -(-games // players) * players


def opponents_of(learner: Learner) -> tuple[str, ...]:
    """Whom the champion is held to: the champion before it, and those it has a measured score against."""
    frozen = ("heuristic",) if learner.baselines else ()
    return (*((learner.previous,) if learner.previous else ()), *frozen)
