"""A data folder has one node: the kernel holds the lock, and lets go of it with the process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.state.log_files import InUseError
from p2p.orchestrator import opened_state
from tests.tidy import ROOT

HOLDER = """
import asyncio, subprocess, sys
from pathlib import Path
from config.schema import Settings
from config.sections import NodeSettings
from p2p.orchestrator import opened_state

async def main():
    async with opened_state(Settings(node=NodeSettings(data_dir=Path(sys.argv[1])))):
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        print(child.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@contextmanager
def holder(folder: Path) -> Iterator[tuple[int, int]]:
    """A process that has the folder, and a child of it that outlives it."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process.pid, child
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def opened(folder: Path) -> None:
    async def life() -> None:
        async with opened_state(Settings(node=NodeSettings(data_dir=folder))):
            pass

    asyncio.run(life())


def test_a_second_node_is_told_which_process_is_the_first_and_a_killed_one_leaves_no_lock(tmp_path: Path):
    with holder(tmp_path) as (pid, child):
        with pytest.raises(InUseError, match=f"process {pid} keeps its log there: stop it, or choose another folder"):
            opened(tmp_path)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.kill(child, 0)  # lives on, without the lock
        opened(tmp_path)
