"""The training job in this process: lineage, resuming, refusals before any work, states that survive trouble."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from ringrift_core.commands.net import new_net
from ringrift_core.errors import RulesError, StorageError, TrainingError
from ringrift_core.jobs import training as job
from ringrift_core.jobs.spec import TrainingSpec, read_spec
from ringrift_core.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ringrift_core.training.batches import Assembler
from ringrift_core.training.train_state import read_state, write_state
from ringrift_core.training.trainer import Trainer
from ringrift_core.training.window import read_window
from tests.training_shards import KEY, games, shard, spec, train, window_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of a net, with games to validate on."""
    folder = tmp_path_factory.mktemp("data")
    shard(folder, games(count=40, seed=3), evaluations=4321)
    return folder


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSpec:
    """A run without a stop."""
    torch.set_num_threads(1)
    asked = spec(data, tmp_path_factory.mktemp("straight"))
    train(asked)
    return asked


def candidate(asked: TrainingSpec) -> Checkpoint:
    return load_checkpoint(asked.out / "candidate.pth")


def events(reports: list[dict[str, Any]]) -> list[str]:
    return [report["event"] for report in reports]


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def same_weights(one: Path, other: Path) -> bool:
    nets = [load_checkpoint(folder / "candidate.pth").net.state_dict() for folder in (one, other)]
    return all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def assert_nothing_begun(out: Path) -> None:
    assert not out.exists() or list(out.iterdir()) == []


# ---- a run and its candidate ----


def test_a_run_writes_a_candidate_with_its_lineage(tmp_path, data):
    asked = spec(data, tmp_path / "run")
    reports = train(asked)
    made, window = candidate(asked), read_window(asked.out / "window.json")
    assert (made.head.version, made.head.parent, made.head.elo, made.head.gauntlet) == (1, None, None, {})
    assert made.head.data == {
        "window": window.sha256,
        "rows": window.rows,
        "games": 40,
        "rows_total": window.rows,
        "games_total": 40,
        "evaluations": 4321,
        "newest_at": "2026-01-31T12:00:00+00:00",
    }
    record = dict(made.head.train)
    validation = record.pop("validation")
    assert record == {
        "steps": 6,
        "samples": 96,
        "samples_total": 96,
        "batch": 16,
        "learning_rate": 0.002,
        "ema": 0.999,
        "seed": 3,
        "root_share": 0.2,
    }
    assert set(validation) == {"total", "policy", "value", "ownership", "score"}
    assert reports[-1] == {
        "event": "done",
        "step": 6,
        "steps": 6,
        "candidate": str(asked.out / "candidate.pth"),
        "sha256": made.sha256,
        "size_bytes": (asked.out / "candidate.pth").stat().st_size,
        "version": 1,
        "rows": window.rows,
        "evaluations": 4321,
        "samples_total": 96,
        "validation": validation,
    }
    assert (reports[0]["event"], reports[0]["sha256"]) == ("window", window.sha256)
    assert events(reports).count("saved") == 3


def test_a_run_from_a_parent_continues_its_lineage(tmp_path, data):
    first = spec(data, tmp_path / "1")
    train(first)
    second = spec(data, tmp_path / "2", parent=first.out / "candidate.pth", steps=4)
    train(second)
    made = candidate(second)
    assert (made.head.version, made.head.parent) == (2, candidate(first).sha256)
    assert (made.head.train["samples"], made.head.train["samples_total"]) == (64, 160)
    third = spec(data, tmp_path / "3", parent=second.out / "candidate.pth", steps=2)
    train(third)
    assert (candidate(third).head.version, candidate(third).head.train["samples_total"]) == (3, 192)


def test_a_run_from_a_parent_begins_with_its_weights(tmp_path, data):
    first = spec(data, tmp_path / "1")
    train(first)
    second = spec(data, tmp_path / "2", parent=first.out / "candidate.pth", steps=1, learning_rate=1e-9, ema=0.0)
    train(second)
    parent, made = (candidate(it).net.state_dict() for it in (first, second))
    assert all(torch.allclose(parent[name], made[name], atol=1e-6) for name in parent)


