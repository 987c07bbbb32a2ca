"""The training job: a run in a folder of its own, resumed where it stands (docs/formats/training.md).

The folder holds `run.json` (what the run is), `window.json` (which rows it reads), `state.pt` (where it stands),
`train.jsonl` and `tensorboard/` (how it goes) and, at the end, `candidate.pth`. Started again with the same spec, a run
goes on from its last state and ends with the weights that it would have had without the stop. Under torchrun each rank
takes its part of every batch, and rank 0 alone writes.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from math import isfinite
from time import monotonic

import numpy as np
import torch
import torch.distributed as dist

from ringrift_core.errors import RulesError, StorageError, TrainingError
from ringrift_core.game import Game
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import TrainingSpec
from ringrift_core.jobs.stop import Emit
from ringrift_core.nn.checkpoint import Checkpoint, CheckpointHead, load_checkpoint, save_checkpoint
from ringrift_core.nn.net import Net
from ringrift_core.nn.tuning import choose_device
from ringrift_core.registry import ModelRegistry
from ringrift_core.storage import discard_unfinished, make_folder, read_bounded, sync_folder, write_whole
from ringrift_core.training.batches import Assembler
from ringrift_core.training.budget import steps_of_run
from ringrift_core.training.journal import Journal
from ringrift_core.training.losses import Losses
from ringrift_core.training.run_folder import CANDIDATE, RUN, RUN_BYTES_MAX, STATE, WINDOW, locked
from ringrift_core.training.stream import Rows, SampleStream, philox_key
from ringrift_core.training.train_state import TrainState, read_state, write_state
from ringrift_core.training.trainer import Trainer, TrainerSettings
from ringrift_core.training.window import Store, Window, commit_window, read_window

LOG_EVERY = 50  # steps
VALIDATION_BATCH = 1024
SYMMETRIES = 1 << 63  # keeps the draws of symmetries apart from those of the stream
REPORT_EVERY_S = 1.0
FREE = ("data", "out", "parent", "threads", "save_every", "device", "max_age_hours", "registry")  # may change


@dataclass(frozen=True, slots=True)
class Rank:
    """Which of the processes of a run this is."""

    number: int = 0
    of: int = 1

    @property
    def writes(self) -> bool:
        """True for the one that writes files and reports."""
        return self.number == 0


def run_training(spec: TrainingSpec, emit: Emit, stopped: Callable[[], bool]) -> None:
    """Run the job to its end or until `stopped()`; `emit` gets window, progress, saved and done reports."""
    torch.set_num_threads(spec.threads)
    with ranks(spec) as rank:
        run = Run(spec, rank, emit)
        with locked(spec.out) if rank.writes else nullcontext():
            run.begin()
            run.go(stopped)


@contextmanager
def ranks(spec: TrainingSpec) -> Iterator[Rank]:
    """This process among those that torchrun started, or alone."""
    if not dist.is_torchelastic_launched():
        yield Rank()
        return
    dist.init_process_group("nccl" if choose_device(spec.device).type == "cuda" else "gloo")
    try:
        rank = Rank(dist.get_rank(), dist.get_world_size())
        if spec.batch % rank.of:
            raise RulesError(f"a batch of {spec.batch} cannot be divided among {rank.of} processes")
        yield rank
    finally:
        dist.destroy_process_group()


class Run:
    """One run; when it is made its window is committed."""

    def __init__(self, spec: TrainingSpec, rank: Rank, emit: Emit) -> None:
        self._spec, self._rank, self._emit = spec, rank, emit
        self._key = ConfigKey.parse(spec.game)
        self._device = device_of(spec)
        self._store = Store(spec.data)
        self._parent = None if spec.parent is None else load_checkpoint(spec.parent, self._key)
        self._net = self._first_net()
        self._window = self._committed()

    def begin(self) -> None:
        """Begin the run, or take it up where its folder says it stands."""
        spec, rank = self._spec, self._rank
        self._identity = self._claimed()
        self._steps = self._steps_on(self._window)
        settings = TrainerSettings(
            self._steps, spec.learning_rate, spec.weight_decay, spec.ema, spec.ownership_weight, spec.score_weight
        )
        bf16 = spec.precision == "bf16" or (spec.precision == "auto" and self._device.type == "cuda")
        self._trainer = Trainer(self._net, settings, self._device, bf16=bf16, distributed=rank.of > 1)
        self._stream = self._stream_of(self._window)
        self._assembler = Assembler(self._key, self._device)
        if (spec.out / STATE).exists():
            self._resume()

    def go(self, stopped: Callable[[], bool]) -> None:
        """Make the steps that are left, then write the candidate."""
        out = self._spec.out
        if self._trainer.step_number >= self._steps and (out / CANDIDATE).exists():
            made = load_checkpoint(out / CANDIDATE, self._key)
            self._done(made.head, made.sha256)
            return
        journal = Journal(out, self._trainer.step_number) if self._rank.writes else None
        try:
            if self._learn(journal, stopped):
                self._finish(journal)
        finally:
            if journal is not None:
                journal.close()

    def _learn(self, journal: Journal | None, stopped: Callable[[], bool]) -> bool:
        """Make steps; True when all are made, False when the run was stopped before."""
        trainer = self._trainer
        reported, since = monotonic(), trainer.step_number
        pending: list[Losses] = []
        batches = self._stream.batches()
        while trainer.step_number < self._steps:
            pending.append(trainer.step(*self._assembler.assemble(*self._part(next(batches)))))
            step = trainer.step_number
            stopping = self._agreed(stopped())
            saving = stopping or step % self._spec.save_every == 0 or step == self._steps
            if saving or step % LOG_EVERY == 0:
                means = self._means(pending)
                pending = []
                if journal is not None:
                    numbers = {"learning_rate": trainer.learning_rate, "epoch": self._stream.cursor.epoch}
                    journal.write(step, "train", means | numbers)
                if monotonic() - reported >= REPORT_EVERY_S:
                    rate = (step - since) * self._spec.batch / (monotonic() - reported)
                    self._report("progress", **means, samples_per_s=round(rate, 1))
                    reported, since = monotonic(), step
            if saving:
                self._save()
            if stopping:
                self._report("stopped")
                return False
        return True

    def _finish(self, journal: Journal | None) -> None:
        if not self._rank.writes:
            return
        validation = self._validate()
        self._refuse_infinite(validation)
        assert journal is not None
        if validation:
            journal.write(self._steps, "validation", validation)
        path = self._spec.out / CANDIDATE
        head = self._head(validation)
        self._done(head, save_checkpoint(path, self._trainer.average, head))

    def _done(self, head: CheckpointHead, sha256: str) -> None:
        """The candidate is there: registered where that is wished for, then reported."""
        if not self._rank.writes:
            return
        path = self._spec.out / CANDIDATE
        if self._spec.registry is not None:
            ModelRegistry(self._spec.registry).register(path, datetime.now(UTC))
        self._report(
            "done",
            candidate=str(path),
            sha256=sha256,
            size_bytes=path.stat().st_size,
            version=head.version,
            rows=head.data.get("rows"),
            evaluations=head.data.get("evaluations"),
            samples_total=head.train.get("samples_total"),
            validation=head.train.get("validation"),
        )

    def _validate(self) -> dict[str, float]:
        """The losses of the average on games that are never trained on, without symmetries."""
        rows = self._stream.validation()
        if not len(rows):
            return {}
        identity = np.zeros(len(rows), np.int64)
        means = dict.fromkeys((field.name for field in fields(Losses)), 0.0)
        for which in np.array_split(np.arange(len(rows)), -(-len(rows) // VALIDATION_BATCH)):
            losses = self._trainer.judge(*self._assembler.assemble(rows.take(which), identity[which]))
            for name, value in parts(losses).items():
                means[name] += float(value) * len(which) / len(rows)
        return means

    def _part(self, rows: Rows) -> tuple[Rows, IntArray]:
        """The part of a batch that is this rank's, and the symmetries of its rows."""
        rng = np.random.Generator(
            np.random.Philox(key=philox_key(self._spec.seed, SYMMETRIES | self._trainer.step_number))
        )
        symmetries = self._assembler.symmetries(len(rows), rng)
        if self._rank.of == 1:
            return rows, symmetries
        mine = np.arange(self._rank.number, len(rows), self._rank.of)
        return rows.take(mine), symmetries[mine]

    def _agreed(self, stop: bool) -> bool:  # noqa: FBT001 - what every rank says
        """True when any rank was asked to stop."""
        if self._rank.of == 1:
            return stop
        asked = torch.tensor([int(stop)], device=self._device)
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        return bool(asked.item())

    def _means(self, pending: list[Losses]) -> dict[str, float]:
        """The means of some steps' losses over all ranks; TrainingError when one is not finite: nothing is saved."""
        sums = torch.stack([torch.stack(tuple(parts(losses).values())) for losses in pending]).mean(0)
        if self._rank.of > 1:
            dist.all_reduce(sums)
            sums /= self._rank.of
        means = dict(zip(parts(pending[0]), sums.tolist(), strict=True))
        self._refuse_infinite(means)
        return means

    def _refuse_infinite(self, losses: dict[str, float]) -> None:
        """TrainingError when a loss or a weight is no finite number."""
        if all(map(isfinite, losses.values())) and self._trainer.is_finite():
            return
        raise TrainingError(
            f"a loss or a weight is no finite number any more at step {self._trainer.step_number}; the last state is "
            "kept: begin a new run with a lower learning rate, and look at what it trains on (`ringrift shards check`)"
        )

    # ---- files ----

    def _committed(self) -> Window:
        """The window of the run: the one in its folder, or a new one, which is written once it can be trained on."""
        path = self._spec.out / WINDOW
        if self._rank.writes and not (self._spec.out / RUN).exists():
            hours = self._spec.max_age_hours
            window = commit_window(
                self._store, self._key, datetime.now(UTC), timedelta(hours=hours) if hours > 0 else None
            )
            self._steps_on(window)
            next(self._stream_of(window).batches())
            make_folder(self._spec.out)
            write_whole(path, window.dump())
        self._wait()
        window = read_window(path)
        if window.config_key != str(self._key) or window.rules_digest != Game.RULES_DIGEST:
            raise StorageError(f"{path}: a window of {window.config_key}, or of other rules; choose another folder")
        self._report(
            "window",
            sha256=window.sha256,
            shards=len(window.shards),
            rows=window.rows,
            rows_total=window.rows_total,
            refused=[it.model_dump() for it in window.refused],
        )
        return window

    def _steps_on(self, window: Window) -> int:
        """How many steps the run makes; RulesError when the rows do not allow them."""
        return steps_of_run(
            rows_total=max(self._spec.rows_made, window.rows_total),
            window=window.rows,
            samples_before=samples_before(self._parent),
            batch=self._spec.batch,
            passes=self._spec.passes,
            wanted=self._spec.steps,
        )

    def _stream_of(self, window: Window) -> SampleStream:
        return SampleStream(self._store, window, self._spec.batch, self._spec.seed, self._spec.root_share)

    def _claimed(self) -> str:
        """The digest of what this run is; StorageError when its folder holds another run."""
        form = {
            "form": "ringrift.run/1",
            "spec": self._spec.model_dump(mode="json", exclude=set(FREE)),
            "parent": None if self._parent is None else self._parent.sha256,
            "window": self._window.sha256,
        }
        path = self._spec.out / RUN
        content = (json.dumps(form, indent=1) + "\n").encode()
        if self._rank.writes and not path.exists():
            write_whole(path, content)
            sync_folder(path.parent)
        self._wait()
        if read_bounded(path, RUN_BYTES_MAX) != content:
            raise StorageError(
                f"{path}: the run there has other settings, another parent or another window; go on with the same "
                "command that began it, or choose another folder"
            )
        if self._rank.writes:
            discard_unfinished(path.parent)
        return hashlib.sha256(content).hexdigest()

    def _save(self) -> None:
        if self._rank.writes:
            state = TrainState(self._identity, self._stream.cursor, self._trainer.state())
            write_state(self._spec.out / STATE, state)
            self._report("saved")

    def _resume(self) -> None:
        path = self._spec.out / STATE
        state = read_state(path)
        if state.run != self._identity:
            raise StorageError(f"{path}: the state of another run; choose another folder")
        try:
            self._trainer.resume(state.trainer)
        except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StorageError(f"{path}: does not fit the net: {reason}") from error
        self._stream.cursor = state.cursor
        self._report("resumed")

    def _first_net(self) -> Net:
        if self._parent is not None:
            return self._parent.net
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._spec.seed)
            return Net(self._key, self._spec.size or "")

    def _head(self, validation: dict[str, float]) -> CheckpointHead:
        """The candidate's lineage."""
        spec, window, parent = self._spec, self._window, self._parent
        samples = self._steps * spec.batch
        return CheckpointHead(
            version=1 if parent is None else parent.head.version + 1,
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            parent=None if parent is None else parent.sha256,
            data={
                "window": window.sha256,
                "rows": window.rows,
                "games": window.games,
                "rows_total": window.rows_total,
                "games_total": window.games_total,
                "evaluations": window.evaluations_total,
                "newest_at": window.newest_at.isoformat(),
            },
            train={
                "steps": self._steps,
                "samples": samples,
                "samples_total": samples_before(parent) + samples,
                **{name: getattr(spec, name) for name in ("batch", "learning_rate", "ema", "seed", "root_share")},
                "validation": validation,
            },
        )

    def _wait(self) -> None:
        """Until every rank is here."""
        if self._rank.of > 1:
            dist.barrier()

    def _report(self, event: str, **values: object) -> None:
        if self._rank.writes:
            standing = {} if event == "window" else {"step": self._trainer.step_number, "steps": self._steps}
            self._emit({"event": event, **standing, **values})


def device_of(spec: TrainingSpec) -> torch.device:
    """The device of this process: under torchrun each local rank has a CUDA device of its own."""
    device = choose_device(spec.device)
    if device.type == "cuda" and dist.is_initialized():
        return torch.device("cuda", dist.get_node_local_rank())
    return device


def samples_before(parent: Checkpoint | None) -> int:
    """Samples that a net and its ancestors have seen."""
    total = 0 if parent is None else parent.head.train.get("samples_total", 0)
    return max(0, total) if type(total) is int else 0


def parts(losses: Losses) -> dict[str, torch.Tensor]:
    """The losses by name."""
    return {field.name: getattr(losses, field.name) for field in fields(Losses)}
