"""A node killed with kill -9 has what it was told is kept."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from managers.state_manager import StateManager
from tests.tidy import ROOT

KILLS = 3
ACKNOWLEDGED = 5  # before each kill


def killed(path: Path, first: int) -> int:
    """The last number that a killed keeper has acknowledged."""
    command = [sys.executable, "-m", "tests.e2e.state_keeper", str(path), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        for _ in range(ACKNOWLEDGED):
            assert keeper.stdout.readline()
        os.kill(keeper.pid, signal.SIGKILL)
        rest = keeper.stdout.read().split()
        keeper.wait(30)
    return int(rest[-1]) if rest else first + ACKNOWLEDGED - 1


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path):
    path, last = tmp_path / "node.sqlite", -1

    async def found() -> tuple[str, list[int], int]:
        async with StateManager(path, lambda: 1.9e9) as state:
            facts, refusals = await state.load_state(), await state.refusals()
            return state.note, [value for value in facts.values() if isinstance(value, int)], refusals[0].count

    for kill in range(1, KILLS + 1):
        last = killed(path, last + 1)
        note, values, count = asyncio.run(found())
        assert note == ""
        assert last <= max(values) <= last + 1
        assert len(values) >= min(20, last + 1)
        assert last + 1 <= count <= last + 1 + kill
        last = max(values)