def test_what_ancestors_have_drawn_counts_against_the_rows(tmp_path, data):
    first = spec(data, tmp_path / "1", steps=0, batch=64, passes=2.0)
    train(first)
    again = spec(data, tmp_path / "2", parent=first.out / "candidate.pth", batch=64, steps=5, passes=2.0)
    with pytest.raises(RulesError, match=r"allow 0 steps of 64 after the \d+ samples"):
        train(again)
    assert_nothing_begun(again.out)


def test_rows_that_were_deleted_count_towards_what_may_be_drawn(tmp_path, data):
    """As many as are there by default, and never fewer."""
    rows = window_of(data).rows
    asked = spec(data, tmp_path / "run", batch=64, steps=2 * rows // 64, passes=1.0)
    with pytest.raises(RulesError, match=f"{rows} rows allow"):
        train(asked)
    with pytest.raises(RulesError, match=f"{rows} rows allow"):
        train(asked.model_copy(update={"rows_made": rows - 1}))
    assert_nothing_begun(asked.out)
    reports = train(asked.model_copy(update={"rows_made": 2 * rows}), stop_at=1)
    assert events(reports)[-1] == "stopped"
    assert reports[-1]["steps"] == 2 * rows // 64


def test_without_a_number_of_steps_a_run_goes_twice_over_the_window(tmp_path, data):
    asked = spec(data, tmp_path / "run", steps=0, batch=128)
    train(asked)
    rows = read_window(asked.out / "window.json").rows
    assert candidate(asked).head.train["steps"] == 2 * rows // 128


def test_the_candidate_is_the_average_and_not_the_trained_net(straight):
    trainer, made = read_state(straight.out / "state.pt").trainer, candidate(straight).net.state_dict()
    assert all(torch.equal(made[name], trainer["average"][name]) for name in made)
    assert not all(torch.equal(made[name], trainer["net"][name]) for name in made)


def test_every_step_turns_its_rows_anew_and_a_resumed_one_as_before(tmp_path, data, monkeypatch):
    drawn: list[bytes] = []
    real = Assembler.assemble

    def assembling(self: Any, rows: Any, symmetries: Any) -> Any:
        drawn.append(symmetries.tobytes())
        return real(self, rows, symmetries)

    monkeypatch.setattr(Assembler, "assemble", assembling)
    asked = spec(data, tmp_path / "run", save_every=4)
    train(asked)
    straight, drawn[:] = drawn[:6], []
    assert len(set(straight)) == 6
    stopped = spec(data, tmp_path / "stopped", save_every=4)
    train(stopped, stop_at=3)
    train(stopped)
    assert drawn[:6] == straight


def test_the_journal_and_the_curves_tell_the_run(tmp_path, data):
    asked = spec(data, tmp_path / "run")
    train(asked)
    lines = [json.loads(line) for line in (asked.out / "train.jsonl").read_text().splitlines()]
    assert [(line["step"], line["kind"]) for line in lines] == [
        *((step, "train") for step in (2, 4, 6)),
        (6, "validation"),
    ]
    assert lines[-1]["policy"] == pytest.approx(candidate(asked).head.train["validation"]["policy"], abs=1e-6)
    assert list((asked.out / "tensorboard").iterdir())


# ---- again and on ----


def test_a_rerun_says_done_and_changes_nothing(tmp_path, data):
    asked = spec(data, tmp_path / "run")
    first = train(asked)
    before = listing(asked.out)
    again = train(asked)
    assert events(again) == ["window", "resumed", "done"]
    assert again[-1] == first[-1]
    assert listing(asked.out) == before


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, data, stop, straight):
    """Stopped at a step with a regular state and at others."""
    stopped = spec(data, tmp_path / "stopped")
    assert events(train(stopped, stop_at=stop))[-2:] == ["saved", "stopped"]
    assert not (stopped.out / "candidate.pth").exists()
    reports = train(stopped)
    assert ("resumed", stop) in [(report["event"], report.get("step")) for report in reports]
    assert same_weights(straight.out, stopped.out)
    records = [candidate(it).head.train for it in (straight, stopped)]
    assert records[0] == records[1]
    journals = [(it.out / "train.jsonl").read_text().splitlines()[-1] for it in (straight, stopped)]
    assert journals[0] == journals[1]


