"""TrainingCoordinator: when a candidate is trained, from what, for how long.

A run begins when enough new games have come since the one before was queued, none is under way, no candidate waits for
its gauntlet, and the rows allow it: each row ever made is passed over a few times, then new ones must come.
"""

from config.schema import Settings
from managers.decision import Decision, Wait, paused
from managers.state.apply import seed_of
from managers.state.cluster_state import ClusterState
from managers.state.commands import Enqueue
from managers.state.learners import Learner, NetStatus
from managers.state.tasks import GateForm, TrainingTask
from ringrift_core.errors import RulesError
from ringrift_core.training.budget import steps_of_run
from ringrift_core.training.window_size import window_rows

TRAINING_PRIORITY = 70
GAUNTLET_PRIORITY = 80


class TrainingCoordinator:
    """Decides about training jobs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Training jobs to queue; the configuration that was trained longest ago comes first."""
        decision = Decision()
        for game in sorted(self._settings.games, key=lambda game: state.learner(game).trained_at or 0.0):
            decision += self._decide(state, game, now, len(decision.bodies))
        return decision

    def _decide(self, state: ClusterState, game: str, now: float, others: int) -> Decision:
        why = self.obstacle(state, game, now, others)
        if why is not None:
            return Decision(waits=(Wait(game, "training", why),))
        return Decision((self.dispatch_training_job(state, game),))

    def dispatch_training_job(self, state: ClusterState, config_key: str) -> Enqueue:
        """The training job of a configuration as it would be queued now, wished for or not; RulesError says why not."""
        return Enqueue(
            task=self.training_task(state, config_key),
            priority=TRAINING_PRIORITY,
            cores=self._settings.training.threads or 1,
            attempts_max=self._settings.jobs.attempts_max,
        )

    def training_task(self, state: ClusterState, game: str) -> TrainingTask:
        """The next run; RulesError when the rows do not allow it."""
        training, learner = self._settings.training, state.learner(game)
        parent = learner.nets.get(learner.current or "")
        total = learner.total
        wanted = training.bootstrap_steps if parent is None else training.steps
        steps = steps_of_run(
            rows_total=total.rows,
            window=window_rows(total.rows),
            samples_before=0 if parent is None else parent.samples_total,
            batch=training.batch_size,
            passes=training.passes,
            wanted=wanted,
        )
        return TrainingTask(
            game=game,
            parent=None if parent is None else parent.sha256,
            size=training.size if parent is None else None,
            seed=seed_of(f"{self._settings.seed}/training/{game}", len(learner.nets)),
            steps=steps,
            rows_made=total.rows,
            games_made=total.games,
            gate=None if self._settings.promotion.skip_gauntlet else gate_form(self._settings),
            batch=training.batch_size,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            ema=training.ema_decay,
            root_share=training.root_share,
            ownership_weight=training.ownership_weight,
            score_weight=training.score_weight,
            passes=training.passes,
            max_age_hours=training.max_age_hours,
            save_every=training.save_every,
            precision=training.precision,
        )

    def lack_of_rows(self, state: ClusterState, game: str, now: float) -> str | None:
        """Why the next run would refuse the rows there are: too few, or too old; None: they will do."""
        hours, newest = self._settings.training.max_age_hours, state.learner(game).total.newest_at
        if hours and newest and now - newest > 3600 * hours:
            return (
                f"the newest games are {(now - newest) / 3600:.0f} hours old, training.max_age_hours allows {hours:g}: "
                "new ones come first"
            )
        try:
            self.training_task(state, game)
        except RulesError as error:
            return str(error)
        return None

    def obstacle(self, state: ClusterState, game: str, now: float, others: int = 0) -> str | None:
        """Why no training is queued now, beside `others` that are about to be; None: nothing stands in the way."""
        training, learner = self._settings.training, state.learner(game)
        running = [job for job in state.jobs.active.values() if job.kind == "training"]
        if any(job.game == game for job in running):
            return "a run is under way"
        if len(running) + others >= training.max_concurrent_jobs:
            return f"{len(running) + others} runs of other configurations are under way"
        pause = paused(state, game, "training", now, self._settings.safety.max_consecutive_failures)
        if pause is not None:
            return pause.why
        if any(net.status is NetStatus.CANDIDATE for net in learner.nets.values()):
            return "the last candidate is being judged"
        least, since = self.games_wanted(learner)
        if since < least:
            return f"{since} of {least} new games"
        if learner.trained_at is not None and now - learner.trained_at < training.min_interval_seconds:
            return f"the next run may begin in {learner.trained_at + training.min_interval_seconds - now:.0f} s"
        return self.lack_of_rows(state, game, now)

    def games_wanted(self, learner: Learner) -> tuple[int, int]:
        """How many games the next run needs, and how many have come since the last one."""
        first = learner.current is None  # a net that a person brought is no beginning
        bootstrap = self._settings.selfplay.bootstrap == "heuristic" and first
        least = self._settings.selfplay.bootstrap_games if bootstrap else 0
        least = max(least, self._settings.training.trigger_threshold_games if not bootstrap else 1)
        return least, learner.total.games - learner.trained_games


def gate_form(settings: Settings) -> GateForm:
    """How candidates are judged."""
    evaluation, promotion = settings.evaluation, settings.promotion
    return GateForm(
        games=evaluation.games,
        games_max=evaluation.games_max,
        random=promotion.random_win_rate,
        heuristic=promotion.heuristic_win_rate,
        champion=promotion.vs_previous_win_rate,
        anchors_max=evaluation.anchors_max,
        priority=GAUNTLET_PRIORITY,
        attempts_max=settings.jobs.attempts_max,
    )
