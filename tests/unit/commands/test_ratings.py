"""`ringrift tournament` and `ringrift curve`."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ringrift_core.commands.curve import curve
from ringrift_core.commands.tournament import Wish, standings, tournament
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.stored_match import write_match
from tests.unit.evaluation.tournaments import HEURISTIC, net, stored


def test_a_tournament_is_played_stored_and_rated(tmp_path: Path):
    lines: list[str] = []
    tournament(Wish("hex8_2p", "greedy,greedy", 2, 1, baselines=True), tmp_path / "results", lines.append)
    assert lines[0] == "greedy is the same agent as greedy: plays once"
    assert len(lines) == 1 + 3
    form = json.loads(standings("hex8_2p", tmp_path / "results", as_json=True))
    assert {row["name"] for row in form["agents"]} == {"random", "greedy", "heuristic-v1"}
    assert form["games"] == 6
    assert "heuristic-v1 has 1200 Elo" in standings("hex8_2p", tmp_path / "results", as_json=False)


def test_without_baselines_only_those_named_play(tmp_path: Path):
    tournament(Wish("hex8_2p", "greedy,random", 2, 1, baselines=False), tmp_path, lambda _: None)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(RulesError, match="two different agents or more, not 0"):
        tournament(Wish("hex8_2p", "", 2, 1, baselines=False), tmp_path, lambda _: None)


def test_a_leaderboard_of_nothing_is_an_error(tmp_path: Path):
    with pytest.raises(StorageError, match="no stored matches"):
        standings("hex8_2p", tmp_path, as_json=False)


def test_a_curve_is_text_json_and_a_picture(tmp_path: Path):
    for version in (1, 2):
        agent = net(version, version=version, evaluations=1000 * version)
        write_match(tmp_path / "results", stored([agent, HEURISTIC], [0] * 5 * version + [1] * (20 - 5 * version)))
    picture = tmp_path / "pictures" / "curve.svg"
    text = curve([tmp_path / "results"], str(picture), None, as_json=False)
    assert "v2" in text
    assert "heuristic-v1 25.0% of 20" in text
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert curve([tmp_path / "results"], "-", None, as_json=False) == picture.read_text()
    form = json.loads(curve([tmp_path / "results"], None, "hex8_2p", as_json=True))
    assert [(point["version"], point["x"], point["games"]) for point in form["points"]] == [
        (1, 1000, 20),
        (2, 2000, 20),
    ]
    assert form["points"][0]["against"]["heuristic-v1"]["won"] == 5
    with pytest.raises(StorageError, match="no stored matches of hex8_3p"):
        curve([tmp_path / "results"], None, "hex8_3p", as_json=True)


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path):
    write_match(tmp_path, stored([net(1, version=1), HEURISTIC], [0, 1]))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        curve([tmp_path], str(tmp_path / "file" / "curve.svg"), None, as_json=False)
