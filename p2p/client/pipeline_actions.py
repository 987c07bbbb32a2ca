"""Steps of the pipeline that a person starts, under the documents' names; those that a node does not take are later."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from managers.promotion_result import PromotionResult
from p2p.client.promotion import PromotionController


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of a step."""

    success: bool
    duration_seconds: float
    error: str | None
    result: PromotionResult


async def trigger_promotion(
    model_path: str,
    board_type: str,
    num_players: int,
    gauntlet_games: int | None = None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> ActionResult:
    """Judge a net and promote it if it passes; errors as those of PromotionController."""
    began = monotonic()
    result = await PromotionController().evaluate_and_promote(model_path, board_type, num_players, gauntlet_games)
    return ActionResult(result.promoted, monotonic() - began, result.failure_reason, result)
