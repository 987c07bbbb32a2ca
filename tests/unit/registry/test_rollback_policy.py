"""Rollbacks: what triggers one, what does not yet, what holds it back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.canary import Baseline, CanaryBlock, JobReport, Observations
from ringrift_core.registry.rollback_policy import (
    ERRORS,
    MONTH_H,
    STRENGTH,
    Action,
    RollbackPolicy,
    RollbackThresholds,
    Trigger,
    spans_at,
)
from tests.unit.registry.nets import HOUR, KEY, NOW

MODEL, PREVIOUS, ANCHOR = "a" * 64, "b" * 64, "anchor"
POLICY = RollbackPolicy()
EMPTY = Observations(KEY, MODEL, PREVIOUS, NOW)
PER_HOUR = 8  # blocks of two games


def blocks(wins: Sequence[int], opponent: str = PREVIOUS, first: int = 0) -> tuple[CanaryBlock, ...]:
    """Eight an hour, beginning with block number `first`, the last of an hour at its end."""
    return tuple(
        CanaryBlock(MODEL, NOW + HOUR * ((first + i + 1) / PER_HOUR), opponent, won) for i, won in enumerate(wins)
    )


def end_of(seen: Observations) -> timedelta:
    return max(block.at for block in seen.blocks) - NOW


def decided(seen: Observations, policy: RollbackPolicy = POLICY):
    return policy.should_rollback(seen, NOW + end_of(seen))


# ---- strength ----


def test_a_net_as_good_as_the_one_before_is_kept():
    decision = decided(replace(EMPTY, blocks=blocks([1] * 400)))
    assert (decision.action, decision.should, decision.trigger) == (Action.KEEP, False, None)
    assert decision.statistics.drop_elo == pytest.approx(0, abs=0.1)
    assert decision.statistics.drop_bound_elo is not None
    assert decision.statistics.drop_bound_elo < 0


def test_a_net_that_loses_everything_is_taken_back_at_the_least_number_of_games():
    for count in range(1, 25):
        assert not decided(replace(EMPTY, blocks=blocks([0] * count))).should, "48 games"
    decision = decided(replace(EMPTY, blocks=blocks([0] * 25)))
    assert (decision.action, decision.trigger) == (Action.ROLL_BACK, Trigger.AUTO_ELO)
    assert decision.bound == decision.statistics.drop_bound_elo
    assert decision.bound is not None
    assert decision.bound > 50
    assert decision.reason == (
        "about 2000 Elo lost by 50 games, surely more than 50 Elo or 10.0% of the games by the test since the install"
    )
    assert (decision.statistics.games, decision.statistics.share, decision.statistics.expected_share) == (50, 0.0, 0.5)


def test_a_net_at_the_threshold_is_kept_and_a_clearly_worse_one_is_not():
    """3 of 7 games are 50 Elo less; 1 of 4 are 191 less."""
    at_threshold = [1, 1, 1, 1, 1, 1, 0] * 100
    assert decided(replace(EMPTY, blocks=blocks(at_threshold))).action is Action.KEEP
    decision = decided(replace(EMPTY, blocks=blocks([1, 0] * 60)))
    assert decision.trigger is Trigger.AUTO_ELO
    assert decision.statistics.drop_elo == pytest.approx(190.8, abs=0.2)


@given(st.lists(st.integers(0, 2), min_size=25, max_size=120), st.floats(0, 200))
def test_a_rollback_means_that_the_bound_is_above_the_threshold_and_the_other_way_round(wins, threshold):
    limits = RollbackThresholds(elo_drop_threshold=threshold, win_rate_drop_threshold=0.499)
    decision = decided(replace(EMPTY, blocks=blocks(wins)), RollbackPolicy(limits))
    bound = decision.statistics.drop_bound_elo
    assert decision.should == (bound is not None and bound >= threshold)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.randoms())
def test_the_order_of_the_observations_does_not_matter(wins, shuffler):
    seen = replace(EMPTY, blocks=blocks(wins))
    shuffled = list(seen.blocks)
    shuffler.shuffle(shuffled)
    assert decided(replace(seen, blocks=tuple(shuffled))) == decided(seen)


def test_games_of_another_net_before_the_install_or_still_to_come_do_not_count():
    lost = blocks([0] * 100)
    other = tuple(replace(block, model="c" * 64) for block in lost)
    before = tuple(replace(block, at=block.at - 20 * HOUR) for block in lost)
    later = tuple(replace(block, at=block.at + 20 * HOUR) for block in lost)
    decision = POLICY.should_rollback(replace(EMPTY, blocks=other + before + later), NOW + 13 * HOUR)
    assert decision.action is Action.KEEP
    assert decision.statistics.games == 0
    assert decision.reason == "0 canary games and 0 games of jobs, 50 are needed"


def test_a_win_rate_threshold_can_speak_before_the_elo_threshold():
    """From 50 % to 40 % are 70 Elo: with a threshold of 300 Elo only the share can trigger."""
    wins = [1, 0] * 150
    assert not decided(
        replace(EMPTY, blocks=blocks(wins)),
        RollbackPolicy(RollbackThresholds(elo_drop_threshold=300, win_rate_drop_threshold=0.4)),
    ).should
    assert decided(
        replace(EMPTY, blocks=blocks(wins)), RollbackPolicy(RollbackThresholds(elo_drop_threshold=300))
    ).should


# ---- the window ----


def test_a_drop_after_a_long_good_time_is_found_within_a_window():
    good = blocks([1] * PER_HOUR * 240)
    bad = blocks([1, 0, 0, 0] * PER_HOUR * 6, first=PER_HOUR * 240)
    decisions = [decided(replace(EMPTY, blocks=good + bad[: hours * PER_HOUR])) for hours in range(1, 13)]
    found = [decision.should for decision in decisions].index(True)
    assert found < 10
    assert "of a window of 24 h" in decisions[found].reason


def test_a_bad_time_that_is_over_does_not_trigger_any_more():
    """Nobody looked while it was bad; the last window is good."""
    seen = replace(EMPTY, blocks=blocks([0] * 200 + [1] * PER_HOUR * 25))
    assert decided(replace(seen, blocks=seen.blocks[:200])).should
    decision = decided(seen)
    assert not decision.should
    assert decision.statistics.drop_bound_elo is not None
    assert decision.statistics.drop_bound_elo > 50, "all games together still say so"


@pytest.mark.parametrize(
    ("now_h", "starts"), [(1, []), (12, []), (12.5, [12]), (24, [12]), (25, [12, 24]), (36, [24]), (719, [696, 708])]
)
def test_windows_begin_every_half_window_and_end_after_a_whole_one(now_h, starts):
    reign, *windows = spans_at(now_h, 24.0, STRENGTH)
    assert reign.recent
    assert [window.start_h for window in windows] == starts
    assert all(now_h - window.start_h < 24 for window in windows)


@pytest.mark.parametrize("window_h", [6.0, 24.0, 100.0])
def test_all_tests_of_a_month_together_have_one_percent(window_h):
    starts = {
        span.start_h: span.alpha
        for now_h in np.arange(0.5, MONTH_H, 0.5)
        for span in spans_at(float(now_h), window_h, STRENGTH)
    }
    assert sum(starts.values()) <= STRENGTH.reign + STRENGTH.month + 1e-12
    assert STRENGTH.reign + STRENGTH.month + ERRORS.reign + ERRORS.month + 0.0005 == pytest.approx(0.01)


# ---- baselines ----


def test_an_anchor_is_compared_with_what_was_measured_at_the_promotion():
    anchored = replace(EMPTY, baselines=(Baseline(ANCHOR, (5, 40, 155)),))  # 87.5 % of 400 games
    assert not decided(replace(anchored, blocks=blocks([2, 2, 1, 2] * 25, ANCHOR))).should
    decision = decided(replace(anchored, blocks=blocks([1] * 100, ANCHOR)))
    assert decision.trigger is Trigger.AUTO_ELO
    assert decision.statistics.expected_share == pytest.approx(0.80, abs=0.02), "the lower bound of 0.875"


def test_anchors_whose_baseline_is_vague_do_not_hide_a_drop_against_the_one_before():
    vague = replace(EMPTY, baselines=(Baseline(ANCHOR, (2, 2, 2)),))
    lost = blocks([0, 1] * 50)
    kept = blocks([1] * 100, ANCHOR)
    assert decided(replace(vague, blocks=lost + kept)).should


def test_a_measured_baseline_of_the_one_before_replaces_the_fair_share():
    better = replace(EMPTY, baselines=(Baseline(PREVIOUS, (0, 20, 180)),))
    assert decided(replace(better, blocks=blocks([1] * 100))).should


# ---- errors ----


def reports(failed: Sequence[int], games: int = 10) -> tuple[JobReport, ...]:
    return tuple(JobReport(MODEL, NOW + HOUR * (i + 1) / 4, games, count) for i, count in enumerate(failed))


def test_failing_jobs_trigger_from_the_least_number_of_games_on():
    for count in range(1, 5):
        assert not POLICY.should_rollback(replace(EMPTY, jobs=reports([10] * count)), NOW + HOUR).should
    decision = POLICY.should_rollback(replace(EMPTY, jobs=reports([10] * 5)), NOW + 2 * HOUR)
    assert (decision.action, decision.trigger) == (Action.ROLL_BACK, Trigger.AUTO_ERROR)
    assert (decision.statistics.error_rate, decision.bound) == (1.0, decision.statistics.error_bound)
    assert decision.bound is not None
    assert decision.bound > 0.05


def test_one_job_that_fails_whole_is_one_observation():
    """A broken machine loses 1,000 games at once; the net is not to blame yet."""
    jobs = (JobReport(MODEL, NOW + HOUR, 1000, 1000), *reports([0] * 20))
    assert not POLICY.should_rollback(replace(EMPTY, jobs=jobs), NOW + 6 * HOUR).should


def test_a_few_failures_are_allowed():
    decision = POLICY.should_rollback(replace(EMPTY, jobs=reports([1, 0] * 100)), NOW + 51 * HOUR)
    assert decision.action is Action.KEEP
    assert decision.statistics.error_rate == pytest.approx(0.05)


# ---- what holds a rollback back ----

BAD = replace(EMPTY, blocks=blocks([0] * 40))


def test_nothing_is_decided_right_after_an_install():
    bad = replace(EMPTY, blocks=tuple(replace(block, at=NOW + timedelta(minutes=1)) for block in BAD.blocks))
    decision = POLICY.should_rollback(bad, NOW + timedelta(seconds=119))
    assert (decision.action, decision.reason) == (Action.KEEP, "installed less than 120 seconds ago")
    assert POLICY.should_rollback(bad, NOW + timedelta(seconds=120)).should


@pytest.mark.parametrize(
    ("hours_ago", "action"),
    [([], Action.ROLL_BACK), ([1], Action.ROLL_BACK), ([1, 25], Action.ROLL_BACK), ([1, 23], Action.HALT)],
)
def test_after_two_rollbacks_in_a_day_a_person_is_called(hours_ago, action):
    now = NOW + end_of(BAD)
    decision = POLICY.should_rollback(replace(BAD, rollbacks=tuple(now - HOUR * h for h in hours_ago)), now)
    assert (decision.action, decision.trigger) == (action, Trigger.AUTO_ELO)
    assert ("did not help" in decision.reason) == (action is Action.HALT)
    assert decision.should == (action is Action.ROLL_BACK)


def test_without_anything_to_go_back_to_a_person_is_called():
    bad = replace(BAD, previous=None, baselines=(Baseline(PREVIOUS, (0, 100, 0)),))
    decision = decided(bad)
    assert decision.action is Action.HALT
    assert decision.reason.startswith("there is nothing to roll back to; about")


def test_a_manual_rollback_needs_only_a_reason():
    decision = POLICY.manual("it plays strangely")
    assert (decision.should, decision.trigger, decision.reason) == (True, Trigger.MANUAL, "it plays strangely")
    with pytest.raises(RulesError, match="reason"):
        POLICY.manual(" ")


# ---- input that cannot be ----


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": blocks([3])}, "0 to 2 won games, not 3"),
        ({"blocks": blocks([1], "stranger")}, "no baseline for the opponent 'stranger'"),
        ({"baselines": (Baseline(ANCHOR, (1, 2)),)}, "counts no blocks of hex8_2p"),
        ({"baselines": (Baseline(ANCHOR, (0, 0, 0)),)}, "counts no blocks"),
        ({"jobs": (JobReport(MODEL, NOW, 0, 0),)}, "at least one game"),
        ({"jobs": (JobReport(MODEL, NOW, 3, 4),)}, "at least one game"),
        ({"installed_at": NOW.replace(tzinfo=None)}, "time zone"),
        ({"key": ConfigKey.parse("hex8_3p"), "blocks": blocks([4])}, "0 to 3 won games"),
    ],
)
def test_observations_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(RulesError, match=message):
        replace(EMPTY, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"elo_drop_threshold": -1},
        {"elo_drop_threshold": float("nan")},
        {"elo_drop_window_hours": 0},
        {"win_rate_drop_threshold": 0.0},
        {"error_rate_threshold": 1.0},
        {"min_games_for_evaluation": 0},
    ],
)
def test_thresholds_that_mean_nothing_are_refused(wrong):
    with pytest.raises(RulesError):
        RollbackThresholds(**wrong)


def test_the_thresholds_are_the_documented_ones():
    limits = RollbackThresholds()
    assert (limits.elo_drop_threshold, limits.elo_drop_window_hours) == (50.0, 24.0)
    assert (limits.win_rate_drop_threshold, limits.error_rate_threshold) == (0.10, 0.05)
    assert limits.min_games_for_evaluation == 50
