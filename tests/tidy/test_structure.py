"""Floors, dead modules, docstrings, and the name `config`."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.tidy import PACKAGES, ROOT, imports_of, module_name, sources

FLOORS = {"config": 0, "ringrift_core": 1, "managers": 2, "p2p": 3}
RULES_IMPORTS = {
    "math",
    "numba",
    "hashlib",
    "os",
    "platform",
    "collections.abc",
    "pathlib",
    "dataclasses",
    "functools",
    "typing",
    "llvmlite",
    "numpy.typing",
}


def uphill(name: str, imported: set[str]) -> list[str]:
    floor = FLOORS[name.split(".", maxsplit=1)[0]]
    return [f"{name} imports {other}" for other in imported if FLOORS.get(other.split(".")[0], -1) > floor]


def test_imports_go_down_the_floors():
    """import-linter holds this too; here it is checked on the text, type-checking imports included."""
    assert [line for path in sources(*PACKAGES) for line in uphill(module_name(path), imports_of(path))] == []
    assert uphill("config.x", {"ringrift_core.game"}) == ["config.x imports ringrift_core.game"]


def test_nobody_imports_tests():
    assert [
        path for path in sources(*PACKAGES, "benchmarks") if any(n.startswith("tests") for n in imports_of(path))
    ] == []


def test_kernels_import_only_kernels():
    """Compiled code cannot use anything else, and the digest of compiled code covers the rules and its folder only."""
    for path in sources("ringrift_core"):
        if path.parent.name not in {"rules", "kernels"}:
            continue
        foreign = {
            name
            for name in imports_of(path)
            if not name.startswith(("ringrift_core.game.rules", module_name(path).rpartition(".")[0]))
            and not any(name == known or name.startswith(f"{known}.") for known in RULES_IMPORTS)
        }
        allowed = {"config.environment", "config.environment.cache_dir"} if path.name == "jit.py" else set()
        assert foreign <= allowed, path


CATCH_ALL = {  # a fault of whatever kind ends there: the Supervisor, the dispatcher of events, HTTP, the state, a child
    "managers.runtime.supervisor",
    "managers.runtime.subscriber",
    "p2p.http.errors",
    "managers.state.apply",
    "ringrift_core.jobs.__main__",
    "p2p.consensus.process",
}
EVERYTHING = {"Exception", "BaseException"}


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes every exception and does not end by raising."""
    named = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else EVERYTHING
    return bool(named & EVERYTHING) and not isinstance(handler.body[-1], ast.Raise)


def handlers_of(text: str) -> list[ast.ExceptHandler]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ExceptHandler)]


def test_whatever_comes_is_caught_in_five_places_only():
    found = {
        module_name(path) for path in sources(*PACKAGES) if any(map(swallows, handlers_of(path.read_text("utf-8"))))
    }
    assert found <= CATCH_ALL
    for clause in ("except Exception", "except (ValueError, BaseException) as error", "except"):
        assert [swallows(it) for it in handlers_of(f"try: f()\n{clause}: g()")] == [True]
    for clause in ("except ValueError: g()", "except Exception:\n g()\n raise"):
        assert [swallows(it) for it in handlers_of(f"try: f()\n{clause}")] == [False]


def test_every_module_is_used():
    """By another module of ours, or as the target of a console script or of `python -m`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    started = {target.split(":")[0] for target in project["scripts"].values()} | {
        "p2p.__main__",
        "p2p.consensus.__main__",
        "p2p.doctor.__main__",
        "p2p.local_cluster.tether",
        "ringrift_core.evaluation.book_maker",
        "ringrift_core.jobs.__main__",
        "ringrift_core.kernel_cache",
        "ringrift_core.registry.__main__",
    }
    imported: set[str] = set()
    for path in sources(*PACKAGES):
        imported |= imports_of(path)
    modules = {module_name(path) for path in sources(*PACKAGES) if path.name != "__init__.py"}
    assert modules - imported - started == set()


def test_every_package_says_what_lives_there_and_what_to_open_first():
    for path in sources(*PACKAGES):
        if path.name == "__init__.py":
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert len(text) > 80, path
            assert "Open first" in text or path.parent.name == "managers", path


def test_config_is_ours_from_a_folder_with_a_foreign_config(tmp_path: Path):
    (tmp_path / "config.py").write_text("raise ImportError('the foreign config.py was imported')\n")
    script = Path(sys.executable).parent / "ringrift"
    for command in ([str(script), "play", "--agents", "random"], [sys.executable, "-P", "-c", "import p2p.cli.main"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    found = subprocess.run(
        [sys.executable, "-P", "-c", "import config; print(config.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == ROOT / "config" / "__init__.py"
