"""The journal: what was written after the state is forgotten, half lines are dropped, TensorBoard shows the same."""

import errno
import json
import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from ringrift_core.errors import StorageError
from ringrift_core.training import journal as module
from ringrift_core.training.journal import Journal, kept_lines


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def write(folder: Path, first: int, last: int, value: float, *, state: int) -> None:
    journal = Journal(folder, state)
    for step in range(first, last):
        journal.write(step, "train", {"policy": value + step, "value": 0.25})
    journal.close()


def test_each_entry_is_one_line(tmp_path):
    write(tmp_path, 1, 4, 0.0, state=0)
    assert lines(tmp_path)[1] == {"step": 2, "kind": "train", "policy": 2.0, "value": 0.25}
    assert len(lines(tmp_path)) == 3


def test_what_was_written_after_the_state_is_forgotten(tmp_path):
    write(tmp_path, 1, 10, 0.0, state=0)
    write(tmp_path, 6, 12, 100.0, state=5)
    assert [(it["step"], it["policy"]) for it in lines(tmp_path)] == [
        *((step, step) for step in range(1, 6)),
        *((step, 100 + step) for step in range(6, 12)),
    ]


def test_tensorboard_shows_the_same_curve_as_the_journal(tmp_path):
    write(tmp_path, 1, 10, 0.0, state=0)
    write(tmp_path, 6, 12, 100.0, state=5)
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert shown.Tags()["scalars"] == ["train/policy", "train/value"]
    curve = [(event.step, event.value) for event in shown.Scalars("train/policy")]
    assert curve == [(it["step"], it["policy"]) for it in lines(tmp_path)]


GARBAGE = [b"\xff\xfe\n", b"[1]\n", b"7\n", b"null\n", b'{"kind": "x"}\n', b'{"step": "9"}\n', b'{"step": null}\n']


@pytest.mark.parametrize("garbage", [*GARBAGE, b"\n", b"[" * 100_000 + b"\n"])
def test_lines_that_are_none_are_dropped(garbage):
    good, more = b'{"step": 1}\n', b'{"step": 2}\n'
    assert kept_lines(good + garbage + more, 5) == [good, more]


@pytest.mark.parametrize("length", range(1, 12))
def test_half_a_line_is_dropped(length):
    whole = b'{"step": 1}\n'
    assert kept_lines(whole + whole[:length], 5) == [whole] + [whole] * (length == 12)


def test_a_whole_line_without_its_end_is_dropped_so_that_the_next_one_begins_a_line():
    assert kept_lines(b'{"step": 1}', 5) == []


@pytest.mark.parametrize("step", [0, 1, 2])
def test_lines_up_to_the_step_are_kept(step):
    every = [b'{"step": 1}\n', b'{"step": 2}\n']
    assert kept_lines(b"".join(every), step) == every[:step]


def test_the_validation_after_the_state_is_made_again():
    train, validation = b'{"step": 2, "kind": "train"}\n', b'{"step": 2, "kind": "validation"}\n'
    assert kept_lines(train + validation, 2) == [train]
    assert kept_lines(train + validation, 3) == [train, validation]


def full(*_given: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_a_storage_error(tmp_path, monkeypatch):
    journal = Journal(tmp_path, 0)
    monkeypatch.setattr(journal._board, "flush", full)
    with pytest.raises(StorageError, match=r"train\.jsonl: cannot be written \(No space left on device\)"):
        journal.write(1, "train", {"x": 1.0})
    monkeypatch.setattr(journal._board, "close", full)
    with pytest.raises(StorageError, match="No space left"):
        journal.close()
    monkeypatch.setattr(module, "SummaryWriter", lambda *_given, **_options: full())
    with pytest.raises(StorageError, match="No space left"):
        Journal(tmp_path, 0)


def test_a_file_in_place_of_the_folder_of_the_curves_is_a_storage_error(tmp_path):
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Journal(tmp_path, 0)
