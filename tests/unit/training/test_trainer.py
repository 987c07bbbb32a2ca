"""The trainer: its schedule, its average, that it learns, and that a resumed one is the same to the bit."""

import io
from copy import deepcopy
from math import cos, pi

import numpy as np
import pytest
import torch

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Inputs, Net
from ringrift_core.training.batches import Assembler, Targets
from ringrift_core.training.trainer import CLIP, Trainer, TrainerSettings, parameter_groups, rate_share
from tests.training_shards import KEY, all_rows, games, shard

CPU = torch.device("cpu")
Batch = tuple[Inputs, Targets]


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Batch]:
    """Three batches of 16 rows."""
    folder = tmp_path_factory.mktemp("data")
    shard(folder, games(count=6))
    rows = all_rows(folder)
    assembler = Assembler(ConfigKey.parse(KEY), CPU)
    parts = np.random.default_rng(1).permutation(len(rows))[:48].reshape(3, 16)
    return [assembler.assemble(rows.take(part), np.zeros(16, np.int64)) for part in parts]


def new_net(seed: int = 1) -> Net:
    torch.manual_seed(seed)
    return Net(ConfigKey.parse(KEY), "nano")


def trainer_of(**settings) -> Trainer:
    return Trainer(new_net(), TrainerSettings(**{"steps": 10, **settings}), CPU)


def weights(net: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in net.parameters()]


def test_the_learning_rate_rises_for_a_hundred_steps_and_falls_by_a_cosine():
    shares = [rate_share(step, 2000) for step in (0, 49, 99, 100, 1050, 2000)]
    assert shares == pytest.approx([0.01, 0.5, 1.0, 1.0, 0.525, 0.05])
    assert rate_share(575, 2000) == pytest.approx(0.05 + 0.95 * (1 + cos(pi / 4)) / 2)
    assert rate_share(3000, 2000) == pytest.approx(0.05)  # never below


def test_a_short_run_warms_up_for_a_tenth_of_its_steps():
    assert [rate_share(step, 50) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert rate_share(0, 1) == 1.0
    assert rate_share(0, 9) == 1.0


def test_a_step_uses_the_rate_of_its_number(batches):
    trainer = trainer_of(steps=50, learning_rate=0.01)
    rates = []
    for number in range(6):
        trainer.step(*batches[number % 3])
        rates.append(trainer.learning_rate)
        assert {group["lr"] for group in trainer._optimiser.param_groups} == {trainer.learning_rate}
    assert rates == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])


def test_the_average_follows_the_net_and_forgets_faster_early_on(batches):
    trainer = trainer_of(ema=0.5)
    expected, kept = weights(trainer.average), 0.0
    for step in range(1, 12):
        trainer.step(*batches[step % 3])
        kept = min(0.5, (1 + step) / (10 + step))
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected, weights(trainer.net), strict=True)]
    assert kept == 0.5
    for wanted, found in zip(expected, weights(trainer.average), strict=True):
        torch.testing.assert_close(found, wanted)
    assert not any(parameter.requires_grad for parameter in trainer.average.parameters())


def test_without_memory_the_average_is_the_net(batches):
    trainer = trainer_of(ema=0.0)
    trainer.step(*batches[0])
    for one, other in zip(weights(trainer.net), weights(trainer.average), strict=True):
        torch.testing.assert_close(one, other)


def test_one_batch_is_learned_by_heart(batches):
    trainer = trainer_of(steps=60, learning_rate=0.01, ema=0.0)
    inputs, targets = batches[0]
    entropy = -(targets.policy * targets.policy.clamp_min(1e-30).log()).sum() / 16
    first = trainer.step(inputs, targets)
    for _ in range(58):
        trainer.step(inputs, targets)
    last = trainer.step(inputs, targets)
    assert first.policy - entropy > 1.0
    assert last.policy - entropy < 0.3
    # root values are mixed in: the least value loss is the entropy of the target
    least = -(targets.value * targets.value.clamp_min(1e-30).log()).sum(1).mean()
    assert last.value - least < 0.2
    assert last.ownership < 0.9 * first.ownership
    assert trainer.judge(inputs, targets).policy < first.policy - 0.5


