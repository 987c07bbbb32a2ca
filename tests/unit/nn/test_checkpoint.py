"""Checkpoints: what is written comes back; what is no checkpoint of this game is refused, nothing in it runs."""

import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn import checkpoint
from ringrift_core.nn.checkpoint import CheckpointHead, load_checkpoint, save_checkpoint
from ringrift_core.nn.features import ENCODER
from ringrift_core.nn.net_evaluator import NetEvaluator
from tests.unit.nn.positions import random_net, random_positions

KEY = "hex8_2p"
HEAD = CheckpointHead(
    version=3,
    trained_at="2026-01-02T03:04:05+00:00",
    elo=1234.5,
    parent="ab" * 32,
    data={"shards": ["x", "y"], "rows": 12},
    train={"steps": 100, "rate": 0.1, "ema": None},
    gauntlet={"random": {"won": 300, "lost": 0}},
)
Form = dict[str, Any]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("net") / "net.pth"
    save_checkpoint(path, random_net(KEY), HEAD)
    return path.read_bytes()


def read(content: bytes) -> Form:
    form: Form = torch.load(io.BytesIO(content), weights_only=True)
    return form


def refused(tmp_path: Path, form: object) -> str:
    """The message with which a file of this form is refused."""
    path = tmp_path / "bad.pth"
    torch.save(form, path)
    with pytest.raises(StorageError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ---- what comes back ----


def test_a_round_trip(tmp_path):
    path = tmp_path / "deep" / "canonical_hex8_2p.pth"
    net = random_net(KEY)
    digest = save_checkpoint(path, net, HEAD)
    found = load_checkpoint(path, ConfigKey.parse(KEY))
    assert found.sha256 == digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.head == HEAD
    assert (str(found.net.key), found.net.arch, found.net.training) == (KEY, net.arch, False)
    positions = random_positions(KEY, 5, 40)
    a, b = NetEvaluator(net).evaluate(positions), NetEvaluator(found.net).evaluate(positions)
    np.testing.assert_array_equal(a.logits, b.logits)
    np.testing.assert_array_equal(a.values, b.values)


def test_reading_takes_no_random_numbers_from_the_caller(tmp_path):
    save_checkpoint(tmp_path / "net.pth", random_net(KEY), HEAD)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_checkpoint(tmp_path / "net.pth")
    assert torch.equal(torch.rand(3), expected)


def test_the_same_net_makes_the_same_bytes(tmp_path):
    digests = {save_checkpoint(tmp_path / f"{i}.pth", random_net(KEY), HEAD) for i in range(2)}
    assert len(digests) == 1
    again = load_checkpoint(tmp_path / "0.pth")
    assert save_checkpoint(tmp_path / "2.pth", again.net, again.head) in digests


def test_two_lines_of_python_read_it(content):
    form = read(content)
    assert (form["config_key"], form["arch"], form["encoder"], form["rules_digest"], form["elo"]) == (
        KEY,
        "nano",
        ENCODER,
        Game.RULES_DIGEST,
        1234.5,
    )
    assert all(tensor.dtype == torch.float32 for tensor in form["state_dict"].values())


def test_a_net_in_another_precision_is_written_in_float32(tmp_path):
    save_checkpoint(tmp_path / "half.pth", random_net(KEY).to(torch.bfloat16), HEAD)
    assert all(p.dtype == torch.float32 for p in load_checkpoint(tmp_path / "half.pth").net.parameters())


def test_a_net_that_nobody_could_read_is_not_written(tmp_path):
    net = random_net(KEY)
    with torch.no_grad():
        net.win.bias[0] = float("nan")
    with pytest.raises(StorageError, match="finite"):
        save_checkpoint(tmp_path / "nan.pth", net, HEAD)
    assert list(tmp_path.iterdir()) == []


# ---- what is refused ----


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "ringrift.checkpoint/2", "format"),
        ("encoder", "planes-000000000000", "encoder"),
        ("rules_digest", "0" * 16, "rules_digest"),
        ("config_key", "hex9_2p", "names no game"),
        ("config_key", ["hex8_2p"], "names no game"),
        ("config_key", 7, "names no game"),
        ("config_key", "hex8_3p", "do not fit"),
        ("arch", "giant", "arch"),
        ("arch", ["nano"], "arch"),
        ("arch", {}, "arch"),
        ("arch", "micro", "do not fit"),
        ("version", "3", "version"),
        ("version", True, "version"),
        ("trained_at", None, "trained_at"),
        ("elo", "1200", "elo"),
        ("elo", float("nan"), "elo"),
        ("parent", 7, "parent"),
        ("data", [], "data"),
        ("train", None, "train"),
        ("gauntlet", "won", "gauntlet"),
        ("data", {"rows": torch.zeros(3)}, "data"),
        ("train", {"a": [{"b": {1, 2}}]}, "train"),
        ("train", {3: "a"}, "train"),
        ("train", {"rate": float("inf")}, "train"),
        ("train", {"a": [[[[[[[[[[7]]]]]]]]]]}, "train"),
        ("state_dict", {}, "do not fit"),
        ("state_dict", [], "do not fit"),
        ("state_dict", {"win.bias": 3}, "do not fit"),
        ("state_dict", {1: torch.zeros(1)}, "do not fit"),
    ],
)
def test_a_field_that_is_wrong_is_named(tmp_path, content, field, value, message):
    assert message in refused(tmp_path, {**read(content), field: value})


def test_a_field_that_is_missing_is_named(tmp_path, content):
    form = read(content)
    for name in form:
        assert name in refused(tmp_path, {other: value for other, value in form.items() if other != name})


