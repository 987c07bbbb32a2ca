"""Checkpoints on disk for tests of the registry."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import torch

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.checkpoint import CheckpointHead, save_checkpoint
from ringrift_core.nn.net import Net

KEY = ConfigKey.parse("hex8_2p")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SavedNet:
    path: Path
    sha256: str


@cache
def random_net(key: ConfigKey) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Net(key, "nano")


def saved_net(folder: Path, label: int, parent: str | None = None, key: ConfigKey = KEY) -> SavedNet:
    """The same weights under another label are another file, and so another net."""
    path = folder / f"{key}-{label}.pth"
    head = CheckpointHead(
        label,
        f"2026-01-01T00:00:{label:02}+00:00",
        elo=1500.5,
        parent=parent,
        data={"rows": 10},
        train={"steps": label},
        gauntlet={"random": {"share": 0.9}},
    )
    return SavedNet(path, save_checkpoint(path, random_net(key), head))


def family(folder: Path, count: int) -> list[SavedNet]:
    """Nets of which each is the parent of the next."""
    nets: list[SavedNet] = []
    for label in range(1, count + 1):
        nets.append(saved_net(folder, label, nets[-1].sha256 if nets else None))
    return nets
