"""Checkpoints: a net as one file that can be read without running anything in it (docs/formats/checkpoint.md).

A checkpoint is a PyTorch file of plain values and tensors, read with `weights_only=True`. A file made for another game,
encoder or version of the rules is refused, as is one that holds Python objects. Its identity is the file's SHA-256.
"""

import hashlib
import io
import math
import struct
import zipfile
import zlib
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


FIELDS = ("format", *HEAD_FIELDS, "config_key", "arch", "encoder", "rules_digest", "state_dict")
DEPTH_MAX = 8  # of mappings and lists in each other
# what torch raises for a damaged file, or for one whose values are not what its structure promises
DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    OSError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    ImportError,
    struct.error,
)


def save_checkpoint(path: Path, net: Net, head: CheckpointHead) -> str:
    """Write a checkpoint, complete or not at all; return its SHA-256. StorageError when nobody could read it."""
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
    _head_of(path, form)
    _refuse_infinite(path, net)
    torch.save(form, content)
    make_folder(path.parent)
    write_whole(path, content.getvalue())
    sync_folder(path.parent)
    return hashlib.sha256(content.getvalue()).hexdigest()


def load_checkpoint(path: Path, key: ConfigKey | None = None) -> Checkpoint:
    """Read a checkpoint, for `key` if given; StorageError says why a file is refused."""
    content = read_bounded(path, SIZE_MAX)
    form = parse_container(path, content, FORMAT)
    head = _head_of(path, form)
    _refuse_foreign(path, form, key)
    with torch.random.fork_rng(devices=[]):  # reading a net takes no random numbers from the caller
        net = Net(ConfigKey.parse(form["config_key"]), form["arch"])
    _refuse_weights(path, form["state_dict"])
    try:
        net.load_state_dict(form["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise StorageError(f"{path}: its weights do not fit: {str(error).splitlines()[0]}") from None
    _refuse_infinite(path, net)
    return Checkpoint(net.eval(), head, hashlib.sha256(content).hexdigest())


def parse_container(path: Path, content: bytes, name: str) -> dict[str, Any]:
    """What a file of tensors and plain values holds, once its checksums are right and its `format` is `name`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in container.infolist())
            spoiled = "it is compressed" if packed else container.testzip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, *DAMAGE) as error:
        spoiled = str(error) or type(error).__name__
    if spoiled is not None:
        raise StorageError(f"{path}: damaged, or no file of the format {name} ({spoiled})")
    try:
        form = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise StorageError(f"{path}: holds Python objects besides tensors and plain values; it is not loaded") from None
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(f"{path}: damaged, or no file of the format {name} ({reason})") from None
    if not isinstance(form, dict) or form.get("format") != name:
        raise StorageError(f"{path}: no file of the format {name}")
    return form


def _head_of(path: Path, form: dict[str, Any]) -> CheckpointHead:
    for name in FIELDS:
        if name not in form:
            raise StorageError(f"{path}: {name!r} is missing")
    for name, kinds in HEAD_TYPES.items():
        if type(form[name]) not in kinds or not _is_plain(form[name], DEPTH_MAX):
            raise StorageError(f"{path}: {name!r} is of the wrong type or holds what is no plain value")
    return CheckpointHead(**{name: form[name] for name in HEAD_FIELDS})


def _is_plain(value: object, depth: int) -> bool:
    """True for what JSON can say: finite numbers, texts, lists and mappings by text, nested not too deeply."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        texts = all(type(name) is str for name in value)
        return texts and depth > 0 and all(_is_plain(item, depth - 1) for item in value.values())
    return value is None or isinstance(value, str | int)


def _refuse_weights(path: Path, weights: object) -> None:
    if not isinstance(weights, dict):
        raise StorageError(f"{path}: its weights do not fit: they are no mapping")
    for name, weight in weights.items():
        dense = isinstance(weight, torch.Tensor) and weight.layout is torch.strided and weight.device.type == "cpu"
        if type(name) is not str or not dense or weight.dtype is not torch.float32:
            raise StorageError(f"{path}: its weights do not fit: {name!r} is no dense float32 tensor")


def _refuse_infinite(path: Path, net: Net) -> None:
    for name, weight in net.state_dict().items():
        if not bool(torch.isfinite(weight).all()):
            raise StorageError(f"{path}: its weights do not fit: {name!r} holds what is no finite number")


def _refuse_foreign(path: Path, form: dict[str, Any], key: ConfigKey | None) -> None:
    expected = {"encoder": ENCODER, "rules_digest": Game.RULES_DIGEST}
    if key is not None:
        expected["config_key"] = str(key)
    for name, value in expected.items():
        if form[name] != value:
            raise StorageError(f"{path}: its {name} is {form[name]!r}; here it must be {value!r}")
    if not isinstance(form["arch"], str) or form["arch"] not in ARCHS:
        raise StorageError(f"{path}: its arch is {form['arch']!r}; known are {', '.join(ARCHS)}")
    try:
        ConfigKey.parse(form["config_key"])
    except (RulesError, TypeError):
        raise StorageError(f"{path}: its config_key {form['config_key']!r} names no game") from None
