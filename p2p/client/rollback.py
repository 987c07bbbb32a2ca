"""RollbackManager under the documents' name: inside a node its own, outside the same methods over HTTP.

    manager = RollbackManager(ModelRegistry())
    should, reason = manager.should_rollback("square8_2p")

Its methods wait, so on the thread of a node they are called by asyncio.to_thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial

from managers.manual_rollback import RollbackResult
from p2p.client.attached import attached
from p2p.client.node_errors import NodeRefusal
from p2p.client.node_http import Answer, Form, node_http
from p2p.client.not_yet import not_yet
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry, RollbackEvent, RollbackThresholds

ROUTE = "/admin/rollback"
BY_HAND = "asked for by p2p.client"
NODE_S = 60.0  # for the node of this process to do it


class ShouldAnswer(Answer):
    """The answer of GET /admin/rollback/{model_id}."""

    should_rollback: bool
    reason: str


class HistoryAnswer(Answer):
    """The answer of GET /admin/rollback."""

    rollbacks: tuple[RollbackEvent, ...]


class RollbackForm(Answer):
    """The part of a node's settings that thresholds are compared with."""

    rollback: Mapping[str, object]


class ConfigAnswer(Answer):
    """The part of GET /config that is read here."""

    settings: RollbackForm


class RollbackManager:
    """Takes champions back. A model id is a configuration, such as square8_2p."""

    def __init__(self, registry: ModelRegistry | None = None, thresholds: RollbackThresholds | None = None) -> None:
        """The node has a registry of its own, and decides by its own thresholds (settings `rollback`).

        `registry` is taken for the documents' sake; other thresholds than the node's are refused when they would count.
        """
        self._registry = registry
        self._thresholds = thresholds

    def should_rollback(self, model_id: str) -> tuple[bool, str]:
        """Whether the games say that the champion is to be taken back, and why or why not."""
        key = str(ConfigKey.parse(model_id))
        self._check_thresholds()
        if (here := attached()) is not None:
            return here.node.rollback.should_rollback(key)
        found = _newer(f"{ROUTE}/{{model_id}}", "ringrift loop --status", partial(self._get, f"{ROUTE}/{key}"))
        return found.should_rollback, found.reason

    def rollback_model(self, model_id: str, to_version: int | None = None, reason: str = BY_HAND) -> RollbackResult:
        """Make a former champion champion again, the one before without a version; the digest replaced is blocked."""
        if (here := attached()) is not None:
            rollback = here.node.rollback
            return here.wait(lambda: rollback.rollback_model(model_id, to_version, reason), NODE_S)
        key = str(ConfigKey.parse(model_id))
        try:
            body = {"model_id": key, "to_version": to_version, "reason": reason}
            return node_http().post(ROUTE, RollbackResult, body)
        except NodeRefusal as refusal:
            if refusal.status != 409:
                raise
            return RollbackResult(model_id=key, success=False, reason=reason, failure_reason=str(refusal))

    def get_rollback_history(self, model_id: str | None = None, limit: int | None = None) -> tuple[RollbackEvent, ...]:
        """Rollbacks, newest first; those of every configuration without a model id. Over HTTP the latest hundred."""
        if (here := attached()) is not None:
            rollback = here.node.rollback
            return here.wait(lambda: rollback.get_rollback_history(model_id, limit), NODE_S)
        key = None if model_id is None else str(ConfigKey.parse(model_id))
        found = node_http().get(ROUTE, HistoryAnswer).rollbacks
        return tuple(event for event in found if key in {None, event.model_id})[:limit]

    def set_baseline(self, model_id: str, metrics: Mapping[str, object]) -> None:
        """Write down what the production net was worth when it was promoted; kept with its version."""
        if (here := attached()) is not None:
            rollback = here.node.rollback
            here.wait(lambda: rollback.set_baseline(model_id, metrics), NODE_S)
            return
        key = str(ConfigKey.parse(model_id))
        path = f"{ROUTE}/{key}/baseline"
        write = partial(node_http().post, path, Answer, {"metrics": dict(metrics)})
        _newer(f"{ROUTE}/{{model_id}}/baseline", "the node keeps the Elo at the start of each reign itself", write)

    def _get(self, path: str) -> ShouldAnswer:
        return node_http().get(path, ShouldAnswer)

    def _check_thresholds(self) -> None:
        """RulesError when the node would decide by others."""
        if self._thresholds is None:
            return
        here = attached()
        if here is not None:
            theirs: Mapping[str, object] = here.node.settings.rollback.model_dump()
        else:
            theirs = node_http().get("/config", ConfigAnswer).settings.rollback
        for field in fields(RollbackThresholds):
            mine, node = getattr(self._thresholds, field.name), theirs.get(field.name)
            if node != mine:
                raise RulesError(
                    f"{field.name} is {mine}, and the node decides with {node}; set rollback.{field.name} there"
                )


def _newer(path: str, meanwhile: str, ask: Callable[[], Form]) -> Form:
    """The answer of a route that not every node has."""
    try:
        return ask()
    except NodeRefusal as refusal:
        if refusal.status not in {404, 405}:
            raise
        raise not_yet(f"the node's route {path}", meanwhile) from refusal
