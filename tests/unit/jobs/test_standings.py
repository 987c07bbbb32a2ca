"""Ratings in reports: of the latest matches, whatever else lies in the folder."""

import os
from pathlib import Path

from ringrift_core.evaluation.stored_match import StoredMatch, write_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.standings import standings
from tests.unit.evaluation.tournaments import HEURISTIC, net, stored

KEY = ConfigKey("hex8", 2)


def write(folder: Path, match: StoredMatch, at: float) -> Path:
    path = write_match(folder, match)
    os.utime(path, (at, at))
    return path


def met(number: int) -> StoredMatch:
    """A net against the heuristic."""
    return stored([net(number), HEURISTIC], [0] * 6 + [1] * 4)


def test_one_damaged_match_does_not_end_all_ratings(tmp_path: Path):
    write(tmp_path, met(1), at=1)
    write(tmp_path, met(2), at=2).write_bytes(b"{")
    assert {row["name"] for row in standings(tmp_path, KEY)} == {"heuristic-v1", "net v1"}


def test_only_the_latest_matches_are_read(tmp_path: Path):
    """However long a loop runs, a report costs the same."""
    sizes = [write(tmp_path, met(number), at=number).stat().st_size for number in (1, 2, 3)]
    found = standings(tmp_path, KEY, bytes_max=sizes[1] + sizes[2])
    assert {row["name"] for row in found} == {"heuristic-v1", "net v2", "net v3"}


def test_without_a_match_there_are_no_ratings(tmp_path: Path):
    assert standings(tmp_path, KEY) == []
    assert standings(tmp_path / "nowhere", KEY) == []
