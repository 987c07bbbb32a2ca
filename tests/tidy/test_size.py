"""Files and functions stay readable: at most 600 lines and 60 lines, with a ratchet for what is over."""

import ast
import tomllib
from pathlib import Path

from tests.tidy import PACKAGES, ROOT, sources

FILE_LINES_MAX = 600
TEST_FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 60
RATCHET = tomllib.loads((Path(__file__).parent / "ratchet.toml").read_text())


def over(found: dict[str, int], allowed: dict[str, int]) -> list[str]:
    wrong = [f"{name}: {size} lines" for name, size in found.items() if size > allowed.get(name, 0)]
    stale = [
        f"{name}: lower its number to {found.get(name, 0)}" for name in allowed if found.get(name, 0) < allowed[name]
    ]
    return wrong + stale


def test_files_are_short():
    found = {}
    for folder, limit in [
        *((package, FILE_LINES_MAX) for package in (*PACKAGES, "benchmarks")),
        ("tests", TEST_FILE_LINES_MAX),
    ]:
        for path in sources(folder):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > limit:
                found[str(path.relative_to(ROOT))] = lines
    assert over(found, RATCHET["files"]) == []


def test_functions_are_short():
    found = {}
    for path in sources(*PACKAGES, "benchmarks", "tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert over(found, RATCHET["functions"]) == []


def test_the_ratchet_notices_what_grows_and_what_shrank():
    assert over({"a.py": 700}, {}) == ["a.py: 700 lines"]
    assert over({"a.py": 700}, {"a.py": 700}) == []
    assert over({"a.py": 701}, {"a.py": 700}) == ["a.py: 701 lines"]
    assert over({"a.py": 650}, {"a.py": 700}) == ["a.py: lower its number to 650"]
