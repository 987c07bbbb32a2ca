"""ManualRollback: a person asks about rollbacks, or for one.

    result = await pipeline.rollback.rollback_model("square8_2p", to_version=3, reason="Manual override")

A model id is a configuration; versions are the numbers that this node's registry gives.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from config.schema import Settings
from managers.manual_promotion import wait_installed
from managers.node_folder import NodeFolder
from managers.patience import unless_in_vain
from managers.ports import LedConsensus
from managers.proposer import Proposer
from managers.rollback_manager import RollbackManager, get_rollback_history
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import RollBack
from managers.state.learners import Learner
from managers.state.record import Count, Digest, Game, Record, Text
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry, RollbackEvent, Trigger

WRITE_S = 10.0  # for a rollback to be written; who asks holds a connection open
BASELINE = "baseline"  # name of the metrics that `set_baseline` writes down


class RollbackResult(Record):
    """What came of the wish to roll back."""

    model_id: Game
    success: bool
    from_version: Count | None = None
    from_sha256: Digest | None = None
    to_version: Count | None = None
    to_sha256: Digest | None = None
    reason: Text = ""
    failure_reason: Text | None = None
    canonical_path: str | None = None  # where the net is installed again


class ManualRollback:
    """The methods of RollbackManager that people call."""

    def __init__(
        self,
        settings: Settings,
        consensus: LedConsensus[ClusterState, Result],
        proposer: Proposer,
        folder: NodeFolder,
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives the loop's unix seconds."""
        self._consensus = consensus
        self._proposer = proposer
        self._registry = ModelRegistry(folder.models)
        self._clock = clock
        self._manager = RollbackManager(settings)

    def should_rollback(self, model_id: str) -> tuple[bool, str]:
        """Whether the games say that the champion is to be taken back, and why or why not; some ms of computing."""
        learner = self._learner(model_id)
        decision = self._manager.should_rollback(learner, self._clock())
        if decision is None:
            return False, f"{model_id} has no champion"
        return decision.should, decision.reason

    async def rollback_model(self, model_id: str, to_version: int | None = None, reason: str = "") -> RollbackResult:
        """Make a former champion champion again, the one before without a version; the digest replaced is blocked.

        RulesError without a reason, or for a version that is not known. StorageError when it cannot be written: it is
        not tried again, and the history tells whether a slow disk has written it all the same.
        """
        if not reason.strip():
            raise RulesError("a manual rollback needs a reason")
        learner, key = self._learner(model_id), ConfigKey.parse(model_id)
        to = None
        if to_version is not None:
            to = (await asyncio.to_thread(self._registry.get, key, to_version)).sha256
        body = self._manager.rollback(learner, Trigger.MANUAL, reason, to)
        if body is None:
            why = "no champion" if learner.champion is None else "no earlier champion that is not blocked"
            return RollbackResult(
                model_id=model_id, success=False, reason=reason, failure_reason=f"{model_id} has {why}"
            )
        answer = await self._written(body)
        versions = await asyncio.to_thread(self._versions, key)
        result = RollbackResult(
            model_id=model_id,
            success=answer.accepted,
            from_version=versions.get(body.expected),
            from_sha256=body.expected,
            to_version=versions.get(body.to),
            to_sha256=body.to,
            reason=reason,
            failure_reason=None if answer.accepted else answer.reason,
        )
        if answer.accepted and await wait_installed(self._registry, key, body.to):
            return result.model_copy(update={"canonical_path": str(self._registry.files.canonical(key))})
        return result

    async def get_rollback_history(
        self, model_id: str | None = None, limit: int | None = None
    ) -> tuple[RollbackEvent, ...]:
        """Rollbacks, newest first; those of every configuration without a model id."""
        learners = tuple(self._consensus.state.learners.values()) if model_id is None else (self._learner(model_id),)
        versions: dict[str, int] = {}
        for learner in learners:
            if learner.rollbacks:
                versions |= await asyncio.to_thread(self._versions, ConfigKey.parse(learner.game))
        return get_rollback_history(learners, versions, model_id, limit)

    async def set_baseline(self, model_id: str, metrics: Mapping[str, object]) -> None:
        """Write down what the production net was worth when it was promoted; RulesError where there is none.

        It is kept with the version. What decides about rollbacks is measured: the blocks of its gauntlet and the fair
        share against the champion before it.
        """
        key = ConfigKey.parse(model_id)
        present = await asyncio.to_thread(self._registry.production, key)
        if present is None:
            raise RulesError(f"{model_id} has no production net")
        now = datetime.fromtimestamp(self._clock(), UTC)
        await asyncio.to_thread(
            partial(self._registry.set_metrics, key, present.version, {BASELINE: dict(metrics)}, now)
        )

    async def _written(self, body: RollBack) -> Result:
        try:
            return await unless_in_vain(self._proposer.propose(body), lambda: self._consensus.trouble, WRITE_S)
        except TimeoutError as error:
            raise StorageError(
                f"the rollback of {body.game} cannot be written now ({error}); look at the history, then ask again"
            ) from None

    def _learner(self, model_id: str) -> Learner:
        return self._consensus.state.learner(str(ConfigKey.parse(model_id)))

    def _versions(self, key: ConfigKey) -> dict[str, int]:
        return {version.sha256: version.version for version in self._registry.versions(key)}
