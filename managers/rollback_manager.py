"""RollbackManager: a champion that is surely weaker than the one before it is taken back, from games.

The canary games of the present reign and its jobs are given to `RollbackPolicy`, whose test may be looked at at any
time; the rollback is a compare-and-set in the state, which also blocks the digest.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from config.schema import Settings
from managers.decision import Decision, Wait
from managers.state.cluster_state import ClusterState
from managers.state.commands import HoldRollbacks, RollBack
from managers.state.learners import Learner
from managers.state.learners import Rollback as StateRollback
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import (
    Action,
    Baseline,
    CanaryBlock,
    JobReport,
    Observations,
    RollbackDecision,
    RollbackEvent,
    RollbackPolicy,
    RollbackThresholds,
    Trigger,
)


class RollbackManager:
    """Decides about rollbacks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        form = settings.rollback
        self.thresholds = RollbackThresholds(
            elo_drop_threshold=form.elo_drop_threshold,
            elo_drop_window_hours=form.elo_drop_window_hours,
            win_rate_drop_threshold=form.win_rate_drop_threshold,
            error_rate_threshold=form.error_rate_threshold,
            min_games_for_evaluation=form.min_games_for_evaluation,
            settling_seconds=form.settling_seconds,
        )
        self._policy = RollbackPolicy(self.thresholds)

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Rollbacks that the games call for; some milliseconds of computing per configuration."""
        return sum((self._decide(state.learner(game), now) for game in self._settings.games), Decision())

    def should_rollback(self, learner: Learner, now: float) -> RollbackDecision | None:
        """What the policy says of the present champion; None where there is none."""
        if learner.reign is None:
            return None
        return self._policy.should_rollback(observations_of(learner), utc(now))

    def rollback(self, learner: Learner, trigger: Trigger, reason: str, to: str | None = None) -> RollBack | None:
        """The command that takes the champion back, to the net before it where nothing else is said."""
        target = to or learner.previous
        if learner.champion is None or target is None:
            return None
        return RollBack(game=learner.game, expected=learner.champion, to=target, trigger=trigger.value, reason=reason)

    def _decide(self, learner: Learner, now: float) -> Decision:
        decision = self.should_rollback(learner, now)
        if decision is None or decision.action is Action.KEEP:
            return Decision()
        if not self._settings.rollback.enabled or learner.held:
            why = learner.held or "rollback.enabled is false"
            return Decision(waits=(Wait(learner.game, "rollback", f"{decision.reason}; {why}"),))
        if decision.action is Action.HALT or decision.trigger is None:
            return Decision((HoldRollbacks(game=learner.game, reason=decision.reason),))
        body = self.rollback(learner, decision.trigger, decision.reason)
        assert body is not None, "the policy holds where there is nothing to go back to"
        found = {name: None if value is None else float(value) for name, value in asdict(decision.statistics).items()}
        return Decision((body.model_copy(update={"metrics": found}),))


def observations_of(learner: Learner) -> Observations:
    """What was seen in the present reign, as the policy takes it."""
    reign = learner.reign
    assert reign is not None, "without a champion nothing is observed"
    known = {learner.previous, *(baseline.opponent for baseline in learner.baselines)}
    return Observations(
        key=ConfigKey.parse(learner.game),
        production=reign.sha256,
        previous=learner.previous,
        installed_at=utc(reign.at),
        baselines=tuple(Baseline(it.opponent, it.blocks) for it in learner.baselines),
        blocks=tuple(
            CanaryBlock(reign.sha256, utc(seen.at), seen.opponent, won)
            for seen in learner.seen
            if seen.opponent in known
            for won in seen.wins
        ),
        jobs=tuple(JobReport(reign.sha256, utc(job.at), job.games, job.failed) for job in learner.job_games),
        rollbacks=tuple(utc(it.at) for it in learner.rollbacks if it.trigger != "manual"),
    )


def get_rollback_history(
    learners: Iterable[Learner], versions: dict[str, int], model_id: str | None = None, limit: int | None = None
) -> tuple[RollbackEvent, ...]:
    """The rollbacks of some configurations, newest first; `versions` are the registry's numbers by digest."""
    events = [
        _event(learner, rollback, versions)
        for learner in learners
        if model_id in {None, learner.game}
        for rollback in learner.rollbacks
    ]
    events.sort(key=lambda event: event.timestamp, reverse=True)
    return tuple(events[:limit])


def utc(at: float) -> datetime:
    """A time of the state."""
    return datetime.fromtimestamp(at, UTC)


def _event(learner: Learner, rollback: StateRollback, versions: dict[str, int]) -> RollbackEvent:
    return RollbackEvent(
        model_id=learner.game,
        from_version=versions.get(rollback.from_sha256, 1),
        from_sha256=rollback.from_sha256,
        to_version=versions.get(rollback.to_sha256, 1),
        to_sha256=rollback.to_sha256,
        reason=rollback.reason or "no reason given",
        trigger=Trigger(rollback.trigger),
        metrics_before=dict(rollback.metrics),
        timestamp=utc(rollback.at),
        success=True,
    )
