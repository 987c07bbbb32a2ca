"""`ringrift match`, `net`, `bench search`, `bench selfplay`, and computers at the table."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ringrift_core.commands import bench_selfplay as selfplay_bench
from ringrift_core.commands.bench_search import bench_search
from ringrift_core.commands.bench_search import text_report as search_text
from ringrift_core.commands.bench_selfplay import bench_selfplay, text_report
from ringrift_core.commands.match import match
from ringrift_core.commands.net import new_net, show_net
from ringrift_core.commands.play import play
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game


def test_a_match_reports_every_player_with_bounds():
    report = json.loads(match("hex8_3p", "heuristic:2,random", 6, 1, as_json=True))
    assert [player["agent"] for player in report["players"]] == ["heuristic:2", "random", "random"]
    assert sum(player["wins"] for player in report["players"]) == report["games"] == 6
    assert all(player["low"] <= player["share"] <= player["high"] for player in report["players"])
    assert match("hex8_3p", "heuristic:2,random", 6, 1, as_json=True) == json.dumps(report)
    assert "[" in match("hex8_2p", "greedy,random", 2, 1, as_json=False)


@pytest.mark.parametrize("agents", ["random", "random,random,random", ""])
def test_a_match_needs_two_agents_or_as_many_as_seats(agents):
    with pytest.raises(RulesError, match="two agents"):
        match("hex8_2p", agents, 2, 1, as_json=False)


def test_a_net_is_made_once_and_shown(tmp_path: Path):
    path = tmp_path / "models" / "nano.pth"
    assert "nano net for square8_3p" in new_net(path, "square8_3p", "nano", 4)
    with pytest.raises(StorageError, match="exists already"):
        new_net(path, "square8_3p", "nano", 4)
    form = json.loads(show_net(path, as_json=True))
    assert (form["config_key"], form["arch"], form["version"]) == ("square8_3p", "nano", 0)
    assert form["sha256"] in show_net(path, as_json=False)
    with pytest.raises(RulesError, match="no net size 'pico'"):
        new_net(tmp_path / "x.pth", "square8_3p", "pico", 4)


@pytest.mark.parametrize("agents", [["heuristic", "greedy"], ["heuristic:4", "random:2"]])
def test_computers_of_all_kinds_play_whole_games(agents):
    game = Game.start("square8_2p")
    play(game, agents, 3, None, Console(file=io.StringIO(), width=120))
    assert game.over
    again = Game.from_json(game.to_json("again"))
    assert again.hash() == game.hash()


def test_a_net_plays_with_and_without_search(tmp_path: Path):
    path = tmp_path / "nano.pth"
    new_net(path, "hex8_3p", "nano", 1)
    game = Game.start("hex8_3p")
    play(game, [f"{path}:2", f"{path}:0", "random"], 3, None, Console(file=io.StringIO(), width=120))
    assert game.over
    with pytest.raises(StorageError, match="config_key is 'hex8_3p'"):
        match("hex8_2p", f"{path},random", 2, 1, as_json=False)


def test_the_search_benchmark_counts_no_forced_position():
    report = bench_search("hex8_2p", "random", [0, 4], 8, 1)
    results = report["results"]
    assert isinstance(results, list)
    assert [result["sims"] for result in results] == [0, 4]
    assert [result["forced_judged"] for result in results] == [0, 0]
    assert results[0]["judged_per_decision"] == 1
    assert results[1]["distinct_per_decision"] > 4
    assert "uniform" in search_text(report)


def test_the_selfplay_benchmark_compares_with_the_bare_net(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selfplay_bench, "KEPT", 2)
    monkeypatch.setattr(selfplay_bench, "KEEP_EVERY", 2)
    report = bench_selfplay("hex8_2p", ["nano"], 2, 0.2, 1, 1)
    results = report["results"]
    assert isinstance(results, list)
    (figures,) = results
    assert figures["forced_judged"] == 0
    assert figures["forward_per_s"] > 0 < figures["share_of_forward"]
    assert figures["batch_fill"] > 0.9
    assert "share_of_forward" in text_report(report)