def test_a_run_killed_after_its_state_goes_back_to_it(tmp_path, data, straight):
    """The folder as kill -9 leaves it: a state of step 4, a journal of step 5."""
    killed = spec(data, tmp_path / "killed")
    train(killed, stop_at=4)
    with (killed.out / "train.jsonl").open("a") as file:
        file.write('{"step": 5, "kind": "train", "policy": 99}\n{"step": 6, "ki')
    train(killed)
    assert same_weights(straight.out, killed.out)
    assert '"policy": 99' not in (killed.out / "train.jsonl").read_text()


def test_a_run_killed_before_its_candidate_writes_it(tmp_path, data):
    asked = spec(data, tmp_path / "run")
    train(asked)
    before = (asked.out / "candidate.pth").read_bytes(), (asked.out / "train.jsonl").read_text()
    (asked.out / "candidate.pth").unlink()
    train(asked)
    made = torch.load(asked.out / "candidate.pth", weights_only=True)["state_dict"]
    (tmp_path / "before.pth").write_bytes(before[0])
    kept = torch.load(tmp_path / "before.pth", weights_only=True)["state_dict"]
    assert all(torch.equal(made[name], kept[name]) for name in kept)
    assert (asked.out / "train.jsonl").read_text() == before[1]


def test_a_run_reads_its_own_window_although_the_folder_has_grown(tmp_path, data, straight):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    stopped = spec(folder, tmp_path / "stopped")
    train(stopped, stop_at=3)
    shard(folder, games(seed=5), hour=9)
    train(stopped)
    assert same_weights(straight.out, stopped.out)


CHANGES: list[dict[str, Any]] = [
    *({"steps": 7}, {"batch": 8}, {"learning_rate": 0.001}, {"weight_decay": 0.0}, {"ema": 0.9}, {"seed": 4}),
    *({"root_share": 0.0}, {"ownership_weight": 0.0}, {"score_weight": 0.0}, {"passes": 5.0}, {"precision": "bf16"}),
    {"size": "micro"},
    {"rows_made": 10**6},
]


def test_a_run_with_other_settings_does_not_go_on_in_the_same_folder(tmp_path, data):
    asked = spec(data, tmp_path / "run", steps=3)
    train(asked)
    before = listing(asked.out)
    for change in CHANGES:
        with pytest.raises(StorageError, match=r"run\.json: the run there has other settings, another parent or"):
            train(asked.model_copy(update=change))
    new_net(tmp_path / "net.pth", KEY, "nano", 1)
    with pytest.raises(StorageError, match="other settings, another parent or another window"):
        train(asked.model_copy(update={"size": None, "parent": tmp_path / "net.pth"}))
    assert listing(asked.out) == before


def test_threads_folders_and_intervals_may_change(tmp_path, data, straight):
    moved = tmp_path / "moved"
    shutil.copytree(data, moved)
    stopped = spec(data, tmp_path / "stopped")
    train(stopped, stop_at=3)
    shutil.move(stopped.out, tmp_path / "elsewhere")
    changes = {"data": (tmp_path, moved), "out": tmp_path / "elsewhere", "save_every": 1, "max_age_hours": 1.0}
    train(stopped.model_copy(update=changes))
    assert same_weights(straight.out, tmp_path / "elsewhere")
    again = stopped.model_copy(update={**changes, "threads": 2, "device": "auto"})
    assert events(train(again))[-1] == "done"
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_another_game_in_the_same_folder_is_refused(tmp_path, data):
    asked = spec(data, tmp_path / "run", steps=1)
    train(asked)
    with pytest.raises(StorageError, match="a window of hex8_2p"):
        train(asked.model_copy(update={"game": "hex8_3p"}))


# ---- refused before any work ----


