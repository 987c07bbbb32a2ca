"""What corrupted targets do: a net trained on them judges sound games clearly worse than one trained on sound ones."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import SelfplaySpec
from ringrift_core.nn.net import Net
from ringrift_core.training.batches import Assembler
from ringrift_core.training.losses import Losses
from ringrift_core.training.stream import Rows
from ringrift_core.training.trainer import Trainer, TrainerSettings
from tests.training_shards import KEY, all_rows

STEPS, BATCH = 60, 32


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Rows]:
    """Rows of the rules of thumb to train on, and of other games to judge by."""
    found = []
    for seed, count in ((1, 60), (2, 12)):
        folder = tmp_path_factory.mktemp("data")
        asked = SelfplaySpec(
            game=KEY, model="heuristic", out=folder, seed=seed, games=count, sims=0, deterministic=True
        )
        run_selfplay(asked, lambda _report: None, lambda: False)
        found.append(all_rows(folder))
    return found[0], found[1]


def with_shuffled_policies(rows: Rows) -> Rows:
    """The entries of each target among the decisions of its row."""
    rng, policy = np.random.default_rng(1), rows.policy.copy()
    for first, last in zip(rows.legal.offsets, rows.legal.offsets[1:], strict=False):
        rng.shuffle(policy[first:last])
    return replace(rows, policy=policy)


def with_shuffled_winners(rows: Rows) -> Rows:
    """The winners among the rows."""
    return replace(rows, value=rows.value[np.random.default_rng(1).permutation(len(rows))])


def trained_on(rows: Rows, judged: Rows) -> Losses:
    """The losses on rows that are judged, of a net trained on others."""
    key = ConfigKey.parse(KEY)
    torch.manual_seed(1)
    trainer = Trainer(Net(key, "nano"), TrainerSettings(STEPS, learning_rate=1e-2, ema=0.9), torch.device("cpu"))
    assembler = Assembler(key, torch.device("cpu"))
    for which, symmetries in drawn(assembler, len(rows)):
        trainer.step(*assembler.assemble(rows.take(which), symmetries))
    return trainer.judge(*assembler.assemble(judged, np.zeros(len(judged), np.int64)))


def drawn(assembler: Assembler, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    for _ in range(STEPS):
        yield rng.choice(count, BATCH, replace=False), assembler.symmetries(BATCH, rng)


def test_shuffled_targets_teach_nothing_that_sound_games_confirm(rows):
    """Measured: policy 2.62 and 2.76 (chance 2.75, the least 2.39), value 0.60 and 0.69."""
    taught, judged = rows
    chance = float(np.log(np.diff(judged.legal.offsets)).mean())
    sound = trained_on(taught, judged)
    shuffled = trained_on(with_shuffled_winners(with_shuffled_policies(taught)), judged)
    assert sound.policy < chance - 0.08
    assert sound.value < np.log(2) - 0.04
    assert shuffled.policy > chance - 0.02
    assert shuffled.value > np.log(2) - 0.02
