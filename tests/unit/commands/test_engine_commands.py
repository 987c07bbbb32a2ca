"""`ringrift bench engine`."""

import pytest

from ringrift_core.commands.bench_engine import bench_engine, json_report, share_of_bare, text_report
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey


def test_the_report_has_the_documented_keys_and_a_stable_checksum():
    report = bench_engine(ConfigKey("hex8", 2), games=32, runs=1)
    assert list(json_report(report)) == [
        "game",
        "plies_per_s_per_core",
        "plies_per_s_all_cores",
        "games_per_s_per_core",
        "cores",
        "plies",
        "games",
        "final_state_checksum",
        "cpu",
    ]
    assert report.final_state_checksum == bench_engine(ConfigKey("hex8", 2), games=32, runs=2).final_state_checksum
    assert report.final_state_checksum != bench_engine(ConfigKey("hex8", 2), games=32, seed=2).final_state_checksum
    assert (report.games, report.plies) == (32, 5028)
    assert report.final_state_checksum == "19aa624d7ec9d601"  # on every machine
    assert "plies/s on one core" in text_report(report)


def test_a_run_is_compared_with_the_bare_runs_around_it():
    assert share_of_bare([9.0, 6.0, 30.0], [10.0, 8.0, 12.0, 28.0]) == 1.0, "medians of 1, 0.6 and 1.5"
    with pytest.raises(ValueError, match="zip"):
        share_of_bare([9.0], [10.0])


def test_a_benchmark_of_nothing_is_refused():
    with pytest.raises(RulesError, match="at least 1"):
        bench_engine(ConfigKey("hex8", 2), games=0)