@pytest.mark.parametrize("form", [[], 7, None, "text", torch.zeros(3), {1: 2}, {"format": torch.zeros(2)}])
def test_what_is_no_mapping_is_refused(tmp_path, form):
    assert "no file of the format ringrift.checkpoint/1" in refused(tmp_path, form)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weights: weights.to(torch.int64),
        lambda weights: weights.to(torch.complex64),
        lambda weights: weights.to(torch.float64),
        lambda weights: weights.to_sparse(),
        lambda weights: weights[:-1].clone(),
        lambda weights: weights[None].clone(),
        lambda weights: torch.zeros(1).expand(1 << 42),  # a small file, and sixteen terabytes to look at
        lambda weights: weights.fill_(float("nan")),
        lambda weights: weights.fill_(float("-inf")),
        lambda weights: None,
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_of_another_size_or_kind_are_refused(tmp_path, content, spoil: Callable[[torch.Tensor], object]):
    form = read(content)
    form["state_dict"]["win.weight"] = spoil(form["state_dict"]["win.weight"])
    refused(tmp_path, form)


def test_another_game_than_asked_for_is_refused(tmp_path, content):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    for other in ("hex8_3p", "hexagonal_2p", "square8_2p"):
        with pytest.raises(StorageError, match=f"must be '{other}'"):
            load_checkpoint(path, ConfigKey.parse(other))


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.filterwarnings("ignore")
def test_nothing_in_a_file_is_run(tmp_path, content):
    mark = tmp_path / "it ran"
    form = read(content)
    for number, bad in enumerate([Payload(mark), {**form, "data": {"x": Payload(mark)}}]):
        torch.save(bad, tmp_path / f"{number}.pth")
        (tmp_path / f"{number}.pickle").write_bytes(pickle.dumps(bad))
        torch.save(bad, tmp_path / f"{number}.old", _use_new_zipfile_serialization=False)
    paths = [path for path in sorted(tmp_path.iterdir()) if path.suffix in {".pth", ".pickle", ".old"}]
    assert len(paths) == 6
    for path in paths:
        with pytest.raises(StorageError):
            load_checkpoint(path)
        assert not mark.exists()
    torch.load(tmp_path / "0.pth", weights_only=False)  # it would have run
    assert mark.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_cut_file_is_refused(tmp_path, content):
    path = tmp_path / "cut.pth"
    size = len(content)
    for length in (0, 1, 2, 4, 100, 1000, size // 3, size // 2, size - 5000, size - 100, size - 22, size - 1):
        path.write_bytes(content[:length])
        with pytest.raises(StorageError):
            load_checkpoint(path)


@pytest.mark.filterwarnings("ignore")
def test_flipped_bits_are_refused_or_harmless(tmp_path, content):
    """Never another error than StorageError; the places where structure lies are hit more often than weights."""
    path = tmp_path / "flipped.pth"
    rng = np.random.default_rng(7)
    size = len(content)
    places = [*rng.integers(0, 6000, 250), *rng.integers(size - 6000, size, 250), *rng.integers(0, size, 60)]
    refusals = 0
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            load_checkpoint(path)
        except StorageError:
            refusals += 1
    assert refusals > 60


def with_pickle(content: bytes, change: Callable[[bytes], bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """The file with another pickle in it, checksums included."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", method) as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(part) if name.endswith("data.pkl") else part)
    return made.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_a_pickle_that_was_tampered_with_is_refused_or_harmless(tmp_path, content):
    path = tmp_path / "tampered.pth"
    path.write_bytes(with_pickle(content, lambda pickled: pickled))
    load_checkpoint(path)
    rng = np.random.default_rng(11)
    refusals = 0
    for _ in range(400):

        def change(pickled: bytes) -> bytes:
            changed = bytearray(pickled)
            place = int(rng.integers(len(changed)))
            if rng.random() < 0.5:
                changed[place] = int(rng.integers(256))
            else:
                del changed[place : place + int(rng.integers(1, 9))]
            return bytes(changed)

        path.write_bytes(with_pickle(content, change))
        try:
            load_checkpoint(path)
        except StorageError:
            refusals += 1
    assert refusals > 200


def test_a_compressed_file_is_refused(tmp_path, content):
    """A small file cannot unpack to a large one."""
    path = tmp_path / "small.pth"
    path.write_bytes(with_pickle(content, lambda pickled: pickled, zipfile.ZIP_DEFLATED))
    with pytest.raises(StorageError, match="compressed"):
        load_checkpoint(path)


@pytest.mark.filterwarnings("ignore")
def test_damage_to_the_weights_is_noticed(tmp_path, content):
    """The container has a checksum for each of its files; a flipped weight is no other net."""
    path = tmp_path / "flipped.pth"
    weights = read(content)["state_dict"]["blocks.1.first.weight"].numpy().tobytes()
    place = content.index(weights)
    for offset in range(0, len(weights), len(weights) // 9):
        flipped = bytearray(content)
        flipped[place + offset] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(StorageError, match="damaged"):
            load_checkpoint(path)


def test_files_that_are_none(tmp_path, monkeypatch, content):
    with pytest.raises(StorageError, match="no such file"):
        load_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(StorageError, match="cannot be read"):
        load_checkpoint(tmp_path)
    monkeypatch.setattr(checkpoint, "SIZE_MAX", 100)
    (tmp_path / "large.pth").write_bytes(content)
    with pytest.raises(StorageError, match="larger than"):
        load_checkpoint(tmp_path / "large.pth")
