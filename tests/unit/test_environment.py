"""The environment table."""

from pathlib import Path

import pytest

from config.environment import VARIABLES, ConfigError, cache_dir, gauntlet_games, promotion_rates


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_CACHE_DIR", "/somewhere/else")
    assert cache_dir() == Path("/somewhere/else")
    monkeypatch.delenv("RINGRIFT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/ringrift")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "ringrift"


def test_every_variable_is_described():
    assert all(name.startswith("RINGRIFT_") and text for name, text in VARIABLES.items())


def test_the_rates_of_the_gate_can_be_moved(monkeypatch: pytest.MonkeyPatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert promotion_rates() == {}
    monkeypatch.setenv("RINGRIFT_PROMOTION_RANDOM_WIN_RATE", "0.9")
    monkeypatch.setenv("RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE", "")
    monkeypatch.setenv("RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE", "0.52")
    assert promotion_rates() == {"random": 0.9, "champion": 0.52}
    monkeypatch.setenv("RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE", "0.7")
    assert promotion_rates()["heuristic"] == 0.7


@pytest.mark.parametrize("text", ["85", "0", "1", "-0.5", "nan", "inf", "60%", "much"])
def test_a_rate_that_is_no_share_is_said(text, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_PROMOTION_RANDOM_WIN_RATE", text)
    with pytest.raises(ConfigError, match=r"RINGRIFT_PROMOTION_RANDOM_WIN_RATE is .*; write a share above 0"):
        promotion_rates()


def test_the_games_of_a_gauntlet_can_be_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RINGRIFT_GAUNTLET_GAMES", raising=False)
    assert gauntlet_games() is None
    monkeypatch.setenv("RINGRIFT_GAUNTLET_GAMES", "200")
    assert gauntlet_games() == 200
    for text in ("0", "-5", "50.0", "many", "9" * 5000):
        monkeypatch.setenv("RINGRIFT_GAUNTLET_GAMES", text)
        with pytest.raises(ConfigError, match="write a number of games"):
            gauntlet_games()
