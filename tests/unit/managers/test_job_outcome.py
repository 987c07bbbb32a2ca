"""The last report of a job becomes its outcome, or the job has failed."""

from typing import Any

import pytest

from managers.job_outcome import RATINGS_MAX, outcome_of
from managers.state.jobs import Job
from managers.state.tasks import (
    CanaryOutcome,
    CanaryTask,
    GateForm,
    GauntletOutcome,
    GauntletTask,
    SelfplayOutcome,
    Task,
    TrainingOutcome,
)
from ringrift_core.errors import InvariantError
from tests.unit.managers.deciding import GAME, HEURISTIC, A, B, selfplay, training

ROW = {
    "opponent": "heuristic", "sha256": HEURISTIC, "games": 40, "wins": 36, "share": 0.9, "low": 0.8, "high": 1.0,
    "outcome": "passed", "blocks": [0, 4, 16], "llr": 3.1, "name": "heuristic-v1",
}  # fmt: skip
RATING = {"sha256": A, "sims": 64, "elo": 1300.0, "margin": 20.0, "link": "measured", "games": 100, "name": "net v1"}
TASKS: dict[str, Task] = {
    "selfplay": selfplay(),
    "training": training(),
    "gauntlet": GauntletTask(game=GAME, candidate=A, champion=B, candidate_number=1, seed=1, form=GateForm()),
    "canary": CanaryTask(game=GAME, model=A, opponents=(B,), number=0, games=16, seed=1),
}
DONE: dict[str, dict[str, Any]] = {
    "selfplay": {"written_games": 10, "written_samples": 300, "shards": 1},
    "training": {
        "sha256": A, "size_bytes": 5, "version": 2, "samples_total": 100, "rows": 50, "evaluations": 7, "steps": 3,
        "validation": {"policy": 1.5}, "path": "x",
    },
    "gauntlet": {"result": "0" * 16, "verdict": "passed", "reason": "well", "rows": [ROW], "ratings": [RATING]},
    "canary": {"blocks": [{"opponent": B, "wins": [0, 1, 2], "match": "0" * 16, "games": 6}], "ratings": [RATING]},
}  # fmt: skip


def job_of(kind: str) -> Job:
    return Job(id=f"{kind}-1", task=TASKS[kind], priority=50, cores=1, attempts_max=3, queued_at=0.0)


def outcome(kind: str, **changes: Any):
    return outcome_of(job_of(kind), {"event": "done", **DONE[kind], **changes})


def test_selfplay_counts_what_was_written():
    assert outcome("selfplay") == SelfplayOutcome(games=10, rows=300)


def test_a_training_names_its_candidate():
    assert outcome("training") == TrainingOutcome(
        candidate=A, size_bytes=5, version=2, steps=3, samples_total=100, rows=50, evaluations=7,
        losses={"policy": 1.5},
    )  # fmt: skip


def test_a_gauntlet_has_its_rows_with_blocks_and_its_ratings():
    found = outcome("gauntlet")
    assert isinstance(found, GauntletOutcome)
    assert (found.verdict, found.rows[0].blocks, found.rows[0].share) == ("passed", (0, 4, 16), 0.9)
    assert [(rating.sha256, rating.elo) for rating in found.ratings] == [(A, 1300.0)]


def test_a_canary_has_its_blocks():
    found = outcome("canary")
    assert isinstance(found, CanaryOutcome)
    assert (found.blocks[0].opponent, found.blocks[0].wins) == (B, (0, 1, 2))


def test_a_guess_is_no_rating_and_there_are_not_too_many():
    guess = RATING | {"link": "prior"}
    found = outcome("canary", ratings=[guess, *[RATING] * 200])
    assert isinstance(found, CanaryOutcome)
    assert len(found.ratings) == RATINGS_MAX
    assert outcome("canary", ratings=[guess]).ratings == ()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("selfplay", {"written_games": -1}),
        ("selfplay", {"written_samples": "many"}),
        ("training", {"sha256": "a" * 63}),
        ("training", {"size_bytes": 0}),
        ("training", {"validation": {"policy": float("nan")}}),
        ("training", {"validation": {"policy": float("inf")}}),
        ("training", {"samples_total": None}),
        ("gauntlet", {"rows": []}),
        ("gauntlet", {"rows": [ROW | {"games": 0}]}),
        ("gauntlet", {"rows": "none"}),
        ("gauntlet", {"rows": [3]}),
        ("gauntlet", {"verdict": "promoted"}),
        ("gauntlet", {"result": "../../etc/passwd"}),
        ("gauntlet", {"ratings": [RATING | {"elo": float("nan")}]}),
        ("canary", {"blocks": []}),
        ("canary", {"blocks": [{"opponent": B, "wins": [], "match": "0" * 16}]}),
        ("canary", {"blocks": [{"opponent": B, "wins": [5], "match": "0" * 16}]}),
    ],
)
def test_a_report_that_is_not_what_it_should_be_is_a_failed_job(kind, changes):
    with pytest.raises(InvariantError, match=f"^{kind}-1 reported what it should not: "):
        outcome(kind, **changes)


@pytest.mark.parametrize("kind", TASKS)
def test_a_report_without_a_word_is_a_failed_job(kind):
    with pytest.raises(InvariantError):
        outcome_of(job_of(kind), {"event": "done"})


@pytest.mark.parametrize("kind", TASKS)
def test_the_report_of_another_kind_of_job_is_none_of_this_one(kind):
    for other in set(DONE) - {kind}:
        with pytest.raises(InvariantError):
            outcome_of(job_of(kind), DONE[other])
