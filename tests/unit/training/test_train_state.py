"""The state file: what is written is read again, and nothing else is; never a traceback."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ringrift_core.errors import StorageError
from ringrift_core.training.stream import Cursor
from ringrift_core.training.train_state import FORMAT, TrainState, read_state, write_state
from tests.full_disk import full_disk_at

RUN = "ab" * 32
FLIPS = 300


def state_of(step: int = 7) -> TrainState:
    generator = torch.Generator().manual_seed(step)
    net = {"stem.weight": torch.randn(8, 16, generator=generator), "stem.bias": torch.randn(16, generator=generator)}
    return TrainState(RUN, Cursor(1, 2, 3), {"step": step, "net": net, "average": net, "optimiser": {"state": {}}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_state(tmp_path / "state.pt", state_of())
    return tmp_path / "state.pt"


def same(one: TrainState, other: TrainState) -> bool:
    nets = one.trainer["net"], other.trainer["net"]
    equal = nets[0].keys() == nets[1].keys() and all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    return equal and (one.run, one.cursor, one.trainer["step"]) == (other.run, other.cursor, other.trainer["step"])


def test_what_is_written_is_read_again(path):
    assert same(read_state(path), state_of())
    write_state(path, state_of(8))
    assert same(read_state(path), state_of(8))
    assert [it.name for it in path.parent.iterdir()] == ["state.pt"]


def test_flipped_bytes_are_refused_or_change_nothing(path):
    """At seeded places; what is no part of any member (a date, padding) may be flipped without harm."""
    content, rng, refused = path.read_bytes(), np.random.default_rng(4), 0
    for place, bit in zip(rng.integers(0, len(content), FLIPS), rng.integers(0, 8, FLIPS), strict=True):
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << int(bit)
        path.write_bytes(spoiled)
        try:
            assert same(read_state(path), state_of()), f"byte {place}"
        except StorageError:
            refused += 1
    assert refused > FLIPS / 3


@pytest.mark.parametrize("kept", [0, 1, 100, 0.3, 0.9, -1])
def test_a_truncated_state_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(StorageError, match=r"state\.pt: damaged"):
        read_state(path)


def form(**changes: Any) -> dict[str, Any]:
    cursor = {"epoch": 0, "block": 0, "batch": 0}
    return {"format": FORMAT, "run": RUN, "cursor": cursor, "trainer": {"step": 1}, **changes}


CURSORS = [{"epoch": "a", "block": 0, "batch": 0}, {"epoch": -1, "block": 0, "batch": 0}, {"epoch": 1.5}]
FOREIGN = [
    *(form(cursor=cursor) for cursor in (*CURSORS, [0, 0, 0], None, {"epoch": 0, "block": 0, "batch": 0, "x": 1})),
    *(form(trainer=trainer) for trainer in (None, 3, "step", [1, 2])),
    *(form(format=other) for other in ("ringrift.checkpoint/1", "ringrift.train-state/2", None, 3)),
    {},
    [],
    torch.zeros(3),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=range(len(FOREIGN)))
def test_what_is_no_state_is_refused(tmp_path, foreign):
    content = io.BytesIO()
    torch.save(foreign, content)
    (tmp_path / "state.pt").write_bytes(content.getvalue())
    with pytest.raises(StorageError, match=r"no state of a training run|no file of the format"):
        read_state(tmp_path / "state.pt")


@pytest.mark.parametrize("step", range(3))
def test_a_full_disk_leaves_the_state_before(path, monkeypatch, step):
    """The failure is planted at each fsync and each rename in turn."""
    full_disk_at(monkeypatch, step)
    with pytest.raises(StorageError, match="the disk is full: free some space"):
        write_state(path, state_of(8))
    monkeypatch.undo()
    assert same(read_state(path), state_of(8 if step == 2 else 7))  # the last flush comes after the new name
    assert [it.name for it in path.parent.iterdir()] == ["state.pt"]
