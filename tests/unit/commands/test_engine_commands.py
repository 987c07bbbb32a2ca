"""`ringrift bench engine` and `ringrift warmup`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift_core.commands import warmup as warmups
from ringrift_core.commands.bench_engine import bench_engine, json_report, share_of_bare, text_report
from ringrift_core.commands.warmup import FIRST, FOLDERS_KEPT, STAMP, ensure_first, remove_old_folders, warmup
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import jit

ROOT = Path(__file__).parents[3]


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


def test_every_entry_is_called_with_the_types_it_is_compiled_for():
    """Otherwise `warmup` would compile one form and the first game another."""
    lines: list[str] = []
    warmup(lines.append)
    assert "ready after" in lines[-1]
    for name, entry in jit.ENTRIES.items():
        assert set(entry.compiled.signatures) <= {entry.arguments}, name


def test_old_compiled_versions_are_removed(tmp_path: Path):
    for number in range(FOLDERS_KEPT + 3):
        folder = tmp_path / f"{number:016x}"
        folder.mkdir()
        os.utime(folder, (number, number))
    (tmp_path / "somebody else's").mkdir()
    os.utime(tmp_path / "somebody else's", (0, 0))
    remove_old_folders(tmp_path)
    kept = [f"{number:016x}" for number in range(3, FOLDERS_KEPT + 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*kept, "somebody else's"]


def test_an_edited_rule_is_never_run_from_a_stale_cache(tmp_path: Path):
    """Two versions of the source, one cache, the same file times: each runs its own rules, compiled."""
    for package in ("config", "ringrift_core"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    rule = tmp_path / "ringrift_core" / "game" / "rules" / "outcome.py"
    code = (
        "from ringrift_core.game.rules import entries; import numpy as np\n"
        "from ringrift_core.game import Board; from ringrift_core.game.state import Variant, new_row\n"
        "row = new_row(Board.of('hex8'), Variant(2, 4, False)); row[31] = 5; ranks = np.zeros(9, np.int16)\n"
        "entries.ranking(row, ranks); print(ranks[:2].tolist(), entries.ranking.stats.cache_hits.total())"
    )

    def run(cache: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "RINGRIFT_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    cache, none = str(tmp_path / "cache"), "/proc/nowhere"
    assert run(cache) == "[2, 1] 0"
    assert run(cache) == "[2, 1] 1"
    assert run(none) == "[2, 1] 0"  # a folder that cannot be made: compiled anew each time
    times = (rule.stat().st_atime_ns, rule.stat().st_mtime_ns)
    right = "return s[at.TERRITORY + a] > s[at.TERRITORY + b]"
    text = rule.read_text()
    assert right in text
    rule.write_text(text.replace(right, right.replace(">", "<")))
    os.utime(rule, ns=times)
    assert run(cache) == "[1, 2] 0"
    assert run(none) == "[1, 2] 0"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What would be compiled, for an empty cache."""
    groups: list[object] = []
    monkeypatch.setattr(warmups, "folders", lambda: [tmp_path])
    monkeypatch.setattr(warmups, "can_cache", lambda: True)
    monkeypatch.setattr(warmups, "in_processes", lambda found, _write: groups.append(found))
    return groups


def test_what_the_first_games_need_is_compiled_once_and_the_rest_remains(compiled: list[object]):
    lines: list[str] = []
    assert ensure_first(lines.append)
    assert ensure_first(lines.append), "the rest is not compiled yet"
    assert compiled == [FIRST]
    assert "ready for the first games" in lines[-1]


def test_where_everything_is_compiled_nothing_is(compiled: list[object], tmp_path: Path):
    (tmp_path / STAMP).touch()
    assert not ensure_first(print)
    assert compiled == []


def test_where_nothing_can_be_kept_nothing_is_compiled_ahead(compiled: list[object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(warmups, "can_cache", lambda: False)
    assert not ensure_first(print)
    assert compiled == []
