"""How often the gate errs and how many games it takes: synthetic candidates, as one JSON object.

    python benchmarks/gate_statistics.py [--trials 20000] [--pairs FILE] [--markdown FILE]

Blocks of games are drawn from models of how the games of an opening hang together, with the mean that a hypothesis
names, and put before the test that ships. `--pairs` takes the counts of blocks [n0, n1, n2] of a long match between
equal nets and draws candidates from them instead. docs/design/evaluation.md has the tables that `--markdown` writes.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.errors import StorageError
from ringrift_core.evaluation.intervals import clopper_pearson
from ringrift_core.evaluation.odds import share_at, share_of_elo
from ringrift_core.evaluation.sprt import Sprt
from ringrift_core.evaluation.thresholds import GAMES_MIN, GateRow, Needs, Role, alpha_of, gate_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Report = dict[str, Any]

MODELS = ("independent", "some alike", "all alike", "seat", "even")
SPAN = 32  # blocks drawn at once
BLOCKS_MAX = 1 << 17  # where an uncapped test is given up; none ever was
LOOK_BLOCKS = 16  # between looks of a gauntlet that plays many games side by side
REIGN = 20  # candidates
REIGN_MODELS = ("independent", "some alike")
ANCHOR_ELOS = (-35, -70, -100)
SMALL_TRIALS = 4000
PLAIN_TRIALS = 2000
SEED = 7


class Test(Protocol):
    """What `play` puts blocks before."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Log ratios at which it ends."""
        ...

    def llrs(self, counts: ArrayLike, /) -> Floats:
        """Log ratios of counts [..., P + 1]: [...]."""
        ...


@dataclass(frozen=True, slots=True)
class PlainGsprt:
    """The generalised test as fishtest runs it, for comparison: both hypotheses fitted to the blocks seen.

    The likelihood of blocks under a mean h, over that without one, is the least of 1 / product of 1 + f (k / P - h).
    """

    h0: float
    h1: float
    alpha: float = 0.05
    beta: float = 0.05

    @property
    def bounds(self) -> tuple[float, float]:
        """Wald's."""
        return log(self.beta / (1 - self.alpha)), log((1 - self.beta) / self.alpha)

    def llrs(self, counts: ArrayLike, /) -> Floats:
        """As `Sprt.llrs`; outcomes never seen count a thousandth of a block, as in fishtest."""
        blocks = np.maximum(np.asarray(counts, np.float64), 1e-3)
        return self._distance(blocks, self.h0) - self._distance(blocks, self.h1)

    @staticmethod
    def _distance(blocks: Floats, mean: float) -> Floats:
        excess = np.arange(blocks.shape[-1]) / (blocks.shape[-1] - 1) - mean
        low, high = np.full(blocks.shape[:-1], -1 / excess[-1]), np.full(blocks.shape[:-1], -1 / excess[0])
        for _ in range(30):  # bisection: the slope falls
            middle = (low + high) / 2
            rises = (blocks * excess / (1 + middle[..., None] * excess)).sum(-1) > 0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return np.asarray((blocks * np.log1p(low[..., None] * excess)).sum(-1), np.float64)


class NormalGsprt(PlainGsprt):
    """The same in the normal approximation, from the mean and the variance of the blocks seen."""

    __slots__ = ()

    def llrs(self, counts: ArrayLike, /) -> Floats:
        """As `Sprt.llrs`."""
        blocks = np.maximum(np.asarray(counts, np.float64), 1e-3)
        shares = np.arange(blocks.shape[-1]) / (blocks.shape[-1] - 1)
        number = blocks.sum(-1)
        mean = blocks @ shares / number
        variance = blocks @ (shares * shares) / number - mean * mean
        llrs = number * (self.h1 - self.h0) * (2 * mean - self.h0 - self.h1) / (2 * variance)
        return np.asarray(llrs, np.float64)


@dataclass(frozen=True, slots=True)
class Looks:
    """When a test is looked at."""

    first_blocks: int = 1
    every_blocks: int = 1
    blocks_max: int = BLOCKS_MAX


@dataclass(frozen=True, slots=True)
class Trials:
    """How tests ended, by trial."""

    verdicts: NDArray[np.int8]  # 1 passed, -1 failed, 0 undecided at the end
    counts: Ints  # blocks by wins when it ended, [trials, P + 1]

    @property
    def blocks(self) -> Ints:
        """Blocks played, [trials]."""
        return np.asarray(self.counts.sum(1), np.int64)


def independent(shares: Floats) -> Floats:
    """Chances of k wins in games won with these chances, [P + 1]."""
    chances = np.ones(1)
    for share in shares:
        chances = np.convolve(chances, [1 - share, share])
    return chances


