"""How often the rollback policy takes back a sound net, and how soon it takes back a weaker one, by simulation.

    python benchmarks/rollback_statistics.py [--months N] [--markdown]

Each month is 720 hours of about 16 canary games, looked at every hour, with the tests of the policy itself (the same
functions; tests/unit/registry/test_rollback_statistics.py compares the two). docs/design/registry.md has the table.
"""

import json
import math
import sys
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from ringrift_core.evaluation.odds import share_after_drop
from ringrift_core.registry.rollback_policy import (
    ALPHA_BASELINES,
    ERRORS,
    STRENGTH,
    Budget,
    RollbackThresholds,
    spans_at,
)
from ringrift_core.registry.wager import STAKES, FloatArray, log_evidence, log_factors, lowest_credible_mean

HOURS = 720
GAMES_PER_HOUR = 16
JOBS_PER_HOUR, GAMES_PER_JOB = 4, 8
CHUNK = 500  # months simulated at once: what fits into memory
LIMITS = RollbackThresholds()
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Opponent:
    """Somebody the net meets: its true share before any drop, and the share of the canary games."""

    share: float
    portion: float
    measured_blocks: int = 0  # of the baseline; 0: the fair share of the champion before


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in the simulated months."""

    name: str
    drop_elo: float
    from_hour: int = 0
    players: int = 2
    tied: float = 0.0  # how often all games of a block end alike
    opponents: tuple[Opponent, ...] = ()  # none: the champion before alone

    @property
    def met(self) -> tuple[Opponent, ...]:
        """Whom the net meets."""
        return self.opponents or (Opponent(1 / self.players, 1.0),)


@dataclass(frozen=True, slots=True)
class Failures:
    """Months of jobs whose games fail."""

    name: str
    rate: float
    whole: bool = True  # a job fails with all of its games


def block_chances(share: float, players: int, tied: float) -> FloatArray:
    """How likely 0, 1, .. P won games of a block are, [P + 1]."""
    wins = np.arange(players + 1)
    ways = np.array([math.comb(players, int(won)) for won in wins], np.float64)
    apart = ways * share**wins * (1 - share) ** (players - wins)
    alike = np.where(wins == players, share, np.where(wins == 0, 1 - share, 0.0))
    chances: FloatArray = (1 - tied) * apart + tied * alike
    return chances


def months_of_blocks(
    scenario: Scenario, rng: np.random.Generator, months: int
) -> tuple[list[Counts], list[FloatArray]]:
    """By opponent: blocks by won games, [months, HOURS, P + 1], and the baseline, [months]."""
    counts: list[Counts] = []
    baselines: list[FloatArray] = []
    for met in scenario.met:
        before = block_chances(met.share, scenario.players, scenario.tied)
        left = float(share_after_drop(met.share, scenario.drop_elo))
        after = block_chances(left, scenario.players, scenario.tied)
        blocks = round(GAMES_PER_HOUR * met.portion / scenario.players)
        seen = rng.multinomial(blocks, before, size=(months, HOURS))
        seen[:, scenario.from_hour :] = rng.multinomial(blocks, after, size=(months, HOURS - scenario.from_hour))
        counts.append(seen)
        if met.measured_blocks:
            measured = rng.multinomial(met.measured_blocks, before, size=months)
            sharing = sum(other.measured_blocks > 0 for other in scenario.met)
            baselines.append(lowest_credible_mean(measured, ALPHA_BASELINES / sharing))
        else:
            baselines.append(np.full(months, met.share))
    return counts, baselines


def trigger_hours(counts: list[Counts], baselines: list[FloatArray]) -> FloatArray:
    """The first hour at whose end the policy rolls back, [months]; infinite where it never does.

    The first opponent has an exact baseline, the others have measured ones.
    """
    months, hours, kinds = counts[0].shape
    scores = np.arange(kinds) / (kinds - 1)
    everyone = np.zeros((months, hours, len(STAKES)))  # log capital
    played = np.zeros((months, hours))
    above = np.zeros((2, months, hours))  # scores above the claim, of everyone and of the first opponent
    capitals = []
    for seen, baseline in zip(counts, baselines, strict=True):
        claimed = LIMITS.claimed_share(baseline)[:, None]
        everyone = everyone + seen.astype(np.float64) @ log_factors(claimed, scores)
        capitals.append(everyone)  # the first of these is without measured baselines
        surplus = np.einsum("mhk,mk->mh", seen, scores - claimed)
        above += np.stack([surplus, surplus * (len(capitals) == 1)])
        played += seen.sum(axis=2) * (kinds - 1)
    staked = everyone if len(capitals) == 1 else np.concatenate([capitals[0], capitals[-1]], axis=2)
    return first_hours(staked, above, played, STRENGTH)


def first_hours(gains: FloatArray, above: FloatArray, played: FloatArray, budget: Budget) -> FloatArray:
    """The first hour at whose end a test rejects, [months], from what each hour adds.

    gains [months, hours, stakes]: to the log capital; above [.., months, hours]: scores above the claim, of which one
    must be below 0 in the last window; played [months, hours]: games.
    """
    capital, games = _summed(gains), _summed(played)
    surplus = np.stack([_summed(scores) for scores in above])
    window = round(LIMITS.elo_drop_window_hours)
    found = np.full(len(played), np.inf)
    for hour in range(1, played.shape[1] + 1):
        late = (surplus[:, :, hour] - surplus[:, :, max(0, hour - window)]).min(axis=0)
        for span in spans_at(float(hour), LIMITS.elo_drop_window_hours, budget):
            start = 0 if math.isinf(span.start_h) else round(span.start_h)
            wrong = log_evidence(capital[:, hour] - capital[:, start]) >= -math.log(span.alpha)
            wrong &= games[:, hour] - games[:, start] >= LIMITS.min_games_for_evaluation
            if span.recent:
                wrong &= late < 0
            found = np.where(wrong, np.minimum(found, hour), found)
    return found


def failure_hours(counts: Counts) -> FloatArray:
    """As trigger_hours, for jobs by failed games, [months, HOURS, GAMES_PER_JOB + 1]."""
    scores = 1 - np.arange(GAMES_PER_JOB + 1) / GAMES_PER_JOB
    claimed = LIMITS.claimed_success(np.ones(1))
    above = np.einsum("mhk,k->mh", counts, scores - claimed)[None]
    return first_hours(counts @ log_factors(claimed, scores), above, counts.sum(axis=2) * float(GAMES_PER_JOB), ERRORS)


def simulate(scenario: Scenario | Failures, months: int, seed: int) -> FloatArray:
    """The hours from the drop to the rollback, [months]; negative for a rollback before the drop."""
    rng = np.random.default_rng(seed)
    chunks = [CHUNK] * (months // CHUNK) + ([months % CHUNK] if months % CHUNK else [])
    if isinstance(scenario, Failures):
        chances = block_chances(scenario.rate, GAMES_PER_JOB, float(scenario.whole))
        return np.concatenate(
            [failure_hours(rng.multinomial(JOBS_PER_HOUR, chances, size=(chunk, HOURS))) for chunk in chunks]
        )
    hours = [trigger_hours(*months_of_blocks(scenario, rng, chunk)) for chunk in chunks]
    return np.concatenate(hours) - scenario.from_hour


def _summed(by_hour: FloatArray) -> FloatArray:
    """Sums up to each hour, with 0 before the first, along axis 1."""
    return np.concatenate([np.zeros_like(by_hour[:, :1]), np.cumsum(by_hour, axis=1)], axis=1)


ANCHORS = (Opponent(0.5, 0.5), Opponent(0.7, 0.25, 150), Opponent(0.9, 0.25, 150))
SOUND = Scenario("no drop", 0.0)
EDGE = Scenario("drop of exactly 50 Elo", 50.0)
FALSE: tuple[Scenario | Failures, ...] = (
    SOUND,
    EDGE,
    replace(EDGE, name="the same, blocks all alike half of the time", tied=0.5),
    replace(EDGE, name="the same, with anchors", opponents=ANCHORS),
    replace(EDGE, name="the same, three players", players=3),
    replace(EDGE, name="the same, four players", players=4),
    Failures("5 % of the games fail, one by one", 0.05, whole=False),
    Failures("5 % of the jobs fail", 0.05),
)
TRUE: tuple[Scenario | Failures, ...] = (
    *(Scenario(f"{drop} Elo", float(drop)) for drop in (75, 100, 200, 400)),
    *(Scenario(f"{drop} Elo, from hour 240 on", float(drop), from_hour=240) for drop in (100, 200, 400)),
    *(Scenario(f"{drop} Elo, with anchors", float(drop), opponents=ANCHORS) for drop in (100, 200, 400)),
    *(Scenario(f"{drop} Elo, four players", float(drop), players=4) for drop in (100, 200, 400)),
    *(Failures(f"{rate:.0%} of the jobs fail", rate) for rate in (0.1, 0.2, 0.5)),
)


def false_triggers(scenario: Scenario | Failures, months: int, seed: int) -> dict[str, Any]:
    """Share of months with a rollback, and its 95 % bound (Clopper-Pearson, one-sided)."""
    wrong = int(np.isfinite(simulate(scenario, months, seed)).sum())
    bound = 1.0 if wrong == months else float(beta.ppf(0.95, wrong + 1, months - wrong))
    return {"scenario": scenario.name, "months": months, "triggers": wrong, "share": wrong / months, "bound": bound}


def detection(scenario: Scenario | Failures, months: int, seed: int) -> dict[str, Any]:
    """Hours from the drop to the rollback: median and 95th percentile, None beyond the month; share within a day."""
    hours = simulate(scenario, months, seed)
    hours = hours[hours > 0]
    middle, late = (float(np.quantile(hours, share, method="higher")) for share in (0.5, 0.95))
    return {
        "scenario": scenario.name,
        "months": len(hours),
        "median_h": middle if math.isfinite(middle) else None,
        "late_h": late if math.isfinite(late) else None,
        "within_24_h": float((hours <= 24).mean()),
        "within_the_month": float(np.isfinite(hours).mean()),
    }


def markdown(report: dict[str, Any]) -> str:
    """The tables of docs/design/registry.md."""
    lines = ["| a sound net, 720 looks | months | false triggers | share | 95 % bound |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['scenario']} | {row['months']:,} | {row['triggers']} | {row['share']:.2%} | {row['bound']:.2%} |"
        for row in report["false_triggers"]
    ]
    lines += ["", "| drop | median | 95 % within | within 24 h | within the month |", "|---|---|---|---|---|"]
    for row in report["detection"]:
        median, late = (f"{row[name]:.0f} h" if row[name] else "-" for name in ("median_h", "late_h"))
        lines.append(
            f"| {row['scenario']} | {median} | {late} | {row['within_24_h']:.0%} | {row['within_the_month']:.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate and print."""
    months = int(sys.argv[sys.argv.index("--months") + 1]) if "--months" in sys.argv else 2000
    started = perf_counter()
    report: dict[str, Any] = {
        "games_per_hour": GAMES_PER_HOUR,
        "hours": HOURS,
        "false_triggers": [false_triggers(scenario, months, 1 + i) for i, scenario in enumerate(FALSE)],
        "detection": [detection(scenario, max(1, months // 4), 101 + i) for i, scenario in enumerate(TRUE)],
    }
    report["seconds"] = round(perf_counter() - started, 1)
    print(markdown(report) if "--markdown" in sys.argv else json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