def truncated(path: Path) -> None:
    new_net(path, KEY, "nano", 1)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"parent\.pth: there is no such file"),
        (truncated, r"parent\.pth: damaged"),
        (lambda path: path.write_text("no net"), r"parent\.pth: damaged"),
        (lambda path: new_net(path, "square8_2p", "nano", 1), "config_key is 'square8_2p'; here it must be 'hex8_2p'"),
        (lambda path: new_net(path, "hex8_3p", "nano", 1), "config_key is 'hex8_3p'"),
    ],
)
def test_a_parent_that_does_not_fit_is_refused_before_any_work(tmp_path, data, make, message):
    path = tmp_path / "parent.pth"
    make(path)
    asked = spec(data, tmp_path / "run", parent=path)
    with pytest.raises(StorageError, match=message):
        train(asked)
    assert_nothing_begun(asked.out)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"size": "pico"}, RulesError, "no net size 'pico'"),
        ({"steps": 10**9}, RulesError, "make new games first, or raise --passes"),
        ({"batch": 512, "steps": 1}, RulesError, "74 rows allow 0 steps of 512"),
        ({"game": "hex8_3p"}, StorageError, "no rows of hex8_3p"),
        ({"max_age_hours": 0.5}, StorageError, "make new games, or say --max-age-hours 0"),
    ],
)
def test_what_cannot_be_trained_leaves_the_folder_free(tmp_path, data, changes, error, message):
    few = tmp_path / "few"
    shard(few, games(count=4) if "batch" in changes else games(count=40))
    asked = spec(few, tmp_path / "run", **changes)
    with pytest.raises(error, match=message):
        train(asked)
    assert_nothing_begun(asked.out)
    fitting = spec(data, tmp_path / "run", steps=1)
    assert events(train(fitting))[-1] == "done"


def test_a_window_that_does_not_fill_a_batch_leaves_the_folder_free(tmp_path):
    shard(tmp_path / "data", games(count=16))
    asked = spec(tmp_path / "data", tmp_path / "run", batch=350, steps=1)
    with pytest.raises(StorageError, match="do not fill a batch of 350"):
        train(asked)
    assert_nothing_begun(asked.out)


