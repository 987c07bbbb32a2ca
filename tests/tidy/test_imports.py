"""What starts quickly loads little: a node answers before it computes, a command line before it asks."""

import subprocess
import sys

HEAVY = ("torch", "numba", "scipy")


def loaded(module: str, names: tuple[str, ...]) -> set[str]:
    """Those of the names that a fresh process has loaded after importing the module."""
    code = f"import {module}, sys; print(*({set(names)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_control_process_loads_no_library_that_computes():
    assert loaded("p2p.node", HEAVY) == set()


def test_the_command_lines_load_no_library_before_they_know_what_is_asked():
    names = (*HEAVY, "numpy", "aiohttp", "asyncio", "pydantic", "rich.table")
    assert loaded("p2p.cli.main", names) == set()
    assert loaded("p2p.cli.node", names) == set()


def test_the_check_can_fail():
    assert loaded("ringrift_core.game.rules.jit", HEAVY) >= {"numba"}
