"""PromotionController: what passed its gate becomes champion, while the champion it met is still champion.

The verdict in the state names a stored gauntlet; that file is read and decided upon by `PromotionPolicy` again before
anything is proposed, and the state compares and sets. Nobody else promotes.
"""

from collections.abc import Callable

from config.schema import Settings
from managers.decision import Decision, Wait
from managers.feedback_loop_controller import newest_candidate
from managers.state.cluster_state import ClusterState
from managers.state.commands import Promote
from managers.state.learners import Learner, Net, NetStatus
from ringrift_core.errors import StorageError
from ringrift_core.evaluation.gauntlet_result import GauntletResult
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry import PresentState, PromotionPolicy

DAY_S = 86_400.0
ReadResult = Callable[[str, str], GauntletResult]  # of a configuration, by stem; StorageError


class PromotionController:
    """Decides about promotions."""

    def __init__(self, settings: Settings, read_result: ReadResult) -> None:
        self._settings = settings
        self._read = read_result
        rates = settings.promotion
        self._policy = PromotionPolicy(
            Thresholds(rates.random_win_rate, rates.heuristic_win_rate, rates.vs_previous_win_rate)
        )

    def decide(self, state: ClusterState, now: float) -> Decision:
        """Promotions of nets that have passed; reads their gauntlets from disk, so not for the event loop's thread."""
        return sum((self._decide(state.learner(game), now) for game in self._settings.games), Decision())

    def _decide(self, learner: Learner, now: float) -> Decision:
        if self._settings.promotion.skip_gauntlet:
            return self._without_gauntlet(learner)
        net = promotable(learner)
        if net is None:
            return Decision()
        why = self._restraint(learner, net, now)
        if why is not None:
            return Decision(waits=(Wait(learner.game, "promotion", why),))
        return self.promotion_of(learner, net)

    def promotion_of(self, learner: Learner, net: Net) -> Decision:
        """The promotion of a net that has passed, if its stored gauntlet bears that out."""
        try:
            result = self._read(learner.game, net.gauntlet or "")
        except StorageError as error:
            return Decision(waits=(Wait(learner.game, "promotion", f"the gauntlet cannot be read: {error}"),))
        decision = self._policy.decide(result, present_state(learner))
        if not decision.promoted or decision.candidate != net.sha256:
            return Decision(waits=(Wait(learner.game, "promotion", decision.reason),))
        body = Promote(
            game=learner.game,
            candidate=net.sha256,
            expected=decision.replaces,
            how="gate",
            evidence=net.gauntlet,
            reason=decision.reason,
        )
        return Decision((body,))

    def _without_gauntlet(self, learner: Learner) -> Decision:
        """Whatever is trained is promoted: somebody said RINGRIFT_SKIP_GAUNTLET."""
        net = newest_candidate(learner)
        if net is None or net.status is not NetStatus.UNJUDGED or net.sha256 in learner.blocked:
            return Decision()
        body = Promote(
            game=learner.game,
            candidate=net.sha256,
            expected=learner.champion,
            how="manual",
            reason="promotion.skip_gauntlet (RINGRIFT_SKIP_GAUNTLET) is set",
        )
        return Decision((body,))

    def _restraint(self, learner: Learner, net: Net, now: float) -> str | None:
        promotion = self._settings.promotion
        if not promotion.auto_promote:
            return (
                "a net has passed; promotion.auto_promote (RINGRIFT_AUTO_PROMOTE) is false: "
                f"`ringrift promote --game {learner.game} --model models/versions/{net.sha256}.pth`"
            )
        recent = sum(reign.kind == "gate" and now - reign.at < DAY_S for reign in learner.reigns)
        if promotion.max_promotions_per_day is not None and recent >= promotion.max_promotions_per_day:
            return f"{recent} promotions in 24 hours are as many as promotion.max_promotions_per_day allows"
        return None


def promotable(learner: Learner) -> Net | None:
    """The newest net that has passed against the present champion."""
    passed = [
        net
        for net in learner.nets.values()
        if net.status is NetStatus.PASSED and net.against == learner.champion and net.sha256 not in learner.blocked
    ]
    return passed[-1] if passed else None


def present_state(learner: Learner) -> PresentState:
    """What stands now, for a policy."""
    return PresentState(
        key=ConfigKey.parse(learner.game),
        champion=learner.champion,
        rules_digest=RULES_DIGEST,
        blocked=frozenset(learner.blocked),
    )
