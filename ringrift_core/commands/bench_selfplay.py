"""`ringrift bench selfplay`: how much of the bare net's speed selfplay reaches, on one core.

Selfplay and the bare forward take turns in one process, on one thread. The bare forward judges batches that this very
selfplay asked for, encoded beforehand, so both sides gather the same legal ids.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from statistics import median
from time import perf_counter
from typing import TypeVar

import numba
import torch

from ringrift_core.commands.bench_engine import cpu_name, share_of_bare
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Net
from ringrift_core.nn.net_evaluator import NetEvaluator, Traffic
from ringrift_core.nn.tuning import choose_device, make_evaluator
from ringrift_core.search.evaluator import Evaluation, Positions
from ringrift_core.selfplay.played_game import PlayedGame
from ringrift_core.selfplay.selfplay import Selfplay, SelfplaySettings

Batch = TypeVar("Batch")

KEPT = 8  # batches kept for the bare forward
KEEP_EVERY = 40  # ticks between them
OPENING_MAX = 60  # random decisions, so that the games are in all their stages from the beginning


@dataclass(frozen=True, slots=True)
class SelfplayFigures:
    """One net."""

    arch: str
    precision: str
    slots: int
    judged_per_s: float  # by selfplay
    forward_per_s: float  # by the bare forward with the legal gather, on encoded batches
    evaluate_per_s: float  # by the evaluator: encoding, forward and reading back
    share_of_forward: float  # median over the runs of judged / mean of the bare forwards before and after
    share_of_evaluate: float
    batch_fill: float
    cached_share: float
    forced_judged: int
    distinct_per_decision: float
    decisions_per_s: float
    legal_per_position: float
    to_device_bytes_per_position: float
    from_device_bytes_per_position: float


@dataclass(slots=True)
class Recorder:
    """An evaluator that keeps some of the batches that it is asked about."""

    evaluator: NetEvaluator
    kept: list[Positions]
    ticks: int = 0

    def evaluate(self, positions: Positions) -> Evaluation:
        """Judge, and now and then keep a copy of the positions."""
        self.ticks += 1
        if self.ticks % KEEP_EVERY == 0 and len(self.kept) < KEPT:
            states = positions.states[positions.rows].copy()
            rows = torch.arange(len(positions)).numpy()
            self.kept.append(replace(positions, states=states, rows=rows))
        return self.evaluator.evaluate(positions)


def bench_selfplay(game: str, archs: list[str], sims: int, seconds: float, runs: int, seed: int) -> dict[str, object]:
    """Measure nets with random weights of the given sizes; the JSON report."""
    key = ConfigKey.parse(game)
    numba.set_num_threads(1)
    torch.manual_seed(seed)
    results = [asdict(measure(key, arch, sims, seconds, runs, seed)) for arch in archs]
    return {"game": game, "sims": sims, "seconds": seconds, "runs": runs, "results": results, "cpu": cpu_name()}


def measure(key: ConfigKey, arch: str, sims: int, seconds: float, runs: int, seed: int) -> SelfplayFigures:
    """One net: bare forward, selfplay, bare forward, selfplay, ..."""
    evaluator = make_evaluator(Net(key, arch), choose_device("auto"))
    recorder = Recorder(evaluator, [])
    selfplay = Selfplay(
        key, [recorder], SelfplaySettings(sims=sims, opening_max=OPENING_MAX), slots=evaluator.batch, seed=seed
    )
    playing = selfplay.play(itertools.count())
    while len(recorder.kept) < KEPT:
        next(playing)
    inputs = [evaluator.send(positions) for positions in recorder.kept]
    sizes = [len(positions) for positions in recorder.kept]
    evaluator.traffic = Traffic()
    before = _snapshot(selfplay)
    judged: list[float] = []
    forwards = [_rate(evaluator.forward, inputs, sizes, seconds)]
    evaluates = [_rate(evaluator.evaluate, recorder.kept, sizes, seconds)]
    played_s = 0.0
    for _ in range(runs):
        rate, took = _play(playing, selfplay, seconds)
        judged.append(rate)
        played_s += took
        forwards.append(_rate(evaluator.forward, inputs, sizes, seconds))
        evaluates.append(_rate(evaluator.evaluate, recorder.kept, sizes, seconds))
    decisions, distinct, cached, positions = (a - b for a, b in zip(_snapshot(selfplay), before, strict=True))
    traffic = evaluator.traffic
    return SelfplayFigures(
        arch=arch,
        precision=str(evaluator.dtype).removeprefix("torch."),
        slots=evaluator.batch,
        judged_per_s=round(median(judged), 1),
        forward_per_s=round(median(forwards), 1),
        evaluate_per_s=round(median(evaluates), 1),
        share_of_forward=share_of_bare(judged, forwards),
        share_of_evaluate=share_of_bare(judged, evaluates),
        batch_fill=round(selfplay.tally.fill, 4),
        cached_share=round(cached / max(1, cached + positions), 4),
        forced_judged=selfplay.search.counters.forced,
        distinct_per_decision=round(distinct / max(1, decisions), 2),
        decisions_per_s=round(decisions / played_s, 1),
        legal_per_position=round(traffic.legal / max(1, traffic.positions), 1),
        to_device_bytes_per_position=round(traffic.to_device_bytes / max(1, traffic.positions), 1),
        from_device_bytes_per_position=round(traffic.from_device_bytes / max(1, traffic.positions), 1),
    )


def _snapshot(selfplay: Selfplay) -> tuple[int, int, int, int]:
    tally, counters = selfplay.tally, selfplay.search.counters
    return tally.decisions, tally.distinct, counters.cached, counters.judged


def _play(playing: Iterator[list[PlayedGame]], selfplay: Selfplay, seconds: float) -> tuple[float, float]:
    before = selfplay.search.counters.judged
    started = perf_counter()
    while perf_counter() - started < seconds:
        next(playing)
    took = perf_counter() - started
    return (selfplay.search.counters.judged - before) / took, took


def _rate(judge: Callable[[Batch], object], batches: list[Batch], sizes: list[int], seconds: float) -> float:
    """Positions per second through `judge`, for half as long as a run of selfplay."""
    count = 0
    started = perf_counter()
    while perf_counter() - started < seconds / 2:
        for batch, size in zip(batches, sizes, strict=True):
            judge(batch)
            count += size
    return count / (perf_counter() - started)


def text_report(report: dict[str, object]) -> str:
    """The report as one column per net."""
    results = report["results"]
    assert isinstance(results, list)
    lines = [f"{report['game']}, n = {report['sims']}, one core, {report['cpu']}"]
    lines += [f"{name:32}" + "".join(f"{result[name]!s:>14}" for result in results) for name in results[0]]
    return "\n".join(lines)
