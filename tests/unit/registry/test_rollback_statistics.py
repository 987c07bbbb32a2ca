"""The simulation decides as the policy does, and finds the bugs that it is there to find."""

from datetime import timedelta

import numpy as np
import pytest

from benchmarks import rollback_statistics as simulation
from benchmarks.rollback_statistics import ANCHORS, EDGE, SOUND, Scenario, failure_hours, simulate, trigger_hours
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import rollback_policy
from ringrift_core.registry.canary import Baseline, CanaryBlock, JobReport, Observations
from ringrift_core.registry.rollback_policy import ALPHA_BASELINES, RollbackPolicy
from ringrift_core.registry.wager import lowest_credible_mean
from tests.unit.registry.nets import HOUR, NOW

MODEL = "a" * 64
HALF_HOUR = timedelta(minutes=30)


def seen_blocks(counts: np.ndarray, opponent: str) -> list[CanaryBlock]:
    """The blocks of a month, [hours, P + 1], in the middle of their hours."""
    return [
        CanaryBlock(MODEL, NOW + hour * HOUR + HALF_HOUR, opponent, won)
        for hour, row in enumerate(counts)
        for won, count in enumerate(row)
        for _ in range(count)
    ]


def first_rollback(seen: Observations, hours: int) -> float:
    policy = RollbackPolicy()
    return next((h for h in range(1, hours + 1) if policy.should_rollback(seen, NOW + h * HOUR).should), np.inf)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("from the start", 150.0),
        Scenario("later", 300.0, from_hour=28),
        Scenario("three players", 200.0, players=3),
    ],
    ids=lambda scenario: scenario.name,
)
def test_the_simulation_rolls_back_in_the_same_hour_as_the_policy(scenario):
    rng = np.random.default_rng(3)
    hours = 36
    counts, baselines = simulation.months_of_blocks(scenario, rng, 3)
    counts = [seen[:, :hours] for seen in counts]
    found = trigger_hours(counts, baselines)
    assert np.isfinite(found).any()
    for month, hour in enumerate(found):
        blocks = tuple(seen_blocks(counts[0][month], "before"))
        seen = Observations(ConfigKey("hex8", scenario.players), MODEL, "before", NOW, blocks=blocks)
        assert first_rollback(seen, hours) == hour


def test_the_simulation_with_anchors_rolls_back_in_the_same_hour_as_the_policy():
    rng = np.random.default_rng(4)
    hours, names = 30, ("before", "anchor 1", "anchor 2")
    counts, _ = simulation.months_of_blocks(Scenario("anchors", 300.0, opponents=ANCHORS), rng, 2)
    counts = [seen[:, :hours] for seen in counts]
    measured = [(20, 60, 70), (2, 26, 122)]
    bounds = [np.full(2, float(lowest_credible_mean(blocks, ALPHA_BASELINES / 2))) for blocks in measured]
    found = trigger_hours(counts, [np.full(2, 0.5), *bounds])
    for month, hour in enumerate(found):
        blocks = [block for seen, name in zip(counts, names, strict=True) for block in seen_blocks(seen[month], name)]
        baselines = tuple(Baseline(name, blocks) for name, blocks in zip(names[1:], measured, strict=True))
        seen = Observations(ConfigKey("hex8", 2), MODEL, "before", NOW, baselines, tuple(blocks))
        assert first_rollback(seen, hours) == hour < np.inf


def test_the_simulation_of_failing_jobs_rolls_back_in_the_same_hour_as_the_policy():
    rng = np.random.default_rng(5)
    hours, kinds = 40, simulation.GAMES_PER_JOB + 1
    chances = simulation.block_chances(0.25, simulation.GAMES_PER_JOB, 1.0)
    counts = rng.multinomial(simulation.JOBS_PER_HOUR, chances, size=(2, hours))
    for month, hour in enumerate(failure_hours(counts)):
        jobs = tuple(
            JobReport(MODEL, NOW + h * HOUR + HALF_HOUR, simulation.GAMES_PER_JOB, failed)
            for h in range(hours)
            for failed in range(kinds)
            for _ in range(counts[month, h, failed])
        )
        assert (
            first_rollback(Observations(ConfigKey("hex8", 2), MODEL, "before", NOW, jobs=jobs), hours) == hour < np.inf
        )


@pytest.mark.parametrize("scenario", [SOUND, EDGE], ids=["no drop", "at the threshold"])
def test_sound_nets_are_kept_through_a_month_of_hourly_looks(scenario):
    """200 months: with 1 % more than 6 would come up once in 1,000 times."""
    assert np.isfinite(simulate(scenario, 200, seed=11)).sum() <= 6


def test_a_policy_that_spends_its_error_at_every_look_is_found_out(monkeypatch):
    """A planted bug: no wager but the estimate with its one-look error, a normal bound at 1 %."""

    def one_look(capital: np.ndarray) -> np.ndarray:
        found: np.ndarray = capital.max(axis=-1)  # the best stake in hindsight
        return found

    monkeypatch.setattr(simulation, "log_evidence", one_look)
    monkeypatch.setattr(simulation, "STRENGTH", rollback_policy.Budget(0.1, 60 * 0.1))
    assert np.isfinite(simulate(EDGE, 100, seed=12)).sum() > 6


def test_large_drops_are_found_within_a_day():
    assert (simulate(Scenario("", 200.0), 100, seed=13) <= 24).all()
    assert (simulate(Scenario("", 400.0), 100, seed=14) <= 8).all()
