"""ManualPromotion: a person brings a net; it is judged as every candidate is and promoted by the same compare-and-set.

    result = await pipeline.promotion.evaluate_and_promote("models/my_model.pth", "hex8", 2, gauntlet_games=50)

Needs a node that runs gauntlets. Wrong wishes raise RulesError, files that are no nets StorageError; whatever comes
after that is a result with its reason.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from config.schema import Settings
from managers.node_folder import NodeFolder
from managers.ports import Consensus
from managers.promotion_controller import PromotionController, present_state
from managers.promotion_result import (
    PromotionResult,
    asked_form,
    last_evaluation,
    played,
    rating_of,
)
from managers.proposer import Proposer
from managers.state.apply import seed_of
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import AddNet, Judge, Promote
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner, Net, NetStatus
from managers.state.tasks import GauntletOutcome, GauntletTask
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry, PromotionPolicy
from ringrift_core.registry.admission import AdmittedNet

VERDICT_S = 24 * 3600.0  # for a gauntlet, those before it included
LOOK_S = 5.0  # between two looks at a state of which nobody says that it has changed
INSTALL_S = 10.0  # for the canonical file, after the promotion
INSTALL_LOOK_S = 0.1
TRIES_MAX = 3  # of a compare-and-set; others may be faster
SKIPPED = "promotion.skip_gauntlet (RINGRIFT_SKIP_GAUNTLET) is set"

Admit = Callable[[str, ConfigKey], Awaitable[AdmittedNet]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A net that somebody wants to see promoted."""

    key: ConfigKey
    net: AdmittedNet

    @property
    def game(self) -> str:
        """Its config key."""
        return str(self.key)

    @property
    def short(self) -> str:
        """As messages name it."""
        return self.net.sha256[:16]


