"""The whole loop under kill -9; `make soak` does the same with 50 kills."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.tidy import ROOT


def killed(folder: Path, *arguments: str) -> dict[str, Any]:
    """The last line of the killer, and its exit code."""
    command = [sys.executable, "-m", "tests.e2e.loop_killer", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**report, "code": done.returncode, "all": done.stdout}


def test_a_loop_that_is_killed_goes_on_and_has_all_that_it_acknowledged(tmp_path: Path):
    report = killed(tmp_path, "--kills", "2", "--seed", "2", "--patience", "5")
    assert report["faults"] == [], report["all"]
    assert report["code"] == 0
    assert report["counts"]["up"] >= 2


def test_acknowledging_before_writing_would_be_noticed(tmp_path: Path):
    report = killed(
        tmp_path, "--kills", "1", "--seed", "1", "--victim", "loop", "--planted", "early", "--instant", "job_started"
    )
    assert report["code"] == 1
    assert any("was acknowledged" in fault for fault in report["faults"])


def test_leaving_what_earlier_lives_have_left_would_be_noticed(tmp_path: Path):
    report = killed(
        tmp_path,
        "--kills",
        "1",
        "--seed",
        "1",
        "--victim",
        "frozen",
        "--planted",
        "unswept",
        "--instant",
        "job_started",
    )
    assert report["code"] == 1
    assert any("processes of earlier lives are still there" in fault for fault in report["faults"])
