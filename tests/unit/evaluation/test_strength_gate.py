"""The strength regression gate: what passes, what blocks, and that nothing passes without games."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift_core.commands import gate as command
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation import strength_gate
from ringrift_core.evaluation.strength_gate import (
    CI_GAMES,
    NIGHTLY_GAMES,
    FixedMatch,
    Mode,
    frozen_matches,
    model_matches,
    report_of,
    run_gate,
)
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey
from ringrift_core.players.roster import agent_of

MATCH = FixedMatch("hex8_2p", "heuristic", "random", 100, 0.5)


def test_a_bound_has_to_exceed_the_rate_where_proof_is_asked_for():
    blocks = [10, 20, 20]  # 60 of 100
    proven, observed = report_of(MATCH, blocks), report_of(replace(MATCH, require_significance=False), blocks)
    assert (proven.win_rate, proven.passes, observed.passes) == (0.6, False, True)
    assert proven.win_rate_ci_low < 0.5 < proven.win_rate_ci_high
    better = report_of(MATCH, [0, 20, 30])
    assert better.passes
    assert better.win_rate_ci_low > 0.5
    assert report_of(replace(MATCH, require_significance=False, min_win_rate=0.6), blocks).passes
    assert not report_of(replace(MATCH, require_significance=False, min_win_rate=0.61), blocks).passes


def test_nothing_passes_without_a_decided_game():
    for match in (MATCH, replace(MATCH, require_significance=False, min_win_rate=0.0)):
        for draws in (0, 100):
            report = report_of(match, [0, 0, 0], draws)
            assert (report.games, report.draws, report.decisive_games, report.passes) == (draws, draws, 0, False)
    with pytest.raises(RulesError, match="at least one match"):
        run_gate([], Mode.CI, 1, None, lambda _: None)


@pytest.mark.parametrize("key", CONFIG_KEYS, ids=str)
def test_every_game_has_frozen_matches_that_can_be_won(key):
    for mode in Mode:
        matches = frozen_matches(key, mode)
        assert {match.opponent for match in matches} >= {"random"}
        for match in matches:
            assert match.games >= 50
            assert report_of(match, [0] * key.players + [match.games // key.players]).passes
            fair = [0] * (key.players + 1)
            fair[1] = match.games // key.players
            if match.opponent != "heuristic":
                assert not report_of(match, fair).passes


def test_the_default_games_exist():
    assert {str(key) for key in CONFIG_KEYS} >= set(NIGHTLY_GAMES) > set(CI_GAMES)


def test_a_net_meets_random_and_heuristic_at_the_documented_rates():
    ci = model_matches(ConfigKey.parse("hex8_2p"), "net", Mode.CI, Thresholds())
    assert [(match.opponent, match.min_win_rate, match.require_significance) for match in ci] == [
        ("random", 0.85, False),
        ("heuristic", 0.60, False),
    ]
    nightly = model_matches(ConfigKey.parse("hex8_4p"), "net", Mode.NIGHTLY, Thresholds(random=0.9))
    assert [round(match.min_win_rate, 3) for match in nightly] == [0.75, 0.333]
    assert all(match.require_significance for match in nightly)


def test_the_same_seed_makes_the_same_report():
    matches = [
        FixedMatch("square8_3p", "heuristic", "random", 12, 0.3),
        FixedMatch("hex8_2p", "greedy", "random", 8, 0.5),
    ]
    reports = [run_gate(matches, Mode.CI, seed, None, lambda _: None) for seed in (1, 1, 2)]
    assert reports[0] == reports[1]
    assert reports[0].matches != reports[2].matches
    assert [report.games for report in reports[0].matches] == [12, 8]


def test_only_blocking_matches_block():
    lost = FixedMatch("hex8_2p", "random", "heuristic", 8, 0.9)
    assert not run_gate([lost], Mode.CI, 1, None, lambda _: None).passes
    won = FixedMatch("hex8_2p", "heuristic", "random", 40, 0.5)
    report = run_gate([won, replace(lost, blocking=False)], Mode.CI, 1, None, lambda _: None)
    assert [match.passes for match in report.matches] == [True, False]
    assert report.passes


def test_a_model_plays_in_the_place_of_the_named_agent():
    weak = agent_of("random", ConfigKey.parse("hex8_2p"))
    report = run_gate([replace(MATCH, agent="net", opponent="heuristic", games=20)], Mode.CI, 1, weak, lambda _: None)
    assert report.matches[0].wins < 10
    assert report.model_sha256 == weak.identity.sha256


def test_the_report_is_written_when_the_gate_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(strength_gate, "GAMES", dict.fromkeys(Mode, 8))
    monkeypatch.setattr(strength_gate, "SEARCH_GAMES", dict.fromkeys(Mode, 4))
    monkeypatch.setattr(strength_gate, "SEARCH_RATES", {"hex8_2p": 1.01})
    path = tmp_path / "new" / "gate.json"
    assert command.gate("ci", "hex8_2p", None, 1, path) == 1
    report = json.loads(path.read_text())
    assert (report["form"], report["passes"], len(report["matches"])) == ("ringrift.gate/1", False, 3)
    assert set(report["matches"][0]) >= {
        *("name", "game", "wins", "losses", "draws", "decisive_games", "win_rate", "win_rate_ci_low"),
        *("win_rate_ci_high", "min_win_rate", "require_significance", "blocking", "passes"),
    }
    assert "FAILED hex8_2p heuristic:16 v heuristic" in capsys.readouterr().out
    assert [file.name for file in path.parent.iterdir()] == ["gate.json"]


def test_what_the_gate_cannot_do_is_said_before_it_plays(tmp_path: Path):
    with pytest.raises(RulesError, match="there is no mode 'weekly': ci, nightly"):
        command.gate("weekly", None, None, 1, None)
    with pytest.raises(StorageError, match="there is no such file"):
        command.gate("ci", "hex8_2p", tmp_path / "none.pth", 1, None)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        command.gate("ci", None, None, 1, tmp_path / "file" / "gate.json")
