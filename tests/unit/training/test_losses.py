"""Losses against plain loops and torch's own; a check that sees rows which are shifted by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Inputs, Net, Outputs
from ringrift_core.training.batches import Assembler, Targets
from ringrift_core.training.losses import losses_of, policy_loss
from tests.training_shards import KEY, all_rows, games, shard

COUNTS = torch.tensor([3, 2, 7, 1, 40, 2])
Batch = tuple[Inputs, Targets]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    folder = tmp_path_factory.mktemp("data")
    shard(folder, games(count=6))
    rows = all_rows(folder).take(np.arange(0, 60, 2))
    return Assembler(ConfigKey.parse(KEY), torch.device("cpu")).assemble(rows, np.zeros(30, np.int64))


def drawn_outputs(batch: Batch) -> Outputs:
    generator = torch.Generator().manual_seed(2)
    inputs, targets = batch
    seats, cells = targets.value.shape[1], targets.ownership.shape[1]
    shapes = ((len(inputs.ids),), (30, seats), (30, seats, 2), (30, seats + 1, cells))
    return Outputs(*(torch.randn(shape, generator=generator) for shape in shapes))


def slow_policy_loss(logits: Tensor, counts: Tensor, target: Tensor) -> Tensor:
    total, first = torch.zeros(()), 0
    for count in counts.tolist():
        part = slice(first, first + count)
        total += F.cross_entropy(logits[part][None], target[part][None])
        first += count
    return total / len(counts)


def ragged() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(int(COUNTS.sum()), generator=generator) * 5
    target = torch.cat([torch.softmax(torch.randn(n, generator=generator), 0) for n in COUNTS.tolist()])
    return logits, target


def test_the_policy_loss_is_the_mean_of_the_rows_cross_entropies():
    logits, target = ragged()
    torch.testing.assert_close(policy_loss(logits, COUNTS, target), slow_policy_loss(logits, COUNTS, target))


def test_its_gradient_is_that_of_the_rows_too():
    logits, target = ragged()
    fast, slow = (logits.clone().requires_grad_() for _ in range(2))
    policy_loss(fast, COUNTS, target).backward()
    slow_policy_loss(slow, COUNTS, target).backward()
    torch.testing.assert_close(fast.grad, slow.grad)


def test_rows_shifted_by_one_are_seen():
    logits, target = ragged()
    right = policy_loss(logits, COUNTS, target)
    assert abs(policy_loss(logits, COUNTS.roll(1), target) - right) > 0.1
    assert abs(policy_loss(logits, COUNTS, target.roll(1)) - right) > 0.1


def test_a_perfect_policy_has_the_entropy_of_its_target_as_loss():
    _, target = ragged()
    entropy = -(target * target.log()).sum() / len(COUNTS)
    torch.testing.assert_close(policy_loss(target.log() + 3, COUNTS, target), entropy)


def test_large_logits_overflow_nothing():
    logits = torch.tensor([1e30, -1e30, 0.0, 1e4, 1e4])
    target = torch.tensor([1.0, 0.0, 0.0, 0.5, 0.5])
    torch.testing.assert_close(policy_loss(logits, torch.tensor([3, 2]), target), torch.tensor(np.log(2) / 2).float())


def test_the_other_losses_are_those_of_torch(batch):
    inputs, targets = batch
    outputs = drawn_outputs(batch)
    assert outputs.ownership is not None
    assert outputs.score is not None
    losses = losses_of(outputs, inputs, targets, ownership_weight=0.3, score_weight=0.7)
    torch.testing.assert_close(losses.policy, slow_policy_loss(outputs.logits, inputs.counts, targets.policy))
    torch.testing.assert_close(losses.value, F.cross_entropy(outputs.win, targets.value))
    by_cell = [F.cross_entropy(outputs.ownership[:, :, cell], targets.ownership[:, cell]) for cell in range(61)]
    torch.testing.assert_close(losses.ownership, torch.stack(by_cell).mean())
    torch.testing.assert_close(losses.score, F.huber_loss(outputs.score, targets.score))
    total = losses.policy + losses.value + 0.3 * losses.ownership + 0.7 * losses.score
    torch.testing.assert_close(losses.total, total)


def test_targets_of_other_rows_are_seen_by_every_loss(batch):
    inputs, targets = batch
    perfect = Outputs(
        (targets.policy + 1e-6).log(),
        (targets.value + 1e-6).log(),
        targets.score,
        F.one_hot(targets.ownership, 3).transpose(1, 2).float() * 10,
    )
    moved = replace(
        targets,
        policy=targets.policy.roll(1),
        value=targets.value.roll(1, 0),
        ownership=targets.ownership.roll(1, 1),
        score=targets.score.roll(7, 0),
    )
    right, wrong = (losses_of(perfect, inputs, it, ownership_weight=1, score_weight=1) for it in (targets, moved))
    assert wrong.policy > right.policy + 0.5
    assert wrong.value > right.value + 0.1
    assert wrong.ownership > right.ownership + 0.1
    assert wrong.score > right.score + 0.01


def test_a_net_that_knows_nothing_has_the_losses_of_chance(batch):
    inputs, targets = batch
    outputs = Outputs(torch.zeros(len(inputs.ids)), torch.zeros(30, 2), torch.zeros(30, 2, 2), torch.zeros(30, 3, 61))
    losses = losses_of(outputs, inputs, targets, ownership_weight=0, score_weight=0)
    assert float(losses.policy) == pytest.approx(float(inputs.counts.float().log().mean()), rel=1e-5)
    assert float(losses.value) == pytest.approx(np.log(2), rel=1e-3)  # root values are float16
    assert float(losses.ownership) == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_of_a_net_are_finite_in_both_precisions(batch, dtype):
    inputs, targets = batch
    torch.manual_seed(1)
    net = Net(ConfigKey.parse(KEY), "nano")
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        outputs = net(inputs, auxiliary=True)
    losses = losses_of(outputs, inputs, targets, ownership_weight=0.3, score_weight=0.3)
    losses.total.backward()
    assert losses.total.dtype == torch.float32
    assert torch.isfinite(losses.total)
    assert all(torch.isfinite(it.grad).all() for it in net.parameters() if it.grad is not None)
