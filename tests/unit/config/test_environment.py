"""The environment table."""

from pathlib import Path

import pytest

from config.catalog import catalog
from config.environment import (
    VARIABLES,
    ConfigError,
    cache_dir,
    environment_remarks,
    gauntlet_games,
    overridden,
    promotion_rates,
    value_of,
)
from config.sections import NodeSettings


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_CACHE_DIR", "/somewhere/else")
    assert cache_dir() == Path("/somewhere/else")
    monkeypatch.delenv("RINGRIFT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/ringrift")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "ringrift"


def test_every_variable_is_described_and_overrides_a_setting_that_there_is():
    for name, variable in VARIABLES.items():
        assert name.startswith("RINGRIFT_") or name == "P2P_ORCHESTRATOR_URL"
        assert variable.meaning
        assert bool(variable.default) == (variable.setting is None)
        assert variable.setting is None or variable.setting in catalog()


@pytest.mark.parametrize(
    ("name", "text", "setting", "value"),
    [
        ("RINGRIFT_NODE_ID", "gpu-node-1", "node.node_id", "gpu-node-1"),
        ("RINGRIFT_DISABLE_LOCAL_TASKS", "true", "node.disable_local_tasks", True),
        ("RINGRIFT_AUTO_PROMOTE", "0", "promotion.auto_promote", False),
        ("RINGRIFT_SKIP_GAUNTLET", "Yes", "promotion.skip_gauntlet", True),
        ("RINGRIFT_SYNC_STAGING", "on", "promotion.sync_staging", True),
        ("RINGRIFT_PROMOTION_RANDOM_WIN_RATE", "0.9", "promotion.random_win_rate", 0.9),
        ("RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE", "0.7", "promotion.heuristic_win_rate", 0.7),
        ("RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE", "0.52", "promotion.vs_previous_win_rate", 0.52),
        ("RINGRIFT_GAUNTLET_GAMES", "200", "evaluation.games", 200),
        ("RINGRIFT_DEBUG", "1", "monitoring.debug", True),
    ],
)
def test_a_variable_overrides_its_setting(name, text, setting, value):
    assert list(overridden({name: text, "PATH": "x"})) == [(name, setting, value)]
    assert list(overridden({name: ""})) == []


def test_variables_without_a_setting_override_none():
    assert list(overridden({"RINGRIFT_CACHE_DIR": "/x", "RINGRIFT_UNIFIED_LOOP_LEGACY": "1"})) == []


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "TRUE", " On "])
def test_words_for_true(text):
    assert value_of("RINGRIFT_DEBUG", {"RINGRIFT_DEBUG": text}) is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "FALSE"])
def test_words_for_false(text):
    assert value_of("RINGRIFT_DEBUG", {"RINGRIFT_DEBUG": text}) is False


@pytest.mark.parametrize("text", ["maybe", "2", "t", " ", "x" * 5000, "\udcff"])
def test_another_word_for_a_boolean_is_said(text):
    with pytest.raises(ConfigError, match=r"^RINGRIFT_DEBUG is .*; write true or false$") as raised:
        value_of("RINGRIFT_DEBUG", {"RINGRIFT_DEBUG": text})
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("text", ["", "-a", "a b", "a/b", "n\n", "x" * 65, "ä"])
def test_a_node_has_the_same_names_by_variable_and_by_file(text):
    with pytest.raises(ValueError, match="node_id"):
        NodeSettings(node_id=text)
    if text:
        with pytest.raises(ConfigError, match="write a name of up to 64"):
            value_of("RINGRIFT_NODE_ID", {"RINGRIFT_NODE_ID": text})


def test_what_does_nothing_is_remarked_and_foreign_names_are_not():
    assert environment_remarks({"RINGRIFT_UNIFIED_LOOP_LEGACY": "1", "RINGRIFT_DEBUG": "1", "HOME": "/"}) == [
        "RINGRIFT_UNIFIED_LOOP_LEGACY is ignored: nothing needs it here"
    ]
    assert environment_remarks({"RINGRIFT_PROMOTION_RANDOM_WINRATE": "0.9"}) == [
        "'RINGRIFT_PROMOTION_RANDOM_WINRATE' is ignored; did you mean RINGRIFT_PROMOTION_RANDOM_WIN_RATE?"
    ]
    assert environment_remarks({"RINGRIFT_TEST_SCALE": "25", "RINGRIFT_UNIFIED_LOOP_LEGACY": ""}) == []


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
