"""A gauntlet job of a net, killed with kill -9 and stopped, comes to the verdict that it would have had."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift_core.commands.net import new_net
from ringrift_core.evaluation.check import check_gauntlet
from ringrift_core.evaluation.gauntlet_result import read_gauntlet
from ringrift_core.evaluation.stored_match import matches_in
from ringrift_core.jobs.gauntlet import run_gauntlet
from ringrift_core.jobs.spec import GauntletSpec


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """Two nets with random weights: a first look, then 12 games against random and 12 against the heuristic."""
    for seed in (1, 2):
        new_net(tmp_path / f"{seed}.pth", "hex8_2p", "nano", seed)
    return {
        "kind": "gauntlet", "game": "hex8_2p", "candidate": str(tmp_path / "1.pth"),
        "champion": str(tmp_path / "2.pth"),
        "seed": 1, "games": 4, "games_max": 12, "qualify_games": 6, "sims": 2, "deterministic": True,
        "rates": {"random": 0.02, "heuristic": 0.3}, "device": "cpu",
    }  # fmt: skip


def placed(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "out": str(folder / "results"), "work": str(folder / "work")}


def start(folder: Path, spec: dict[str, Any]) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    path = folder / "spec.json"
    path.write_text(json.dumps(placed(folder, spec)))
    command = [sys.executable, "-m", "ringrift_core.jobs", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(job: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    said, errors = job.communicate(timeout=200)
    assert job.returncode == 0, errors
    return [json.loads(line) for line in said.splitlines()]


def signalled(job: "subprocess.Popen[str]", after: str, wait_s: float, number: signal.Signals) -> None:
    """Send a signal some time after a report."""
    assert job.stdout is not None
    while f'"{after}"' not in job.stdout.readline():
        assert job.poll() is None
    time.sleep(wait_s)
    job.send_signal(number)


def outcome(done: dict[str, Any]) -> Any:
    rows = [{name: value for name, value in row.items() if name != "match"} for row in done["rows"]]
    return done["verdict"], done["reason"], rows, done["ratings"]


def games_of(folder: Path) -> dict[tuple[str, str], Any]:
    """The games of the matches, by purpose and opponent; two of the same name would be one too many."""
    found = list(matches_in(folder / "results"))
    games = {(match.purpose, match.agents[1].name): match.games for match in found}
    assert len(games) == len(found)
    return games


def test_killed_and_stopped_a_gauntlet_comes_to_the_same_verdict(tmp_path, spec):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    expected: list[dict[str, Any]] = []
    run_gauntlet(GauntletSpec(**placed(straight, spec)), expected.append, lambda: False)
    rng = np.random.default_rng(5)
    with start(killed, spec) as job:
        signalled(job, "qualified", 0.3 * rng.random(), signal.SIGKILL)
    with start(killed, spec) as job:
        signalled(job, "progress", 0.0, signal.SIGTERM)
        assert finished(job)[-1] == {"event": "stopped"}
    assert not (killed / "results" / "gauntlets").exists()
    with start(killed, spec) as job:
        found = finished(job)
    assert found[0]["event"] == "resumed"
    assert found[0]["games"] >= 10
    assert outcome(found[-1]) == outcome(expected[-1])
    assert games_of(killed) == games_of(straight)
    (path,) = (killed / "results" / "gauntlets").glob("*.json")
    check_gauntlet(read_gauntlet(path), killed / "results")
