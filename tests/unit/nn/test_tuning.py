"""Tuning: measured once, then read; a damaged cache is measured again."""

import json
from pathlib import Path

import pytest
import torch

from ringrift_core.errors import StorageError
from ringrift_core.nn import tuning
from ringrift_core.nn.tuning import DETERMINISTIC, Choice, choose_device, make_evaluator, tuned
from tests.unit.nn.positions import random_net

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tuning, "cache_dir", lambda: tmp_path)
    return tmp_path / "tuning"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nets that were measured; the measurement itself is a fake."""
    asked: list[str] = []

    def fake(net: object, device: torch.device) -> Choice:
        asked.append(str(net.key))  # type: ignore[attr-defined]
        return Choice("fp32", 64, 100.0 * len(asked))

    monkeypatch.setattr(tuning, "measure", fake)
    return asked


def test_it_is_measured_once_for_each_game_and_size(folder, measured):
    net, other = random_net("hex8_2p"), random_net("hex8_3p")
    assert tuned(net, CPU) == tuned(net, CPU) == Choice("fp32", 64, 100.0)
    assert tuned(other, CPU).positions_per_s == 200
    assert tuned(net, CPU).positions_per_s == 100
    assert measured == ["hex8_2p", "hex8_3p"]
    assert len(list(folder.iterdir())) == 1


def entry(folder: Path) -> tuple[Path, str]:
    (path,) = folder.iterdir()
    return path, next(iter(json.loads(path.read_text())))


@pytest.mark.parametrize(
    "choice",
    [
        ["fp64", 64, 1.0],
        ["fp32", 0, 1.0],
        ["fp32", -64, 1.0],
        ["fp32", float("inf"), 1.0],
        ["fp32", 64],
        ["fp32", "many", 1.0],
        [["fp32"], 64, 1.0],
        7,
        None,
    ],
)
def test_an_entry_that_names_no_choice_is_measured_again(folder, measured, choice):
    net = random_net("hex8_2p")
    tuned(net, CPU)
    path, name = entry(folder)
    path.write_text(json.dumps({name: choice}))
    assert tuned(net, CPU) == Choice("fp32", 64, 200.0)
    assert tuned(net, CPU) == Choice("fp32", 64, 200.0)
    assert len(measured) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": {"b": 1}}'])
def test_a_damaged_file_is_measured_again(folder, measured, content):
    net = random_net("hex8_2p")
    tuned(net, CPU)
    path, _ = entry(folder)
    path.write_bytes(content)
    assert tuned(net, CPU).positions_per_s == 200
    assert tuned(net, CPU).positions_per_s == 200


def test_a_cache_that_cannot_be_written_costs_a_measurement_only(folder, measured):
    folder.write_text("a file stands here")
    tuned(random_net("hex8_2p"), CPU)
    tuned(random_net("hex8_2p"), CPU)
    assert len(measured) == 2


def test_the_measurement_finds_a_choice_that_runs(folder, monkeypatch):
    monkeypatch.setattr(tuning, "CPU_BATCHES", (2, 4))
    choice = tuned(random_net("hex8_2p"), CPU)
    assert choice.precision in tuning.PRECISIONS
    assert choice.batch in {2, 4}
    assert choice.positions_per_s > 0


def test_deterministic_is_fixed_and_measures_nothing(folder, measured):
    evaluator = make_evaluator(random_net("hex8_2p"), CPU, deterministic=True)
    assert (evaluator.dtype, evaluator.batch) == (torch.float32, DETERMINISTIC.batch)
    assert measured == []


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "meta7"])
def test_a_device_that_does_not_exist_is_refused(name):
    with pytest.raises(StorageError):
        choose_device(name)


def test_devices_by_name():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