def chances_of(model: str, share: float, players: int) -> Floats:
    """Chances of k wins in a block, [P + 1], of mean k / P = share."""
    free = independent(np.full(players, share))
    alike, even = np.zeros(players + 1), np.zeros(players + 1)
    alike[0], alike[-1] = 1 - share, share
    floor = min(int(share * players), players - 1)
    even[floor + 1] = share * players - floor
    even[floor] = 1 - even[floor + 1]
    advantage = 0.8 * min(share, 1 - share) * np.linspace(1, -1, players)  # the first seat wins most, the last least
    return {
        "independent": free,
        "some alike": 0.7 * free + 0.3 * alike,  # 3 of 10 openings are won or lost before the first move
        "all alike": alike,
        "seat": independent(share + advantage),
        "even": 0.5 * free + 0.5 * even,  # every second opening gives each his share
    }[model]


def play(sprt: Test, chances: Floats, trials: int, looks: Looks, rng: np.random.Generator) -> Trials:
    """Draw blocks until each test ends."""
    low, high = sprt.bounds
    ends = np.cumsum(chances)[:-1] / chances.sum()
    kinds = np.eye(len(chances), dtype=np.int64)
    result = Trials(np.zeros(trials, np.int8), np.zeros((trials, len(chances)), np.int64))
    active, start = np.arange(trials), 0
    while len(active) and start < looks.blocks_max:
        at = np.arange(start + 1, start + SPAN + 1)
        wins = np.searchsorted(ends, rng.random((len(active), SPAN)), side="right")
        counts = result.counts[active][:, None] + np.cumsum(kinds[wins], axis=1)
        seen = np.flatnonzero((at >= looks.first_blocks) & (at % looks.every_blocks == 0) & (at < looks.blocks_max))
        if start + SPAN >= looks.blocks_max:  # the last look is at the cap
            seen = np.append(seen, looks.blocks_max - start - 1)
        llrs = sprt.llrs(counts[:, seen]) if len(seen) else np.zeros((len(active), 1))
        over = (llrs >= high) | (llrs <= low)
        look = np.where(over.any(1), over.argmax(1), -1)
        rows = np.arange(len(active))
        result.verdicts[active] = np.sign(llrs[rows, look]) * over[rows, look]
        stops = seen[look] if len(seen) else np.full(len(active), SPAN - 1)
        stops = np.where(look < 0, min(SPAN, looks.blocks_max - start) - 1, stops)
        result.counts[active] = counts[rows, stops]
        active, start = active[look < 0], start + SPAN
    return result


def rate(hits: NDArray[np.bool_]) -> Report:
    """A share of trials with its Clopper-Pearson bounds at 95 %."""
    low, high = clopper_pearson(int(hits.sum()), len(hits))
    return {"rate": round(float(hits.mean()), 5), "low": round(low, 5), "high": round(high, 5)}


def wald_games(sprt: Sprt) -> tuple[float, float]:
    """Mean games of Wald's test of independent games at H0 and at H1, without overshoot."""
    low, high = log(sprt.beta / (1 - sprt.alpha)), log((1 - sprt.beta) / sprt.alpha)
    return (
        (sprt.alpha * high + (1 - sprt.alpha) * low) / -kl(sprt.h0, sprt.h1),
        ((1 - sprt.beta) * high + sprt.beta * low) / kl(sprt.h1, sprt.h0),
    )


def kl(share: float, other: float) -> float:
    """Kullback-Leibler divergence of single games, nats."""
    return share * log(share / other) + (1 - share) * log((1 - share) / (1 - other))


