"""`ringrift train` as real processes: kill -9, Ctrl-C, two ranks, and what a stranger types."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ringrift_core.jobs.spec import TrainingSpec
from ringrift_core.training.train_state import read_state
from tests.training_shards import games, shard, spec, train

RINGRIFT = Path(sys.executable).parent / "ringrift"
STEPS = 100
KILLS = 2
RANKS_DIFFER_MAX = 1e-5
NOISE = 1e-8  # gradients below it, the epsilon of Adam, are rounding errors


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    shard(folder, games(count=40, seed=3))
    return folder


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


def ringrift(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RINGRIFT, *arguments], capture_output=True, text=True, check=False, timeout=240, cwd=cwd)


def weights(out: Path) -> dict[str, torch.Tensor]:
    form = torch.load(out / "candidate.pth", weights_only=True)
    found: dict[str, torch.Tensor] = form["state_dict"]
    return found


def assert_same_run(one: Path, other: Path) -> None:
    """The candidates and the last states, moments included, are equal to the bit."""
    mine, yours = weights(one), weights(other)
    assert all(torch.equal(mine[name], yours[name]) for name in mine)
    states = [read_state(out / "state.pt") for out in (one, other)]
    assert states[0].cursor == states[1].cursor
    moments = [state.trainer["optimiser"]["state"] for state in states]
    assert all(torch.equal(moments[0][i][name], moments[1][i][name]) for i in moments[0] for name in moments[0][i])


def wait_until(true: Callable[[], bool], run: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def killed_once(asked: TrainingSpec, path: Path, wait_s: float) -> None:
    """A job that is killed so long after its first saved state."""
    path.write_text(asked.model_dump_json())
    command = [sys.executable, "-m", "ringrift_core.jobs", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as job:
        assert job.stdout is not None
        while '"saved"' not in (line := job.stdout.readline()):
            assert line, "the job ended by itself"
        time.sleep(wait_s)
        job.kill()


def test_kill_9_at_any_instant_and_going_on_gives_the_same_run_to_the_bit(tmp_path: Path, data: Path):
    straight = spec(data, tmp_path / "straight", steps=STEPS, save_every=5)
    train(straight)
    killed = spec(data, tmp_path / "killed", steps=STEPS, save_every=5)
    rng, steps = np.random.default_rng(2), [0]
    for _ in range(KILLS):
        killed_once(killed, tmp_path / "spec.json", 0.1 * rng.random())
        steps.append(read_state(killed.out / "state.pt").trainer["step"])
    assert steps == sorted(set(steps)), "each life made some steps"
    assert steps[-1] < STEPS, "the last kill came too late to be one"
    train(killed)
    assert_same_run(straight.out, killed.out)
    journals = [(it.out / "train.jsonl").read_text() for it in (straight, killed)]
    assert journals[0] == journals[1]


def started(data: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    """A run in a process group of its own, as a shell starts it."""
    command = [str(RINGRIFT), "train", str(data), "--out", str(out), "--size", "nano", "--seed", "3", "--batch", "16"]
    return subprocess.Popen(
        [*command, "--max-age-hours", "0", "--threads", "1", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupted(data: Path, out: Path, *options: str) -> dict[str, object]:
    """The report of a run that gets Ctrl-C, with all its processes, after its first state."""
    with started(data, out, *options) as run:
        wait_until((out / "state.pt").exists, run)
        os.killpg(run.pid, signal.SIGINT)
        stdout, stderr = run.communicate(timeout=120)
    assert run.returncode == 130, stderr
    assert "Traceback" not in stderr
    report: dict[str, object] = json.loads(stdout)
    return report


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path, data: Path):
    asked = spec(data, tmp_path / "stopped", steps=120, save_every=5, ema=0.999)
    report = interrupted(data, asked.out, "--steps", "120", "--save-every", "5")
    assert report["event"] == "stopped"
    assert report["step"] == read_state(asked.out / "state.pt").trainer["step"] < 120
    train(asked)  # has the settings that the command had: the run goes on
    straight = spec(data, tmp_path / "straight", steps=120)
    train(straight)
    assert_same_run(straight.out, asked.out)


def differences(one: dict[str, Any], other: dict[str, Any]) -> torch.Tensor:
    """How far the weights of two states are apart, one number for each whose gradient is no rounding error.

    Adam makes whole steps of gradients that are rounding errors, so weights on which no loss depends differ freely.
    """
    mine, yours = one["net"], other["net"]
    order = [*(name for name in mine if mine[name].ndim > 1), *(name for name in mine if mine[name].ndim <= 1)]
    squares = [one["optimiser"]["state"][number]["exp_avg_sq"] for number in range(len(order))]
    noise = torch.cat([((square > 0) & (square < NOISE**2)).flatten() for square in squares])
    apart = torch.cat([(mine[name] - yours[name]).abs().flatten() for name in order])
    assert noise.float().mean() < 0.01
    return apart[~noise]


def test_two_ranks_make_the_net_of_one_process_and_ctrl_c_stops_both(tmp_path: Path, data: Path):
    """Twenty steps at least by two ranks, then Ctrl-C, the rest by one process."""
    ranks = spec(data, tmp_path / "ranks", steps=40, precision="fp32")
    options = ("--steps", "40", "--save-every", "20", "--precision", "fp32", "--processes", "2")
    report = interrupted(data, ranks.out, *options)
    assert isinstance(report["step"], int)
    straight = spec(data, tmp_path / "straight", steps=40, precision="fp32")
    train(straight, stop_at=report["step"])
    first, one, two = tmp_path / "first", straight.out, ranks.out
    train(spec(data, first, steps=40, precision="fp32"), stop_at=1)
    states = [read_state(out / "state.pt").trainer for out in (one, two, first)]
    assert states[0]["step"] == states[1]["step"] >= 20
    assert differences(states[0], states[1]).max() <= RANKS_DIFFER_MAX
    assert differences(states[0], states[2]).mean() > 10 * RANKS_DIFFER_MAX, "nets that do not move show nothing"
    train(ranks)  # one process goes on where two were
    assert (ranks.out / "candidate.pth").exists()


def test_what_rank_0_refuses_ends_all_ranks_with_its_one_line(tmp_path: Path, data: Path):
    """The others wait at a barrier then. In a folder with a foreign `config.py`, which no rank imports."""
    (tmp_path / "config.py").write_text("raise ImportError('the foreign config.py was imported')\n")
    done = ringrift(
        *("train", str(data), "--size", "nano", "--batch", "16", "--out", "run", "--processes", "2"), cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the newest shard of hex8_2p is ")
    assert done.stderr.rstrip().endswith("make new games, or say --max-age-hours 0 to train on old ones")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FOLDER...'"),
        (["nowhere", "--size", "nano"], "error: nowhere: cannot be listed: No such file or directory"),
        (["data"], "error: say either the parent to go on from or the size of a net"),
        (["data", "--size", "nano", "--batch", "1"], "Invalid value for '--batch'"),
        (["data", "--size", "nano", "--learning-rate", "nan"], "error: learning_rate: Input should be"),
    ],
)
def test_what_a_stranger_types_is_answered_in_one_line(tmp_path: Path, arguments: list[str], message: str):
    (tmp_path / "data").mkdir()
    done = ringrift("train", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
