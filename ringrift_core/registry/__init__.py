"""The registry: versions of nets by content, which of them is in production, and when that should change.

Artefacts (`ModelRegistry`) and pure policies; nothing here waits, talks to other nodes or starts anything: controllers
in `managers` carry decisions out. torch is loaded only when a net is read. Open first: model_registry.py.
"""

from ringrift_core.registry.alert_rules import create_rollback_alert_rules
from ringrift_core.registry.history import RollbackEvent, read_history, write_history
from ringrift_core.registry.model_registry import ModelRegistry
from ringrift_core.registry.model_version import Fault, Finding, Lineage, Measured, ModelVersion, Stage, Transition
from ringrift_core.registry.promotion_policy import (
    PresentState,
    PromotionDecision,
    PromotionPolicy,
)
from ringrift_core.registry.rollback_policy import (
    Action,
    Baseline,
    CanaryBlock,
    JobReport,
    Observations,
    RollbackDecision,
    RollbackPolicy,
    RollbackThresholds,
    Trigger,
)

__all__ = [
    "Action",
    "Baseline",
    "CanaryBlock",
    "Fault",
    "Finding",
    "JobReport",
    "Lineage",
    "Measured",
    "ModelRegistry",
    "ModelVersion",
    "Observations",
    "PresentState",
    "PromotionDecision",
    "PromotionPolicy",
    "RollbackDecision",
    "RollbackEvent",
    "RollbackPolicy",
    "RollbackThresholds",
    "Stage",
    "Transition",
    "Trigger",
    "create_rollback_alert_rules",
    "read_history",
    "write_history",
]
