"""What is expected, and when: measured, or unknown."""

import pytest

from managers.game_rate import SHARD_S, WINDOW_S, GameRate
from managers.job_progress import progress_text, training_left_s
from managers.milestones import Outlook, milestones_of, span
from managers.state.commands import HaltAll
from tests.loop_states import GAME, Loop


def expected(loop: Loop, missing: int, per_h: float | None, **reports: object) -> list[tuple[str, float | None]]:
    outlook = Outlook(loop.state, loop.now, {str(name): report for name, report in reports.items()})  # type: ignore[misc]
    return [(it.what, it.in_s) for it in milestones_of(outlook, GAME, missing, per_h)]


def test_without_a_measurement_everything_is_unknown():
    milestones = milestones_of(Outlook(Loop().state, 0.0), GAME, 300, None)
    assert [(it.what, it.in_s) for it in milestones] == [("training", None), ("candidate", None), ("verdict", None)]
    assert milestones[0].text == "first candidate begins to train: unknown yet"


def test_games_that_lack_come_at_the_measured_rate():
    assert expected(Loop(), 300, 3600.0)[0] == ("training", 300.0)
    assert expected(Loop(), 0, None)[0] == ("training", 0.0)


def test_what_else_stands_in_the_way_of_a_training_lasts_nobody_knows_how_long():
    """After failures, or for rows: "any moment" would be said for an hour."""
    (begins, *_) = milestones_of(Outlook(Loop().state, 0.0), GAME, 0, None, held=True)
    assert begins.text == "first candidate begins to train: unknown yet"


def test_past_jobs_of_the_kind_say_how_long_the_next_ones_take():
    loop = Loop()
    loop.judge(loop.train(1, took_s=50.0), 1, "failed", took_s=100.0)
    assert expected(loop, 10, 3600.0) == [("training", 10.0), ("candidate", 60.0), ("verdict", 160.0)]


def test_the_duration_is_a_median_so_one_odd_job_changes_little():
    loop = Loop()
    for number, took_s in enumerate([50.0, 5000.0, 60.0], start=1):
        loop.judge(loop.train(number, took_s=took_s), number, "failed")
    assert Outlook(loop.state, loop.now).duration_s(GAME, "training") == 60.0


def test_a_training_that_runs_says_itself_when_it_is_done():
    loop = Loop()
    job = loop.queue_training()
    loop.begin(job)
    assert expected(loop, 100, 1.0) == [("candidate", None), ("verdict", None)]
    report = {"step": 40, "steps": 100, "samples_per_s": 256.0}
    assert expected(loop, 100, 1.0, **{job: report}) == [("candidate", 60.0), ("verdict", None)]


def test_the_next_training_waits_for_the_verdict_and_for_its_games():
    loop = Loop()
    loop.judge(loop.train(1, took_s=50.0), 1, "failed", took_s=100.0)
    gauntlet = loop.train(2, took_s=50.0)
    loop.begin(gauntlet)
    loop.now += 40
    assert expected(loop, 10, 3600.0)[:2] == [("verdict", 60.0), ("training", 60.0)]
    assert expected(loop, 600, 3600.0)[:2] == [("verdict", 60.0), ("training", 600.0)]


def test_a_halted_loop_expects_nothing():
    loop = Loop()
    loop.do(HaltAll(by="admin", reason="a test"))
    assert expected(loop, 10, 3600.0) == []


@pytest.mark.parametrize(
    "report",
    [{}, {"step": "1", "steps": 2, "samples_per_s": 3}, {"step": 1, "steps": 2, "samples_per_s": 0},
     {"step": 1, "steps": float("inf"), "samples_per_s": 1}, {"step": True, "steps": 2, "samples_per_s": 1},
     {"step": 10**400, "steps": 2, "samples_per_s": 1}, {"step": 1, "steps": 2, "samples_per_s": float("nan")}],
)  # fmt: skip
def test_a_strange_report_says_nothing(report: dict[str, object]):
    assert training_left_s(report, 256) is None


def test_progress_in_words():
    assert progress_text("selfplay", {"games": 12}) == "12 games"
    assert progress_text("training", {"step": 3, "steps": 9, "total": 2.0}) == "step 3 of 9, loss 2.000"
    assert progress_text("canary", {"met": 1, "opponents": 2}) == "1 of 2 opponents met"
    report = {"opponent": "random", "games": 20, "wins": 18, "cap": 300}
    assert progress_text("gauntlet", report) == "random: won 18 of 20 games, at most 300"
    assert all(progress_text(kind, {}) == "" for kind in ("selfplay", "training", "gauntlet", "canary"))


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (89.0, "89 s"), (120.0, "2 min"), (7200.0, "2.0 h")])
def test_times_as_people_say_them(seconds: float, text: str):
    assert span(seconds) == text


def test_a_rate_is_unknown_until_games_have_come_twice():
    rate = GameRate()
    rate.look(0.0, 100)
    assert rate.per_h(50.0) is None
    rate.look(60.0, 160)
    assert rate.per_h(60.0) == 3600.0


def test_a_rate_is_measured_from_count_to_count_and_does_not_sink_between_two():
    rate = GameRate()
    for at, games in [(0, 0), (30, 30), (45, 30), (60, 60)]:
        rate.look(float(at), games)
    assert rate.per_h(60.0) == rate.per_h(60.0 + SHARD_S) == 3600.0


def test_a_rate_sinks_to_nothing_when_no_games_come_any_more():
    rate = GameRate()
    rate.look(0.0, 0)
    rate.look(60.0, 60)
    assert rate.per_h(240.0) == 900.0
    assert rate.per_h(61.0 + WINDOW_S) == 0.0


def test_what_was_long_ago_counts_no_more():
    rate = GameRate()
    rate.look(0.0, 0)
    for step in range(100):
        rate.look(1000.0 + 30 * step, 1000 + 10 * step)
    assert rate.per_h(1000.0 + 30 * 99) == pytest.approx(1200.0)
