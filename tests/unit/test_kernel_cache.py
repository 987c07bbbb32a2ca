"""The kernel cache: compiled once per version, by one process, while the others wait."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ringrift_core import kernel_cache
from ringrift_core.game.rules import jit
from ringrift_core.kernel_cache import FIRST_GAMES, FOLDERS_KEPT, Part, compiling, ensure, remove_old_folders, warmup

ROOT = Path(__file__).parents[2]


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


def test_a_source_has_one_cache_and_an_edited_rule_another(tmp_path: Path):
    """Two versions of the source, one cache, the same file times: each runs its own rules, compiled."""
    for package in ("config", "ringrift_core"):
        shutil.copytree(ROOT / package, tmp_path / "a" / package, ignore=shutil.ignore_patterns("__pycache__"))
    rule = tmp_path / "a" / "ringrift_core" / "game" / "rules" / "outcome.py"
    code = (
        "from ringrift_core.game.rules import entries; import numpy as np\n"
        "from ringrift_core.game import Board; from ringrift_core.game.state import Variant, new_row\n"
        "row = new_row(Board.of('hex8'), Variant(2, 4, False)); row[31] = 5; ranks = np.zeros(9, np.int16)\n"
        "entries.ranking(row, ranks); print(ranks[:2].tolist(), entries.ranking.stats.cache_hits.total())"
    )

    def run(cache: str, copy: str = "a") -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / copy,
            env={**os.environ, "RINGRIFT_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    cache, none = str(tmp_path / "cache"), "/proc/nowhere"
    assert run(cache) == "[2, 1] 0"
    assert run(cache) == "[2, 1] 1"
    shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(cache, "b") == "[2, 1] 1"  # another copy of the same source, with other file times
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
    folder = tmp_path / "rules" / "0"
    folder.mkdir(parents=True)

    def note(found: Sequence[Sequence[str]], _write: object, _beat: object) -> None:
        groups.append(found)

    monkeypatch.setattr(kernel_cache, "folders", lambda: [folder])
    monkeypatch.setattr(kernel_cache, "can_cache", lambda: True)
    monkeypatch.setattr(kernel_cache, "in_processes", note)
    return groups


def test_what_is_needed_is_compiled_once(compiled: list[object]):
    lines: list[str] = []
    for _ in range(2):
        ensure(Part.FIRST, lines.append)
    assert compiled == [FIRST_GAMES]
    assert "ready" in lines[-1]
    ensure(Part.ALL, lines.append)
    ensure(Part.FIRST, lines.append)
    assert len(compiled) == 2


def test_whoever_needs_what_another_process_compiles_waits_for_it(compiled: list[object]):
    looks = 0

    def beat() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            kernel_cache.mark(Part.ALL)
        return False

    with compiling() as ours:
        assert ours
        ensure(Part.FIRST, print, beat)
    assert (compiled, looks) == ([], 2)


def test_whoever_is_told_to_end_waits_no_longer(compiled: list[object]):
    with compiling():
        ensure(Part.ALL, print, lambda: True)
    assert compiled == []


def test_where_nothing_can_be_kept_nothing_is_compiled_ahead(compiled: list[object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernel_cache, "can_cache", lambda: False)
    ensure(Part.ALL, print)
    assert compiled == []
