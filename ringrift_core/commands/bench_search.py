"""`ringrift bench search`: what a search of n simulations costs and finds, per judge."""

from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules.playout import LEHMER_MODULUS
from ringrift_core.players.roster import judge_of
from ringrift_core.search.evaluator import Evaluation, Evaluator, Positions
from ringrift_core.search.gumbel import GumbelSearch, SearchSettings

PLIES = 30  # random plies before the positions that are searched


@dataclass(frozen=True, slots=True)
class SearchFigures:
    """One number of simulations."""

    sims: int
    decisions_per_s: float
    simulations_per_s: float
    judged_per_decision: float  # positions sent to the judge
    distinct_per_decision: float  # distinct positions in the tree, the root included
    cached_share: float  # judgements from the cache, of all judgements
    ended_share: float  # simulations that ended in the end of a game
    batch_fill: float
    forced_judged: int  # 0, or the search asks about positions without a choice
    judge_share: float  # share of the time that the judge took


@dataclass(slots=True)
class Timed:
    """An evaluator and the time spent in it."""

    evaluator: Evaluator
    seconds: float = 0.0

    def evaluate(self, positions: Positions) -> Evaluation:
        """Judge, and count the time."""
        started = perf_counter()
        evaluation = self.evaluator.evaluate(positions)
        self.seconds += perf_counter() - started
        return evaluation


def bench_search(game: str, model: str, sims: list[int], slots: int, seed: int) -> dict[str, object]:
    """Search positions from random games with each number of simulations; the JSON report."""
    key = ConfigKey.parse(game)
    judge = judge_of(model, key)
    measure(key, Timed(judge.evaluator), 1, 1, seed)  # the first calls of kernels and nets are slow
    results = [asdict(measure(key, Timed(judge.evaluator), number, slots, seed)) for number in sims]
    return {"game": game, "judge": judge.name, "slots": slots, "results": results, "cpu": cpu_name()}


def measure(key: ConfigKey, judge: Timed, sims: int, slots: int, seed: int) -> SearchFigures:
    """One search in each of `slots` positions, with an empty cache."""
    batch = GameBatch.start(key, 2 * slots)
    batch.play_random(np.random.default_rng(seed).integers(1, 1 << 30, 2 * slots), PLIES)
    batch.advance()
    batch = batch.copy(np.flatnonzero(~batch.over)[:slots])
    rows = np.arange(len(batch))
    search = GumbelSearch(batch.board, key.players, len(batch), SearchSettings())
    seeds = np.random.default_rng(seed).integers(1, LEHMER_MODULUS, len(batch))
    started = perf_counter()
    search.begin(rows, batch.states.copy(), np.full(len(batch), sims), seeds)
    roots = search.run(judge, rows)
    seconds = perf_counter() - started
    counters = search.counters
    simulations = int(roots.visits.sum())
    return SearchFigures(
        sims=sims,
        decisions_per_s=round(len(batch) / seconds, 1),
        simulations_per_s=round(simulations / seconds, 1),
        judged_per_decision=round(counters.judged / len(batch), 2),
        distinct_per_decision=round(float(roots.distinct.mean()), 2),
        cached_share=round(counters.cached / (counters.cached + counters.judged), 4),
        ended_share=round(counters.ended / max(1, simulations), 4),
        batch_fill=round(counters.judged / max(1, counters.asked_slots), 4),
        forced_judged=counters.forced,
        judge_share=round(judge.seconds / seconds, 4),
    )


def text_report(report: dict[str, object]) -> str:
    """The report as a table."""
    results = report["results"]
    assert isinstance(results, list)
    names = list(results[0])
    widths = [max(len(name), 9) for name in names]
    rows = [names, *([str(result[name]) for name in names] for result in results)]
    table = "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return f"{report['game']}, {report['judge']}, {report['slots']} positions, {report['cpu']}\n{table}"
