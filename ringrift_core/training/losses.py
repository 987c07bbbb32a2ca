"""What training minimises: policy and value cross-entropy, and the auxiliary ownership and score losses."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from ringrift_core.nn.net import Inputs, Outputs
from ringrift_core.training.batches import Targets


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over a batch, as tensors without dimensions; policy and value in nats."""

    total: Tensor
    policy: Tensor
    value: Tensor
    ownership: Tensor
    score: Tensor


def losses_of(
    outputs: Outputs, inputs: Inputs, targets: Targets, *, ownership_weight: float, score_weight: float
) -> Losses:
    """The losses of a batch; `outputs` are those of a forward with the auxiliary heads."""
    assert outputs.ownership is not None and outputs.score is not None  # noqa: PT018
    policy = policy_loss(outputs.logits, inputs.counts, targets.policy)
    value = -(targets.value * torch.log_softmax(outputs.win, 1)).sum(1).mean()
    ownership = F.cross_entropy(outputs.ownership, targets.ownership)
    score = F.smooth_l1_loss(outputs.score, targets.score)
    total = policy + value + ownership_weight * ownership + score_weight * score
    return Losses(total, policy, value, ownership, score)


def policy_loss(logits: Tensor, counts: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of ragged rows: logits and targets [legal], row i being the next counts[i] entries."""
    rows = torch.repeat_interleave(counts, output_size=len(logits))
    highest = torch.full((len(counts),), -torch.inf, device=logits.device)
    highest = highest.scatter_reduce(0, rows, logits.detach(), "amax")
    shifted = logits - highest[rows]
    log_sums = torch.zeros_like(highest).index_add(0, rows, shifted.exp()).log()
    return -(target * (shifted - log_sums[rows])).sum() / len(counts)
