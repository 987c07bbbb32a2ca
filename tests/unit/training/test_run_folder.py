"""The folder of a run: the seed that a run which goes on has."""

import json

import pytest

from ringrift_core.errors import StorageError
from ringrift_core.training.run_folder import begun_seed, locked


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"spec": 3}', "[" * 100_000, "\x00"])
def test_the_seed_of_a_damaged_run_is_an_error(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StorageError, match=r"run\.json: damaged; choose another folder"):
        begun_seed(tmp_path / "run.json")


@pytest.mark.parametrize(("seed", "expected"), [(3, 3), (0, 0), ("3", None), (True, None), (None, None)])
def test_the_seed_of_a_run_that_was_begun_is_found(tmp_path, seed, expected):
    assert begun_seed(tmp_path / "run.json") is None
    (tmp_path / "run.json").write_text(json.dumps({"spec": {"seed": seed}}))
    assert begun_seed(tmp_path / "run.json") == expected


def test_a_folder_takes_one_process_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(StorageError, match="another process trains in it"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"), locked(tmp_path / "missing"):
        pass
