"""Checkpoints: a net as one file that can be read without running anything in it (docs/formats/checkpoint.md).

A checkpoint is a PyTorch file of plain values and tensors, read with `weights_only=True`. A file made for another game,
encoder or version of the rules is refused, as is one that holds Python objects. Its identity is the file's SHA-256.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - what torch raises for a file that holds objects
from typing import Any

import torch

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.features import ENCODER
from ringrift_core.nn.net import ARCHS, Net
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole

FORMAT = "ringrift.checkpoint/1"
SIZE_MAX = 1 << 30


@dataclass(frozen=True, slots=True)
class CheckpointHead:
    """What a checkpoint says about its net; mappings hold plain values only."""

    version: int
    trained_at: str  # UTC, ISO 8601
    elo: float | None = None
    parent: str | None = None  # sha256 of the checkpoint it was trained from
    data: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    gauntlet: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A net that was read from a file."""

    net: Net
    head: CheckpointHead
    sha256: str  # of the file


HEAD_FIELDS = tuple(CheckpointHead.__dataclass_fields__)
HEAD_TYPES: dict[str, tuple[type, ...]] = {
    "version": (int,),
    "trained_at": (str,),
    "elo": (float, int, type(None)),
    "parent": (str, type(None)),
    "data": (dict,),
    "train": (dict,),
    "gauntlet": (dict,),
}


def save_checkpoint(path: Path, net: Net, head: CheckpointHead) -> str:
    """Write a checkpoint, complete or not at all; return its SHA-256."""
    content = io.BytesIO()
    form = {
        "format": FORMAT,
        **{name: getattr(head, name) for name in HEAD_FIELDS},
        "config_key": str(net.key),
        "arch": net.arch.name,
        "encoder": ENCODER,
        "rules_digest": Game.RULES_DIGEST,
        "state_dict": {name: tensor.detach().float().cpu() for name, tensor in net.state_dict().items()},
    }
    torch.save(form, content)
    make_folder(path.parent)
    write_whole(path, content.getvalue())
    sync_folder(path.parent)
    return hashlib.sha256(content.getvalue()).hexdigest()


def load_checkpoint(path: Path, key: ConfigKey | None = None) -> Checkpoint:
    """Read a checkpoint, for `key` if given; StorageError says why a file is refused."""
    content = read_bounded(path, SIZE_MAX)
    try:
        form = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise StorageError(f"{path}: holds Python objects besides tensors and plain values; it is not loaded") from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(f"{path}: damaged, or no checkpoint ({reason})") from None
    head = _head_of(path, form)
    _refuse_foreign(path, form, key)
    try:
        net = Net(ConfigKey.parse(form["config_key"]), form["arch"])
        net.load_state_dict(form["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise StorageError(f"{path}: its weights do not fit: {str(error).splitlines()[0]}") from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in net.state_dict().values()):
        raise StorageError(f"{path}: a weight is not a finite number")
    return Checkpoint(net.eval(), head, hashlib.sha256(content).hexdigest())


def _head_of(path: Path, form: object) -> CheckpointHead:
    if not isinstance(form, dict) or form.get("format") != FORMAT:
        raise StorageError(f"{path}: no checkpoint of the format {FORMAT}")
    for name, kinds in HEAD_TYPES.items():
        if type(form.get(name)) not in kinds:
            raise StorageError(f"{path}: {name!r} is missing or of the wrong type")
    return CheckpointHead(**{name: form[name] for name in HEAD_FIELDS})


def _refuse_foreign(path: Path, form: dict[str, Any], key: ConfigKey | None) -> None:
    expected = {"encoder": ENCODER, "rules_digest": Game.RULES_DIGEST}
    if key is not None:
        expected["config_key"] = str(key)
    for name, value in expected.items():
        if form.get(name) != value:
            raise StorageError(f"{path}: its {name} is {form.get(name)!r}; here it must be {value!r}")
    if form.get("arch") not in ARCHS:
        raise StorageError(f"{path}: its arch is {form.get('arch')!r}; known are {', '.join(ARCHS)}")
    try:
        ConfigKey.parse(form.get("config_key"))  # type: ignore[arg-type]  # whatever the file holds
    except (RulesError, TypeError):
        raise StorageError(f"{path}: its config_key {form.get('config_key')!r} names no game") from None