def row_report(row: GateRow, players: int, model: str, trials: int, rng: np.random.Generator) -> Report:
    """One opponent, one model: size and power without a cap, at it, and as a gauntlet looks."""
    sprt = Sprt(row.h0, row.h1)
    report: Report = {"opponent": row.opponent, "players": players, "model": model, "h0": row.h0, "h1": row.h1}
    blocks_cap = row.cap // players
    gauntlet = Looks(-(-GAMES_MIN // players), LOOK_BLOCKS, blocks_cap)
    for name, share, wald in zip(("h0", "h1"), (row.h0, row.h1), wald_games(sprt), strict=True):
        chances = chances_of(model, share, players)
        free = play(sprt, chances, trials, Looks(), rng)
        capped = play(sprt, chances, trials, gauntlet, rng)
        in_time = np.where(free.blocks <= blocks_cap, free.verdicts, 0)
        games = float(free.blocks.mean()) * players
        report[f"at_{name}"] = {
            "passed": rate(free.verdicts > 0),
            "undecided": int((free.verdicts == 0).sum()),
            "games": round(games, 1),
            "wald_games": round(wald, 1),
            "games_by_wald": round(games / wald, 3),
            "capped_passed": rate(allowed(in_time, row.needs)),
            "gauntlet_passed": rate(allowed(capped.verdicts, row.needs)),
            "gauntlet_games": round(float(capped.blocks.mean()) * players, 1),
        }
    return report


def allowed(verdicts: NDArray[np.int8], needs: Needs) -> NDArray[np.bool_]:
    """Who is let through at the cap."""
    return np.asarray(verdicts > 0 if needs is Needs.PROOF else verdicts >= 0)


def small_alpha(row: GateRow, players: int, model: str, rng: np.random.Generator) -> Report:
    """Size at the alpha of the last candidate of a reign, too small to be counted.

    Candidates are drawn at H1 and each weighs as much as its blocks are likelier under H0 than there.
    """
    alpha = alpha_of(REIGN)
    null, drawn = (chances_of(model, share, players) for share in (row.h0, row.h1))
    trials = play(Sprt(row.h0, row.h1, alpha), drawn, SMALL_TRIALS, Looks(), rng)
    possible = null > 0  # wherever drawn is
    logs = np.zeros(players + 1)
    logs[possible] = np.log(null[possible] / drawn[possible])
    weights = np.where(trials.verdicts > 0, np.exp(trials.counts @ logs), 0.0)
    error = float(weights.std()) / SMALL_TRIALS**0.5
    return {
        "opponent": row.opponent,
        "players": players,
        "model": model,
        "alpha": alpha,
        "size_by_alpha": round(float(weights.mean()) / alpha, 4),
        "error_by_alpha": round(error / alpha, 4),
    }


def reign(players: int, model: str, chances: Floats, trials: int, rng: np.random.Generator) -> Report:
    """Equal candidates one after another against one champion: is any promoted?"""
    row = gate_rows(players)[Role.CHAMPION]
    gauntlet = Looks(-(-GAMES_MIN // players), LOOK_BLOCKS, row.cap // players)
    report: Report = {"players": players, "model": model, "candidates": REIGN}
    for name, looks in (("uncapped", Looks()), ("gauntlet", gauntlet)):
        promoted, games = np.zeros(trials, np.bool_), 0.0
        for candidate in range(1, REIGN + 1):
            tests = play(Sprt(row.h0, row.h1, alpha_of(candidate)), chances, trials, looks, rng)
            promoted |= tests.verdicts > 0
            games += float(tests.blocks.mean()) * players
        report[name] = rate(promoted) | {"games_per_candidate": round(games / REIGN, 1)}
    return report


def measured(path: Path, trials: int, rng: np.random.Generator) -> list[Report]:
    """Reigns of candidates drawn from measured blocks: as they are, and tilted to the fair share of equal nets."""
    try:
        blocks = np.array(json.loads(path.read_text()), np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path}: no JSON list of counts: {error}") from error
    if blocks.ndim != 1 or not 3 <= len(blocks) <= 5 or blocks.min() < 0 or blocks.sum() < 1:
        raise StorageError(f"{path}: no counts of blocks with 0, 1, .. P wins: {blocks.tolist()}")
    players = len(blocks) - 1
    chances, shares = blocks / blocks.sum(), np.arange(players + 1) / players
    if not (blocks[0] and blocks[-1]):
        raise StorageError(f"{path}: blocks of equal nets are sometimes all won and all lost: {blocks.tolist()}")
    tilt = brentq(lambda tilt: float((chances * np.exp(tilt * shares)) @ (shares - 1 / players)), -50.0, 50.0)
    fair = chances * np.exp(tilt * shares)
    return [
        reign(players, name, drawn, trials, rng)
        | {"blocks": blocks.tolist(), "share": round(float(drawn @ shares / drawn.sum()), 4)}
        for name, drawn in (("measured", chances), ("measured, made fair", fair))
    ]


def plain(test: type[PlainGsprt], row: GateRow, players: int, rng: np.random.Generator) -> Report:
    """Size of a plain GSPRT on independent games: looked at from the first block and from the least games on."""
    report: Report = {"test": test.__name__, "opponent": row.opponent, "players": players}
    chances = chances_of("independent", row.h0, players)
    for name, first in (("from_first_block", 1), ("from_games_min", -(-GAMES_MIN // players))):
        trials = play(test(row.h0, row.h1), chances, PLAIN_TRIALS, Looks(first), rng)
        games = round(float(trials.blocks.mean()) * players, 1)
        report[name] = rate(trials.verdicts > 0) | {"games": games}
    return report


def anchor_losses(players: int, elo: int, trials: int) -> Report:
    """How often a candidate weaker than an anchor is stopped in a gauntlet, independent games."""
    row = gate_rows(players)[Role.ANCHOR]
    chances = chances_of("independent", share_at(share_of_elo(elo), players), players)
    looks = Looks(-(-GAMES_MIN // players), LOOK_BLOCKS, row.cap // players)
    tests = play(Sprt(row.h0, row.h1), chances, trials, looks, np.random.default_rng(SEED))
    return {"players": players, "elo": elo, "stopped": rate(tests.verdicts < 0)}


def everything(trials: int, rng: np.random.Generator) -> Report:
    """All rows, players and models."""
    started = perf_counter()
    cases = [(row, players) for players in (2, 3, 4) for row in gate_rows(players).values()]
    return {
        "trials": trials,
        "rows": [row_report(row, players, model, trials, rng) for row, players in cases for model in MODELS],
        "small_alphas": [small_alpha(row, players, model, rng) for row, players in cases for model in MODELS],
        "anchor_losses": [anchor_losses(players, elo, trials) for players in (2, 3, 4) for elo in ANCHOR_ELOS],
        "plain_gsprt": [
            plain(test, row, players, rng)
            for test in (PlainGsprt, NormalGsprt)
            for row, players in cases
            if row.needs is Needs.PROOF
        ],
        "reigns": [
            reign(players, model, chances_of(model, 1 / players, players), trials, rng)
            for players in (2, 3, 4)
            for model in REIGN_MODELS
        ],
        "cpu": cpu_name(),
        "seconds": round(perf_counter() - started, 1),
    }


def percent(value: Report) -> str:
    """A rate with its bounds."""
    return " .. ".join(f"{100 * value[name]:.2f}" for name in ("low", "high"))


def markdown(report: Report) -> Iterator[str]:
    """The tables of docs/design/evaluation.md."""
    columns = "opponent|P|games of a block|size|power|games at H0|at H1|by Wald's|size, gauntlet|power, gauntlet|games"
    yield "| " + columns.replace("|", " | ") + " |"
    yield "|" + "---|" * len(columns.split("|"))
    for row in report["rows"]:
        null, alternative = row["at_h0"], row["at_h1"]
        yield (
            f"| {row['opponent']} | {row['players']} | {row['model']} | {percent(null['passed'])} |"
            f" {percent(alternative['passed'])} | {null['games']:.0f} | {alternative['games']:.0f} |"
            f" {null['games_by_wald']:.2f}, {alternative['games_by_wald']:.2f} |"
            f" {100 * null['gauntlet_passed']['rate']:.1f} | {100 * alternative['gauntlet_passed']['rate']:.1f} |"
            f" {null['gauntlet_games']:.0f}, {alternative['gauntlet_games']:.0f} |"
        )
    yield "\n| P | games of a block | uncapped | gauntlet | games per candidate |\n|---|---|---|---|---|"
    for row in report["reigns"]:
        free, capped = row["uncapped"], row["gauntlet"]
        yield (
            f"| {row['players']} | {row['model']} | {percent(free)} | {percent(capped)} |"
            f" {free['games_per_candidate']:.0f}, {capped['games_per_candidate']:.0f} |"
        )
    yield "\n| test | opponent | P | size, every block | from the least games on |\n|---|---|---|---|---|"
    for row in report["plain_gsprt"]:
        sizes = percent(row["from_first_block"]), percent(row["from_games_min"])
        yield f"| {row['test']} | {row['opponent']} | {row['players']} | {' | '.join(sizes)} |"
    yield "\n| P | Elo against an anchor | stopped |\n|---|---|---|"
    for row in report["anchor_losses"]:
        yield f"| {row['players']} | {row['elo']} | {percent(row['stopped'])} |"
    ratios = [row["size_by_alpha"] for row in report["small_alphas"]]
    yield f"\nSize by alpha at candidate {REIGN}: {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} cases."


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--pairs", type=Path, help="JSON list: blocks with 0, 1, .. P games won")
    parser.add_argument("--markdown", type=Path, help="also write the tables there")
    asked = parser.parse_args()
    rng = np.random.default_rng(SEED)
    if asked.pairs:
        print(json.dumps({"trials": asked.trials, "reigns": measured(asked.pairs, asked.trials, rng)}, indent=1))
        return
    report = everything(asked.trials, rng)
    if asked.markdown:
        asked.markdown.write_text("\n".join(markdown(report)) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
