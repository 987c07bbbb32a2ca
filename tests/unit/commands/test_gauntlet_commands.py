"""`ringrift gauntlet`, `results check`, and games of matches in `ringrift show`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift_core.commands.gauntlet import GauntletWish, gauntlet, settings_of
from ringrift_core.commands.results import check_results
from ringrift_core.commands.show import show
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings
from ringrift_core.evaluation.gauntlet_result import read_gauntlet
from ringrift_core.evaluation.stored_match import read_match, write_match
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game import Game
from tests.unit.evaluation.results import stored_match


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANDOM", "HEURISTIC", "VS_PREVIOUS"):
        monkeypatch.delenv(f"RINGRIFT_PROMOTION_{name}_WIN_RATE", raising=False)
    monkeypatch.delenv("RINGRIFT_GAUNTLET_GAMES", raising=False)


def wish(out: Path) -> GauntletWish:
    return GauntletWish(
        game="hex8_2p",
        candidate="heuristic",
        champion=None,
        anchors=(),
        games=4,
        games_max=40,
        candidate_number=1,
        sims=64,
        seed=1,
        out=out,
        deterministic=True,
    )


def test_the_exit_code_is_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    asked = replace(wish(tmp_path), games_max=120)
    assert gauntlet(asked, as_json=False) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "heuristic-v1 on hex8_2p, seed 1, hex8_2p v1"
    assert [line.split()[0] for line in said[2:4]] == ["random", "heuristic"]
    kept = read_gauntlet(Path(said[-1]))
    assert said[-2] == f"{kept.verdict}: {kept.reason}"
    monkeypatch.setenv("RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE", "0.05")
    assert gauntlet(replace(asked, anchors=("random",)), as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["verdict"], [row["h0"] for row in result["rows"]]) == ("passed", [0.85, 0.05])


def test_options_go_before_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = replace(wish(tmp_path), games=None, games_max=None)
    assert settings_of(asked) == GauntletSettings()
    monkeypatch.setenv("RINGRIFT_GAUNTLET_GAMES", "30")
    monkeypatch.setenv("RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE", "0.6")
    assert settings_of(asked) == GauntletSettings(games=30, thresholds=Thresholds(champion=0.6))
    assert settings_of(replace(asked, games=7)).games == 7
    assert settings_of(replace(asked, games_max=20)).games_min == 20
    with pytest.raises(RulesError, match="do not fit together"):
        settings_of(replace(asked, games=30, games_max=20))


def test_ctrl_c_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GameGauntlet, "run", interrupted)
    assert gauntlet(wish(tmp_path), as_json=True) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there is no verdict" in captured.err


def test_results_are_checked_with_the_matches_they_name(tmp_path: Path, capsys):
    gauntlet(wish(tmp_path), as_json=False)
    (tmp_path / "gate.json").write_text("{}")
    said: list[str] = []
    assert check_results([tmp_path], said.append, as_json=False) == 0
    assert said[-1] == "files=2 wrong=0"
    match = next(tmp_path.glob("?" * 16 + ".json"))
    game = read_match(match).games[0]
    liar = read_match(match).model_copy(
        update={"games": (game.model_copy(update={"plies": 1}), *read_match(match).games[1:])}
    )
    path = write_match(tmp_path, liar)
    assert check_results([path], said.append, as_json=False) == 1
    assert said[-2].startswith(f"WRONG {path}: game 0 is not what it says: plies 1 recorded")
    match.unlink()
    assert check_results([tmp_path], said.append, as_json=True) == 1
    report = json.loads(said[-1])
    assert report["wrong"] == 2
    assert [Path(one["path"]).parent.name for one in report["results"] if one["fault"]][-1] == "gauntlets"
    with pytest.raises(StorageError, match="no matches or gauntlets below"):
        check_results([folder_of_others(tmp_path)], said.append, as_json=False)


def folder_of_others(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir()
    (other / "gate.json").write_text("{}")
    return other


def test_a_game_of_a_match_is_shown_at_any_ply(tmp_path: Path):
    path = write_match(tmp_path, stored_match())
    game = stored_match().games[3]
    replayed = Game.start("hex8_2p")
    for decision in game.decisions:
        replayed.decide(decision)
    text = show(f"{path}:3", None)
    assert f"won by {game.reason}" in text
    assert replayed.text() in text
    assert "ply 6, " in show(f"{path}:3:6", None)
    assert show(str(path), None) == show(f"{path}:0", None)
    for suffix in ("6", "x", "-1", "9" * 100):
        with pytest.raises(StorageError, match="the 6 games are numbered from 0"):
            show(f"{path}:{suffix}", None)
    with pytest.raises(RulesError, match="there is no position after ply 9999"):
        show(f"{path}:3:9999", None)


def test_a_match_with_an_illegal_decision_is_not_shown(tmp_path: Path):
    match = stored_match()
    broken = match.games[0].model_copy(update={"decisions": (65_535,)})
    path = write_match(tmp_path, match.model_copy(update={"games": (broken, *match.games[1:])}))
    with pytest.raises(StorageError, match="game 0 cannot be played"):
        show(str(path), None)
    path = path.rename(path.with_name("0123456789abcdef.json"))
    with pytest.raises(StorageError, match="damaged or renamed"):
        show(str(path), None)
