"""Users of a registry killed with kill -9 at every touch of the disk: never a missing or half canonical file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tidy import ROOT

# what a kill may leave, all of which `repair` takes away
HARMLESS = {"UNFINISHED_INSTALL", "LEFTOVER", "UNKNOWN_BLOB", "UNEXPECTED_CANONICAL", "DANGLING_LINK"}


Report = dict[str, Any]
OPERATIONS = ("register", "install", "first", "restore", "race")


def reports(folder: Path, *arguments: str) -> list[Report]:
    command = [sys.executable, "-m", "tests.e2e.registry_killer", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    folder = tmp_path_factory.mktemp("killed")
    return dict(zip(OPERATIONS, reports(folder, ",".join(OPERATIONS)), strict=True))


def strange(report: Report) -> list[str]:
    """What a kill left that stood neither before nor should stand after."""
    begin, wanted = report["begin"], report["wanted"]
    return [
        name
        for kill in report["kills"]
        for name in ("canonical", "backup", "best", "production", "versions")
        if kill["left"][name] not in (begin[name], wanted[name])
    ]


@pytest.mark.parametrize("operation", OPERATIONS[:-1])
def test_whatever_was_begun_is_finished_or_never_happened(killed, operation):
    report = killed[operation]
    assert {"open", "os.rename", "fsync", "sqlite3.connect"} <= {kill["where"] for kill in report["kills"]}
    assert strange(report) == []
    for kill in report["kills"]:
        faults = set(kill["left"]["faults"])
        assert faults <= HARMLESS
        assert ("UNEXPECTED_CANONICAL" in faults) <= ("UNFINISHED_INSTALL" in faults)
        assert kill["end"] == report["wanted"], f"after a kill at {kill['where']}"
    assert report["wanted"]["faults"] == []


def test_writing_files_where_they_stand_would_be_noticed(tmp_path):
    (report,) = reports(tmp_path, "install", "in_place")
    assert "canonical" in strange(report)


def test_making_the_backup_again_would_be_noticed(tmp_path):
    (report,) = reports(tmp_path, "install", "backup_again")
    assert any(kill["end"]["backup"] != report["wanted"]["backup"] for kill in report["kills"])


def test_three_processes_register_and_install_at_once(killed):
    report = killed["race"]
    assert report["numbers"] == list(range(1, 1 + 3 + 3 * 4))
    assert report["canonical"] == report["production"] == report["best"]
    assert report["faults"] == []