def run_on(trainer: Trainer, batches: list[Batch], first: int, last: int) -> None:
    for number in range(first, last):
        trainer.step(*batches[number % 3])


def assert_equal_states(one: Trainer, other: Trainer) -> None:
    for mine, yours in ((one.net, other.net), (one.average, other.average)):
        assert all(map(torch.equal, weights(mine), weights(yours)))
    assert one.step_number == other.step_number
    moments, others = (list(it._optimiser.state_dict()["state"].values()) for it in (one, other))
    for mine, yours in zip(moments, others, strict=True):
        assert all(torch.equal(mine[name], yours[name]) for name in mine)


@pytest.mark.parametrize("stop", [1, 5])
def test_a_resumed_trainer_is_the_same_to_the_bit(batches, stop):
    """Through a file, into a trainer whose net began with other weights."""
    straight = trainer_of()
    run_on(straight, batches, 0, 8)
    stopped = trainer_of()
    run_on(stopped, batches, 0, stop)
    content = io.BytesIO()
    torch.save(stopped.state(), content)
    content.seek(0)
    resumed = Trainer(new_net(seed=9), TrainerSettings(steps=10), CPU)
    resumed.resume(torch.load(content, weights_only=True))
    run_on(resumed, batches, stop, 8)
    assert_equal_states(resumed, straight)


def test_a_state_without_the_moments_is_not_the_same(batches):
    """The check above can fail: the optimiser forgotten, the weights differ."""
    straight, forgetful = trainer_of(), trainer_of()
    run_on(straight, batches, 0, 8)
    run_on(forgetful, batches, 0, 5)
    state = deepcopy(forgetful.state())
    state["optimiser"] = trainer_of()._optimiser.state_dict()
    resumed = trainer_of()
    resumed.resume(state)
    run_on(resumed, batches, 5, 8)
    assert not all(map(torch.equal, weights(resumed.net), weights(straight.net)))


@pytest.mark.parametrize("head", ["ownership", "score"])
def test_a_head_of_no_weight_gets_no_gradient(batches, head):
    trainer = trainer_of(**{f"{head}_weight": 0.0}, weight_decay=0.0)
    before = {name: it.detach().clone() for name, it in trainer.net.named_parameters()}
    run_on(trainer, batches, 0, 3)
    for name, it in trainer.net.named_parameters():
        if name.startswith(f"{head}."):
            assert it.grad is not None
            assert not it.grad.any()
            assert torch.equal(it, before[name])
    other = {"ownership": "score", "score": "ownership"}[head]
    assert not torch.equal(trainer.net.get_parameter(f"{other}.weight"), before[f"{other}.weight"])


def test_weights_decay_and_biases_do_not():
    net = new_net()
    decaying, others = parameter_groups(net, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert all(it.ndim > 1 for it in decaying["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(list(net.parameters()))


def test_a_gradient_is_clipped(batches):
    inputs, targets = batches[0]
    trainer = trainer_of(ownership_weight=100.0, score_weight=100.0)
    trainer.step(inputs, targets)
    norm = torch.stack([it.grad.norm() for it in trainer.net.parameters() if it.grad is not None]).norm()
    assert float(norm) == pytest.approx(CLIP, rel=1e-4)


def test_a_weight_that_is_no_number_is_noticed(batches):
    trainer = trainer_of()
    assert trainer.is_finite()
    with torch.no_grad():
        next(trainer.average.parameters()).view(-1)[3] = torch.nan
    assert not trainer.is_finite()


def test_bf16_trains_about_the_same_net(batches):
    plain = trainer_of()
    half = Trainer(new_net(), TrainerSettings(steps=10), CPU, bf16=True)
    losses = [(float(plain.step(*batch).total), float(half.step(*batch).total)) for batch in batches]
    assert all(one == pytest.approx(other, rel=0.02) for one, other in losses)
    assert losses[0][0] != losses[0][1]
    assert {it.dtype for it in half.net.parameters()} == {torch.float32}