@pytest.mark.parametrize("name", ["run.json", "window.json", "state.pt"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff\x00garbage"])
def test_damaged_files_of_a_run_are_said_by_name(tmp_path, data, name, content):
    asked = spec(data, tmp_path / "run", steps=2)
    train(asked, stop_at=1)
    (asked.out / name).write_bytes(content)
    with pytest.raises(StorageError, match=name.replace(".", r"\.")):
        train(asked)


def test_another_window_in_the_folder_is_refused(tmp_path, data):
    asked = spec(data, tmp_path / "run", steps=2)
    train(asked, stop_at=1)
    path = asked.out / "window.json"
    path.write_bytes(read_window(path).model_copy(update={"games_total": 41}).dump())
    with pytest.raises(StorageError, match="another parent or another window"):
        train(asked)


def test_a_state_of_another_run_is_refused(tmp_path, data):
    one, other = spec(data, tmp_path / "1", steps=2), spec(data, tmp_path / "2", steps=2, seed=9)
    train(one, stop_at=1)
    train(other, stop_at=1)
    shutil.copy(one.out / "state.pt", other.out / "state.pt")
    with pytest.raises(StorageError, match="the state of another run"):
        train(other)


def without_a_weight(trainer: dict[str, Any]) -> None:
    trainer["net"].popitem()


def of_another_shape(trainer: dict[str, Any]) -> None:
    trainer["average"] = {name: torch.zeros(3) for name in trainer["average"]}


SPOILERS: list[Callable[[dict[str, Any]], object]] = [
    *(without_a_weight, of_another_shape),
    *(lambda trainer, name=name: trainer.pop(name) for name in ("net", "average", "optimiser", "step")),
    *(lambda trainer, name=name: trainer.update({name: None}) for name in ("net", "optimiser", "step")),
    lambda trainer: trainer["optimiser"]["param_groups"].pop(),
    lambda trainer: trainer["optimiser"]["param_groups"].clear(),
    lambda trainer: trainer["optimiser"].update(param_groups=[{}, {}]),
    lambda trainer: trainer.update(step="many"),
    lambda trainer: trainer.update(step=-5),
]


@pytest.mark.parametrize("spoil", SPOILERS, ids=range(len(SPOILERS)))
def test_a_state_that_does_not_fit_the_net_is_refused(tmp_path, data, spoil):
    asked = spec(data, tmp_path / "run", steps=2)
    train(asked, stop_at=1)
    state = read_state(asked.out / "state.pt")
    spoil(state.trainer)
    write_state(asked.out / "state.pt", state)
    with pytest.raises(StorageError, match=r"state\.pt: does not fit the net"):
        train(asked)


# ---- trouble on the way ----


def poisoned(step: int) -> Callable[..., Any]:
    """The real step, but from a number on the value target is no number."""
    real = Trainer.step

    def stepping(self: Trainer, inputs: Any, targets: Any) -> Any:
        if self.step_number >= step:
            targets = replace(targets, value=targets.value * torch.nan)
        return real(self, inputs, targets)

    return stepping


def test_a_loss_that_is_no_number_ends_the_run_and_the_last_state_is_kept(tmp_path, data, monkeypatch, straight):
    asked = spec(data, tmp_path / "run")
    monkeypatch.setattr(Trainer, "step", poisoned(2))
    with pytest.raises(TrainingError, match=r"no finite number any more at step 4; the last state is kept"):
        train(asked)
    assert read_state(asked.out / "state.pt").trainer["step"] == 2
    assert "NaN" not in (asked.out / "train.jsonl").read_text()
    monkeypatch.undo()
    train(asked)  # from the last state, without what was wrong
    assert same_weights(straight.out, asked.out)


def test_a_weight_that_is_no_number_after_a_finite_loss_is_not_saved(tmp_path, data, monkeypatch):
    real = Trainer.step

    def stepping(self: Trainer, inputs: Any, targets: Any) -> Any:
        losses = real(self, inputs, targets)
        if self.step_number == 6:
            with torch.no_grad():
                next(self.net.parameters()).fill_(torch.inf)
        return losses

    monkeypatch.setattr(Trainer, "step", stepping)
    asked = spec(data, tmp_path / "run")
    with pytest.raises(TrainingError, match="a loss or a weight is no finite number any more at step 6"):
        train(asked)
    assert read_state(asked.out / "state.pt").trainer["step"] == 4
    assert not (asked.out / "candidate.pth").exists()


def test_a_learning_rate_of_one_ends_in_a_candidate_or_an_error_but_never_in_a_broken_net(tmp_path, data):
    asked = spec(data, tmp_path / "run", learning_rate=1.0, steps=30, save_every=5)
    try:
        train(asked)
    except TrainingError:
        assert not (asked.out / "candidate.pth").exists()
    else:
        assert candidate(asked).head.train["steps"] == 30


def full_after(writes: int) -> Callable[[Path, Path], Path]:
    """Path.replace on a disk that is full after so many files."""
    rename, calls = Path.replace, []

    def renaming(path: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, to)

    return renaming


@pytest.mark.parametrize("writes", range(7))
def test_a_full_disk_at_any_file_is_said_and_the_run_goes_on_afterwards(tmp_path, data, monkeypatch, writes, straight):
    """window.json, run.json, three states, the candidate; the seventh is not reached."""
    asked = spec(data, tmp_path / "run")
    monkeypatch.setattr(Path, "replace", full_after(writes))
    if writes < 6:
        with pytest.raises(StorageError, match="the disk is full: free some space"):
            train(asked)
    else:
        train(asked)
    monkeypatch.undo()
    assert not list(asked.out.rglob(".tmp-*"))
    train(asked)
    assert same_weights(straight.out, asked.out)


def test_what_killed_writers_left_in_the_folder_does_not_pile_up(tmp_path, data):
    asked = spec(data, tmp_path / "run", steps=2)
    train(asked, stop_at=1)
    for name in ("state.pt-0badcafe", "candidate.pth-0badcafe"):
        (asked.out / f".tmp-{name}").write_bytes(b"half")
    train(asked)
    assert not list(asked.out.glob(".tmp-*"))


def test_an_output_folder_that_cannot_be_made_is_said(tmp_path, data):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        train(spec(data, tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be written"):
        train(spec(data, Path("/proc/nowhere")))


def test_a_shard_that_vanishes_under_a_run_is_said_by_name(tmp_path, data):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    asked = spec(folder, tmp_path / "run")
    train(asked, stop_at=3)
    (gone,) = folder.glob("*.npz")
    gone.unlink()
    with pytest.raises(StorageError, match=gone.name):
        train(asked)
    shutil.copytree(data, folder, dirs_exist_ok=True)
    assert events(train(asked))[-1] == "done"


# ---- specs ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0}, "learning_rate: Input should be greater than 0"),
        ({"learning_rate": "NaN"}, "learning_rate"),
        ({"batch": 1}, "batch: Input should be greater than or equal to 2"),
        ({"steps": -1}, "steps"),
        ({"data": []}, "data"),
        ({"ema": 1.0}, "ema: Input should be less than 1"),
        ({"max_age_hours": 1e300}, "max_age_hours"),
        ({"max_age_hours": "Infinity"}, "max_age_hours"),
        ({"passes": 0}, "passes"),
        ({"game": "go"}, "there is no game 'go'"),
        ({"size": None}, "say either the parent to go on from or the size"),
        ({"parent": "x.pth"}, "say either the parent to go on from or the size"),
        ({"precision": "fp8"}, "precision"),
        ({"nets": 1}, "nets"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_name_of_the_field(tmp_path, changes, message):
    form = spec(tmp_path, tmp_path / "run").model_dump(mode="json")
    (tmp_path / "spec.json").write_text(json.dumps({**form, **changes}))
    with pytest.raises((StorageError, RulesError), match=message):
        read_spec(tmp_path / "spec.json")


@pytest.mark.parametrize("kind", ["learning", "", None, 3, [], {}, True])
def test_a_job_of_no_known_kind_is_refused(tmp_path, kind):
    form = spec(tmp_path, tmp_path / "run").model_dump(mode="json")
    (tmp_path / "spec.json").write_text(json.dumps({**form, "kind": kind}))
    with pytest.raises(StorageError, match=r"spec\.json: .*'selfplay', 'training'"):
        read_spec(tmp_path / "spec.json")


@pytest.mark.parametrize("content", ["", "[]", "3", "null", "[" * 100_000, "\x00"])
def test_what_is_no_spec_is_refused(tmp_path, content):
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises(StorageError, match=r"spec\.json: "):
        read_spec(tmp_path / "spec.json")


def test_a_spec_that_names_no_kind_is_one_of_selfplay(tmp_path):
    (tmp_path / "spec.json").write_text('{"game": "hex8_2p", "model": "random", "out": "x", "seed": 1}')
    assert read_spec(tmp_path / "spec.json").kind == "selfplay"


def test_a_spec_comes_back_from_its_file(tmp_path):
    asked = spec(tmp_path, tmp_path / "run")
    (tmp_path / "spec.json").write_text(asked.model_dump_json())
    assert read_spec(tmp_path / "spec.json") == asked
    with pytest.raises(ValidationError):
        asked.model_validate({})


# ---- small parts ----


def test_samples_of_ancestors_are_a_number_or_none(tmp_path):
    new_net(tmp_path / "net.pth", KEY, "nano", 1)
    plain = load_checkpoint(tmp_path / "net.pth")
    assert job.samples_before(None) == job.samples_before(plain) == 0
    for recorded, expected in ((7, 7), ("7", 0), (-7, 0), (True, 0), (None, 0)):
        head = replace(plain.head, train={"samples_total": recorded})
        save_checkpoint(tmp_path / "again.pth", plain.net, head)
        assert job.samples_before(load_checkpoint(tmp_path / "again.pth")) == expected
