"""`ringrift net`: make a net with random weights, and say what a checkpoint is."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch

from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.checkpoint import CheckpointHead, load_checkpoint, save_checkpoint
from ringrift_core.nn.net import Net


def new_net(path: Path, game: str, size: str, seed: int) -> str:
    """Write a net with random weights; refuses to overwrite a file."""
    key = ConfigKey.parse(game)
    if path.exists():
        raise StorageError(f"{path} exists already; choose another name")
    torch.manual_seed(seed)
    net = Net(key, size)
    head = CheckpointHead(
        version=0, trained_at=datetime.now(UTC).isoformat(timespec="seconds"), train={"steps": 0, "seed": seed}
    )
    digest = save_checkpoint(path, net, head)
    return f"wrote {path}: {size} net for {key} with random weights, {weights(net)} of them, sha256 {digest}"


def show_net(path: Path, *, as_json: bool) -> str:
    """The head of a checkpoint, as text or as JSON."""
    checkpoint = load_checkpoint(path)
    form = {
        "config_key": str(checkpoint.net.key),
        "arch": checkpoint.net.arch.name,
        "weights": weights(checkpoint.net),
        "sha256": checkpoint.sha256,
        **asdict(checkpoint.head),
    }
    if as_json:
        return json.dumps(form)
    return "\n".join(f"{name:12} {value}" for name, value in form.items())


def weights(net: Net) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in net.parameters())
