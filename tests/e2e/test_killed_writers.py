"""A writer of shards killed with kill -9 at any instant: nothing half-written counts, nothing acknowledged is lost."""

import subprocess
import sys
from pathlib import Path

from ringrift_core.selfplay.check import FolderCheck, check_folder
from ringrift_core.selfplay.fault import Fault
from ringrift_core.selfplay.shard_folder import LEFTOVER_AGE_S
from tests.tidy import ROOT

KILLS = 20


def killed_writers(folder: Path, *options: str) -> tuple[FolderCheck, list[str]]:
    """The state of a folder after the kills, and the names of the acknowledged shards."""
    command = [sys.executable, "-m", "tests.e2e.shard_writer", str(folder), "1", str(KILLS), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    newest = max(path.stat().st_mtime for path in folder.iterdir())
    return check_folder(folder, newest + LEFTOVER_AGE_S), done.stdout.split()


def test_a_shard_is_there_completely_or_not_at_all(tmp_path):
    check, acknowledged = killed_writers(tmp_path)
    # every shard holds the same games with other numbers, so all but one are duplicates
    assert {verdict.fault for verdict in check.verdicts} <= {None, Fault.DUPLICATE}
    assert acknowledged
    assert set(acknowledged) <= {verdict.path.name for verdict in check.verdicts}
    assert len(check.verdicts) <= len(acknowledged) + KILLS
    assert len(check.leftovers) <= 2 * KILLS


def test_a_writer_that_does_not_write_whole_files_is_noticed(tmp_path):
    check, _ = killed_writers(tmp_path, "planted")
    faults = {verdict.fault for verdict in check.verdicts}
    assert faults & {Fault.MANIFEST, Fault.TRUNCATED}
