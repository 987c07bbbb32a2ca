"""`ringrift bench train`: how much of a bare PyTorch loop's speed the trainer reaches, on one thread.

The bare loop makes forward, losses, backward and AdamW step on a few batches that lie ready in memory; the trainer also
replays shards, draws and shuffles rows, maps, encodes, clips gradients and keeps its moving average. They take turns.
"""

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import numba
import numpy as np
import torch

from ringrift_core.commands.bench_engine import cpu_name, share_of_bare
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import SelfplaySpec
from ringrift_core.nn.net import Inputs, Net
from ringrift_core.nn.tuning import choose_device
from ringrift_core.training.batches import Assembler, Targets
from ringrift_core.training.losses import losses_of
from ringrift_core.training.stream import SampleStream
from ringrift_core.training.trainer import Trainer, TrainerSettings
from ringrift_core.training.window import Store, commit_window

GAMES = 400  # played where no shards are given
KEPT = 8  # batches that the bare loop uses in turn
SETTINGS = TrainerSettings(steps=1 << 30)


@dataclass(frozen=True, slots=True)
class TrainFigures:
    """One net."""

    arch: str
    batch: int
    trainer_per_s: float  # samples
    bare_per_s: float
    share: float  # median over the runs of trainer / mean of the bare loops before and after


@dataclass(slots=True)
class Feed:
    """Batches as the trainer gets them: from the shards, in their drawn order."""

    stream: SampleStream
    assembler: Assembler

    def batches(self) -> Iterator[tuple[Inputs, Targets]]:
        """Without end."""
        rng = np.random.default_rng(1)
        for rows in self.stream.batches():
            yield self.assembler.assemble(rows, self.assembler.symmetries(len(rows), rng))


def bench_train(
    game: str, folder: Path | None, archs: list[str], *, batch: int, steps: int, runs: int
) -> dict[str, object]:
    """Measure nets of the given sizes on the shards of a folder, or on games played for it; the JSON report."""
    key = ConfigKey.parse(game)
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="ringrift-") as made:
        if folder is None:
            folder = Path(made)
            spec = SelfplaySpec(game=game, model="heuristic", out=folder, seed=1, games=GAMES, sims=0)
            run_selfplay(spec, lambda _report: None, lambda: False)
        results = [asdict(measure(key, folder, arch, batch, steps, runs)) for arch in archs]
    return {"game": game, "steps": steps, "runs": runs, "results": results, "cpu": cpu_name()}


def measure(key: ConfigKey, folder: Path, arch: str, batch: int, steps: int, runs: int) -> TrainFigures:
    """One net: bare loop, trainer, bare loop, trainer, ..."""
    device = choose_device("auto")
    store = Store((folder,))
    window = commit_window(store, key, datetime.now(UTC), None)
    feed = Feed(SampleStream(store, window, batch, seed=1, root_share=0.2), Assembler(key, device)).batches()
    kept = list(itertools.islice(feed, KEPT))
    trainer = Trainer(Net(key, arch), SETTINGS, device)
    bare = Bare(Net(key, arch).to(device))
    trained, bares = [], [bare.rate(kept, steps, batch)]
    for _ in range(runs):
        started = perf_counter()
        for inputs, targets in itertools.islice(feed, steps):
            trainer.step(inputs, targets)
        trained.append(batch * steps / (perf_counter() - started))
        bares.append(bare.rate(kept, steps, batch))
    return TrainFigures(arch, batch, round(median(trained), 1), round(median(bares), 1), share_of_bare(trained, bares))


class Bare:
    """The shortest loop that trains a net."""

    def __init__(self, net: Net) -> None:
        self._net = net.train()
        self._optimiser = torch.optim.AdamW(net.parameters(), lr=SETTINGS.learning_rate)

    def rate(self, batches: list[tuple[Inputs, Targets]], steps: int, batch: int) -> float:
        """Samples per second over some steps."""
        started = perf_counter()
        for inputs, targets in itertools.islice(itertools.cycle(batches), steps):
            outputs = self._net(inputs, auxiliary=True)
            losses = losses_of(outputs, inputs, targets, ownership_weight=0.3, score_weight=0.3)
            self._optimiser.zero_grad()
            losses.total.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
        if next(self._net.parameters()).device.type == "cuda":
            torch.cuda.synchronize()
        return batch * steps / (perf_counter() - started)


def text_report(report: dict[str, object]) -> str:
    """One line per net."""
    results = report["results"]
    assert isinstance(results, list)
    return "\n".join(
        f"{report['game']} {it['arch']}: trainer {it['trainer_per_s']:.0f} samples/s, bare loop "
        f"{it['bare_per_s']:.0f}, share {it['share']:.3f} (batch {it['batch']}, one thread)"
        for it in results
    )