class ManualPromotion:
    """The methods of PromotionController that people call."""

    def __init__(
        self,
        settings: Settings,
        consensus: Consensus[ClusterState, Result],
        proposer: Proposer,
        folder: NodeFolder,
        admit: Admit,
        controller: PromotionController,
    ) -> None:
        """`admit` brings a file into the registry; `controller` decides about the gauntlet when it has been played."""
        self._settings = settings
        self._consensus = consensus
        self._proposer = proposer
        self._registry = ModelRegistry(folder.models)
        self._admit = admit
        self._controller = controller
        self._policy = PromotionPolicy()

    @property
    def last_evaluation(self) -> PromotionResult | None:
        """The latest gauntlet that came to an end, whoever wished for it."""
        return last_evaluation(self._consensus.state)

    async def evaluate_and_promote(
        self, model_path: str, board_type: str, num_players: int, gauntlet_games: int | None = None
    ) -> PromotionResult:
        """Judge a net and promote it if it passes; `gauntlet_games` are the least against each opponent.

        A net that has passed against the present champion is not judged again unless games are asked for.
        """
        if gauntlet_games is not None and gauntlet_games < 1:
            raise RulesError("a gauntlet plays at least one game against each opponent")
        candidate = await self._admitted(model_path, board_type, num_players)
        refusal = self._refusal(candidate)
        if refusal is not None:
            return _failed(candidate, refusal)
        if self._settings.promotion.skip_gauntlet:
            return await self._forced(candidate, SKIPPED)
        halt = self._consensus.state.halt
        if halt is not None:
            return _failed(candidate, f"halted by {halt.by}: no gauntlet is played; resume first")
        known = await self._add(candidate)
        if gauntlet_games is None and _has_passed(known, self._learner(candidate)):
            return await self._passed_before(candidate, known)
        try:
            job = await self._judged(candidate, gauntlet_games)
        except TimeoutError:
            return _failed(candidate, f"no verdict in {VERDICT_S / 3600:g} h; the gauntlet goes on")
        if isinstance(job, str):
            return _failed(candidate, job)
        return await self._judgement(candidate, job)

    async def force(self, model_path: str, board_type: str, num_players: int, reason: str) -> PromotionResult:
        """Promote a net without any game, a blocked one too; RulesError without a reason."""
        if not reason.strip():
            raise RulesError("a forced promotion needs a reason")
        candidate = await self._admitted(model_path, board_type, num_players)
        return await self._forced(candidate, reason)

    # ---- the steps ----

    async def _admitted(self, model_path: str, board_type: str, num_players: int) -> Candidate:
        key = ConfigKey(board_type, num_players)
        return Candidate(key, await self._admit(model_path, key))

    def _refusal(self, candidate: Candidate) -> str | None:
        """Why games would be in vain."""
        learner = self._learner(candidate)
        if candidate.net.sha256 == learner.champion:
            return f"{candidate.short} is the champion already"
        why = learner.blocked.get(candidate.net.sha256)
        return None if why is None else f"{candidate.short} is blocked ({why}); only force promotes it"

    async def _add(self, candidate: Candidate) -> Net:
        """The net as the state knows it."""
        if candidate.net.sha256 not in self._learner(candidate).nets:
            await self._proposer.propose(
                AddNet(game=candidate.game, **candidate.net.model_dump(exclude={"rules_digest"}))
            )  # refused when another request has added it
        return self._learner(candidate).nets[candidate.net.sha256]

    async def _judged(self, candidate: Candidate, games: int | None) -> Job | str:
        """The gauntlet, when it has ended well; else why there is no verdict. TimeoutError after `VERDICT_S`."""
        name = self._gauntlet_of(candidate)
        if name is None:
            seed = seed_of(f"{self._settings.seed}/gauntlet/{candidate.net.sha256}", self._consensus.state.seq)
            form = asked_form(self._settings, games)
            answer = await self._proposer.propose(
                Judge(game=candidate.game, candidate=candidate.net.sha256, seed=seed, form=form)
            )
            name = answer.job or self._gauntlet_of(candidate)
            if name is None:
                return answer.reason
        async with asyncio.timeout(VERDICT_S):
            job = await self._ended(name)
        if job is None:
            return f"{name} is forgotten"
        return job if job.status is JobStatus.SUCCEEDED else f"{name} {job.status}: {job.reason}"

    def _gauntlet_of(self, candidate: Candidate) -> str | None:
        """The gauntlet that the net waits for or is in."""
        jobs = self._consensus.state.jobs.of(candidate.game, "gauntlet")
        mine = (it for it in jobs if isinstance(it.task, GauntletTask) and it.task.candidate == candidate.net.sha256)
        return next((job.id for job in mine), None)

    async def _ended(self, name: str) -> Job | None:
        """A job that has ended; None when nobody remembers it."""
        while True:
            version, jobs = self._consensus.version, self._consensus.state.jobs
            if name not in jobs.active:
                return jobs.finished.get(name)
            await self._consensus.changed(version, LOOK_S)

    async def _judgement(self, candidate: Candidate, job: Job) -> PromotionResult:
        """The result of a gauntlet that has ended: promoted, if it was passed."""
        assert isinstance(job.outcome, GauntletOutcome), "a gauntlet ends with the outcome of one"
        if job.outcome.verdict != "passed":
            return _failed(candidate, job.outcome.reason, **played(job.outcome, candidate.net.sha256))
        result = await self._promoted(candidate)
        return result.model_copy(update=played(job.outcome, candidate.net.sha256))

    async def _passed_before(self, candidate: Candidate, net: Net) -> PromotionResult:
        """The promotion of a net whose gauntlet was played earlier."""
        result = await self._promoted(candidate)
        finished = reversed(self._consensus.state.jobs.finished.values())
        outcomes = (job.outcome for job in finished if isinstance(job.outcome, GauntletOutcome))
        outcome = next((it for it in outcomes if it.result == net.gauntlet), None)
        return result if outcome is None else result.model_copy(update=played(outcome, net.sha256))

    async def _promoted(self, candidate: Candidate) -> PromotionResult:
        """Promote what has passed, unless others did so already or the champion has changed."""
        why = ""
        for _ in range(TRIES_MAX):
            learner = self._learner(candidate)
            if learner.champion == candidate.net.sha256:  # the loop was faster
                return await self._installed(candidate)
            net = learner.nets[candidate.net.sha256]
            if not _has_passed(net, learner):
                return _failed(candidate, f"the champion has changed while it was judged; ask again ({net.status})")
            decision = await asyncio.to_thread(self._controller.promotion_of, learner, net)
            if not decision.bodies:
                return _failed(candidate, decision.waits[0].why)
            answer = await self._proposer.propose(decision.bodies[0])
            if answer.accepted:
                return await self._installed(candidate)
            why = answer.reason
        return _failed(candidate, why)

    async def _forced(self, candidate: Candidate, reason: str) -> PromotionResult:
        why = ""
        for _ in range(TRIES_MAX):
            present = present_state(self._learner(candidate))
            decision = self._policy.force(
                candidate.key, candidate.net.sha256, candidate.net.rules_digest, present, reason
            )
            if not decision.promoted:
                return _failed(candidate, decision.reason, how="manual")
            await self._add(candidate)
            answer = await self._proposer.propose(
                Promote(
                    game=candidate.game,
                    candidate=candidate.net.sha256,
                    expected=decision.replaces,
                    how="manual",
                    reason=decision.reason,
                )
            )
            if answer.accepted:
                return await self._installed(candidate, how="manual")
            why = answer.reason
        return _failed(candidate, why, how="manual")

    async def _installed(self, candidate: Candidate, **more: object) -> PromotionResult:
        """The result of a promotion, when the canonical file is there or is waited for no longer."""
        learner = self._learner(candidate)
        reign = next(it for it in reversed(learner.reigns) if it.sha256 == candidate.net.sha256)
        rating = rating_of(learner.ratings, candidate.net.sha256)
        patience_s = self._settings.promotion.distribution_timeout_seconds
        there = await wait_installed(self._registry, candidate.key, candidate.net.sha256, patience_s)
        result = PromotionResult(
            game=candidate.game,
            promoted=True,
            sha256=candidate.net.sha256,
            replaces=reign.replaced,
            canonical_path=str(self._registry.files.canonical(candidate.key)) if there else None,
            gauntlet=reign.evidence,
            remark="" if there else "champion, but its file is not installed yet: see what the node reports",
            elo=None if rating is None else rating.elo,
            elo_margin=None if rating is None else rating.margin,
        )
        return result.model_copy(update={"passed": reign.kind == "gate", **more})

    def _learner(self, candidate: Candidate) -> Learner:
        return self._consensus.state.learner(candidate.game)


async def wait_installed(registry: ModelRegistry, key: ConfigKey, sha256: str, timeout_s: float = INSTALL_S) -> bool:
    """Wait until a net is in production on this node; False when it is not by then."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            present = await asyncio.to_thread(registry.production, key)
        except StorageError:
            present = None
        if present is not None and present.sha256 == sha256:
            return True
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(INSTALL_LOOK_S)


def _has_passed(net: Net, learner: Learner) -> bool:
    return net.status is NetStatus.PASSED and net.against == learner.champion


def _failed(candidate: Candidate, reason: str, **more: object) -> PromotionResult:
    result = PromotionResult(game=candidate.game, promoted=False, sha256=candidate.net.sha256, failure_reason=reason)
    return result.model_copy(update=dict(more))
