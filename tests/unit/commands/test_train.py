"""`ringrift train` and `ringrift bench train` in this process: what they print, which seed a run that goes on has."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringrift_core.commands import train as command
from ringrift_core.commands.bench_train import bench_train, text_report
from ringrift_core.commands.train import default_threads, progress_line, summary, train
from ringrift_core.errors import RulesError, StorageError
from tests.training_shards import KEY, games, shard, spec


class FakeWorkers:
    """In place of processes: gives the reports that it was told to give."""

    reports: tuple[dict[str, Any], ...] = ()
    signalled = 0

    def __init__(self, specs: list[Any], arguments: list[str]) -> None:
        self.signal = self.signalled
        FakeWorkers.last = (specs, arguments)

    last: tuple[list[Any], list[str]]

    def run(self, on_report: Any) -> None:
        for report in self.reports:
            on_report(0, report)


WINDOW = {
    "event": "window",
    "sha256": "ab" * 32,
    "shards": 2,
    "rows": 90,
    "rows_total": 100,
    "refused": [{"file": "x.npz", "reason": "damaged"}],
}
DONE = {
    "event": "done",
    "step": 6,
    "steps": 6,
    "candidate": "c.pth",
    "sha256": "cd" * 32,
    "validation": {"policy": 1.5},
}
STOPPED = {"event": "stopped", "step": 3, "steps": 6}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> type[FakeWorkers]:
    monkeypatch.setattr(command, "Workers", FakeWorkers)
    monkeypatch.setattr(FakeWorkers, "reports", (WINDOW, DONE))
    monkeypatch.setattr(FakeWorkers, "signalled", 0)
    return FakeWorkers


def asked(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    given = {"game": KEY, "data": (tmp_path,), "out": tmp_path / "run", "size": "nano", "threads": 1}
    return {**given, **changes}


def test_the_result_is_one_json_object(tmp_path, workers, capsys):
    assert train(asked(tmp_path), seed=7, processes=1, as_json=True) == 0
    found = capsys.readouterr()
    result = json.loads(found.out)
    assert (result["game"], result["seed"], result["out"]) == (KEY, 7, str(tmp_path / "run"))
    assert (result["candidate"], result["validation"], result["window"]["rows"]) == ("c.pth", {"policy": 1.5}, 90)
    assert "left out x.npz: damaged" in found.err


def test_a_stopped_run_ends_with_the_signal_and_says_how_to_go_on(tmp_path, workers, monkeypatch, capsys):
    monkeypatch.setattr(FakeWorkers, "reports", (WINDOW, STOPPED))
    monkeypatch.setattr(FakeWorkers, "signalled", 2)
    assert train(asked(tmp_path), seed=7, processes=1, as_json=False) == 130
    assert capsys.readouterr().out == f"{KEY}: stopped at step 3 of 6; the same command goes on from there\n"


def test_a_run_that_goes_on_has_the_seed_that_it_began_with(tmp_path, workers, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"spec": {"seed": 1234}}')
    train(asked(tmp_path), seed=None, processes=1, as_json=False)
    assert workers.last[0][0].seed == 1234
    train(asked(tmp_path), seed=5, processes=1, as_json=False)
    assert workers.last[0][0].seed == 5
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(StorageError, match="choose another folder"):
        train(asked(tmp_path), seed=None, processes=1, as_json=False)


def test_a_new_run_draws_a_seed(tmp_path, workers, capsys):
    seeds = set()
    for _ in range(3):
        train(asked(tmp_path), seed=None, processes=1, as_json=False)
        seeds.add(workers.last[0][0].seed)
    assert len(seeds) == 3
    assert all(0 <= seed < 1 << 48 for seed in seeds)


@pytest.mark.parametrize(
    ("changes", "processes", "message"),
    [
        ({"learning_rate": 0.0}, 1, "learning_rate: Input should be greater than 0"),
        ({"size": None}, 1, "say either the parent to go on from or the size"),
        ({"parent": Path("x.pth")}, 1, "say either the parent"),
        ({"batch": 33}, 2, "a batch of 33 cannot be divided among 2 processes"),
        ({"max_age_hours": float("inf")}, 1, "max_age_hours"),
        ({"max_age_hours": float("nan")}, 1, "max_age_hours"),
        ({"learning_rate": float("nan")}, 1, "learning_rate"),
        ({"precision": "fp8"}, 1, "precision"),
    ],
)
def test_bad_numbers_are_refused_before_anything_starts(tmp_path, workers, changes, processes, message):
    with pytest.raises(RulesError, match=message):
        train(asked(tmp_path, **changes), seed=1, processes=processes, as_json=False)


def test_several_processes_are_ranks_of_torchrun(tmp_path, workers, capsys):
    train(asked(tmp_path), seed=1, processes=4, as_json=False)
    assert "--nproc-per-node=4" in workers.last[1]
    train(asked(tmp_path), seed=1, processes=1, as_json=False)
    assert workers.last[1] == ["-m", "ringrift_core.jobs"]


def test_the_line_of_a_run_under_way(tmp_path):
    run = spec(tmp_path, tmp_path)
    reports: dict[str, dict[str, Any]] = {}
    assert str(progress_line(run, reports)) == "hex8_2p: looking at the shards"
    reports["window"] = WINDOW
    assert str(progress_line(run, reports)) == "hex8_2p: 90 of 100 rows, begun"
    reports["progress"] = {"step": 3, "steps": 6, "policy": 1.23456, "value": 0.5, "samples_per_s": 99.6}
    line = "hex8_2p: 90 of 100 rows, step 3 of 6, policy 1.235, value 0.500, 100 samples/s"
    assert str(progress_line(run, reports)) == line


def test_the_summary_names_the_candidate_and_its_losses():
    result = {"game": KEY, "seed": 3, **DONE}
    assert summary(result) == (
        f"{KEY}: c.pth, sha256 {'cd' * 32}\n6 steps, seed 3; on games kept for validation: policy 1.5000"
    )
    assert summary({**result, "validation": {}}).endswith("6 steps, seed 3")
    assert summary({"game": KEY}) == f"{KEY}: stopped; the same command goes on from there"


def test_threads_are_shared_among_processes():
    assert default_threads(1) >= 1
    assert default_threads(10**6) == 1


def test_the_benchmark_compares_with_a_bare_loop(tmp_path):
    shard(tmp_path, games(count=16))
    report = bench_train(KEY, tmp_path, ["nano"], batch=16, steps=1, runs=2)
    results = report["results"]
    assert isinstance(results, list)
    (figures,) = results
    assert figures["trainer_per_s"] > 0 < figures["bare_per_s"]
    assert 0 < figures["share"] < 2
    assert "hex8_2p nano: trainer" in text_report(report)
