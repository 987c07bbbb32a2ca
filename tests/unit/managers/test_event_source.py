"""Every kind of transition, and the events that it is told as."""

import pytest

from managers.event_source import GAME_EVENTS, JOB_EVENTS, UNSAID
from managers.runtime.events import EVENTS
from managers.state import commands as asked
from managers.state import jobs
from managers.state.cluster_state import What
from managers.state.learners import DataCount
from managers.state.tasks import GateForm, Rating
from tests.commanded import (
    GAME,
    START,
    canary,
    canary_outcome,
    digest,
    gauntlet_outcome,
    promotion,
    selfplay,
    selfplay_outcome,
    training,
    training_outcome,
)
from tests.unit.managers.told import A, B, Told, everything, regression, short

# transitions that are told as no event, and why
SILENT = {
    What.CANDIDATE_ADDED: "TRAINING_COMPLETED names the candidate; a net that a person brings is told when it plays",
    What.ROLLBACKS_HELD: "the documents name no event for it; outcomes, logs and status tell it",
    What.MEMBER_JOINED: "the membership of a larger cluster tells it",
    What.MEMBER_CHANGED: "the same",
    What.MEMBER_LEFT: "the same",
    What.ROLE_CHANGED: "the same",
    What.VOTERS_CHANGED: "the same",
}
HALTS = {What.HALTED, What.RESUMED}


@pytest.fixture
def cluster() -> Told:
    return Told()


def work(job: str, kind: str) -> dict[str, object]:
    return {"work_id": job, "work_type": kind, "config_key": GAME}


# ---- all of them ----


def test_every_kind_of_transition_is_told_or_silent_for_a_reason():
    told = {*JOB_EVENTS, *GAME_EVENTS, *HALTS}
    assert told | set(SILENT) == set(What)
    assert told & set(SILENT) == set()


def test_everything_that_can_happen_can_be_told():
    cluster = everything()
    assert cluster.whats == set(What), "each kind of transition was there"
    for event in cluster.every:
        assert type(event) is EVENTS[event.type]
        assert type(event).model_validate(event.model_dump()) == event


def test_silent_transitions_are_told_as_nothing(cluster: Told):
    cluster.crowned(A)
    for body in (
        asked.Join(node="n2", session=1, cores=2),
        asked.TakeRole(role="LEADER", node="n2", session=1, lease_s=5),
        asked.Drain(node="n2"),
        asked.Leave(node="n2"),
        asked.AddNet(game=GAME, sha256=B, size_bytes=1, version=1, parent=None),
        asked.HoldRollbacks(game=GAME, reason="a look"),
    ):
        result = cluster.do(body)
        assert {it.what for it in result.transitions} <= set(SILENT)
        assert cluster.events == ()


def test_events_are_named_after_the_transition_whoever_tells_them(cluster: Told):
    job = cluster.queued(training())
    cluster.at += 7
    result = cluster.do(asked.Complete(job=job, fence=cluster.running(job), outcome=training_outcome(A)))
    names = [(event.event_id, event.source, event.at) for event in cluster.events]
    assert names == [(f"{result.seq}.{index}", "cluster", START + 7) for index in range(3)]


def test_a_refused_or_repeated_command_is_told_as_nothing(cluster: Told):
    cluster.do(asked.HaltAll(by="me", reason="smoke"))
    cluster.refused(asked.HaltAll(by="me", reason="smoke"))
    assert cluster.events == ()
    cluster.send(cluster.command(asked.ResumeAll(by="me"), "b", 1))
    assert len(cluster.events) == 1
    cluster.send(cluster.command(asked.ResumeAll(by="me"), "b", 1))
    assert cluster.events == ()


# ---- jobs ----


def test_a_queued_job(cluster: Told):
    about = work(f"selfplay-{GAME}-1", "selfplay")
    assert cluster.told(asked.Enqueue(task=selfplay(), priority=1)) == [("WORK_QUEUED", about)]


def test_a_queued_training_had_enough_samples(cluster: Told):
    assert cluster.told(asked.Enqueue(task=training(rows_made=30_000), priority=1)) == [
        ("WORK_QUEUED", work(f"training-{GAME}-1", "training")),
        ("TRAINING_THRESHOLD_REACHED", {"config_key": GAME, "sample_count": 30_000, "threshold": 100 * 256}),
    ]


def test_an_assigned_job_says_to_whom_and_which_attempt_it_is(cluster: Told):
    cluster.join()
    job = cluster.queued(selfplay())
    assign = asked.Assign(job=job, node="n1", session=1)
    ((name, payload),) = cluster.told(assign)
    fence = cluster.state.seq
    assert (name, payload) == (
        "WORK_CLAIMED",
        {**work(job, "selfplay"), "node_id": "n1", "fence": fence, "attempt": 1},
    )
    cluster.do(asked.Fail(job=job, fence=fence, reason="", retry_after_s=0))
    ((_, payload),) = cluster.told(assign)
    assert (payload["attempt"], payload["fence"]) == (2, cluster.state.seq)


def test_a_training_that_begins(cluster: Told):
    job = cluster.queued(training())
    fence = cluster.leased(job)
    assert cluster.told(asked.Start(job=job, fence=fence)) == [
        ("WORK_STARTED", {**work(job, "training"), "node_id": "n1", "fence": fence}),
        ("TRAINING_STARTED", {"config_key": GAME, "job_id": job, "node_id": "n1", "steps": 100, "samples": 10}),
    ]


def test_a_gauntlet_that_begins(cluster: Told):
    job = cluster.gauntlet(A)
    fence = cluster.leased(job)
    told = cluster.told(asked.Start(job=job, fence=fence))
    assert told[1:] == [("EVALUATION_STARTED", {"config_key": GAME, "job_id": job, "model_sha256": A})]


@pytest.mark.parametrize("kind", ["selfplay", "canary"])
def test_selfplay_and_canaries_begin_as_work_alone(cluster: Told, kind):
    cluster.crowned(A)
    job = cluster.queued(selfplay() if kind == "selfplay" else canary(A))
    fence = cluster.leased(job)
    assert cluster.names(asked.Start(job=job, fence=fence)) == ["WORK_STARTED"]


def test_selfplay_that_is_done(cluster: Told):
    job = cluster.queued(selfplay())
    fence = cluster.running(job)
    cluster.at += 60
    assert cluster.told(asked.Complete(job=job, fence=fence, outcome=selfplay_outcome())) == [
        ("WORK_COMPLETED", {**work(job, "selfplay"), "node_id": "n1", "duration_seconds": 60})
    ]


def test_a_training_that_is_done(cluster: Told):
    job = cluster.queued(training(gate=GateForm()))
    fence = cluster.running(job)
    cluster.at += 100
    made = training_outcome(A).model_copy(update={"losses": {"total": 2.5, "policy": 1.5}})
    told = dict(cluster.told(asked.Complete(job=job, fence=fence, outcome=made)))
    assert list(told) == ["WORK_COMPLETED", "TRAINING_COMPLETED", "CURRENT_NET_CHANGED", "WORK_QUEUED"]
    assert told["TRAINING_COMPLETED"] == {
        "config_key": GAME, "job_id": job, "node_id": "n1", "trained_by": "n1", "model_sha256": A, "steps": 100,
        "samples_trained": 25_600, "final_loss": 2.5, "duration_seconds": 100,
    }  # fmt: skip
    assert told["CURRENT_NET_CHANGED"] == {"config_key": GAME, "model_sha256": A}
    assert str(told["WORK_QUEUED"]["work_id"]).startswith("gauntlet-")


def test_what_is_not_known_of_a_job_is_left_out(cluster: Told):
    job = cluster.queued(training())
    told = dict(cluster.told(asked.Complete(job=job, fence=cluster.leased(job), outcome=training_outcome(A))))
    assert "duration_seconds" not in told["WORK_COMPLETED"], "nobody said when it began"
    assert "final_loss" not in told["TRAINING_COMPLETED"]


def test_a_gauntlet_that_was_passed(cluster: Told):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    fence = cluster.running(job)
    told = dict(cluster.told(asked.Complete(job=job, fence=fence, outcome=gauntlet_outcome(rated=B))))
    assert list(told) == ["WORK_COMPLETED", "EVALUATION_COMPLETED", "ELO_UPDATED"]
    assert told["EVALUATION_COMPLETED"] == {
        "config_key": GAME, "model_sha256": B, "job_id": job, "games_played": 40, "passed": True, "elo": 1300.5,
        "win_rate": 0.75, "vs_heuristic_rate": 0.75, "opponent_results": {f"heuristic {digest(0xABC)[:8]}": 0.75},
    }  # fmt: skip


@pytest.mark.parametrize("verdict", ["failed", "undecided"])
def test_a_gauntlet_that_was_not_passed_is_no_promotion(cluster: Told, verdict):
    job = cluster.gauntlet(A)
    body = asked.Complete(job=job, fence=cluster.leased(job), outcome=gauntlet_outcome(verdict))
    told = dict(cluster.told(body))
    assert list(told) == ["WORK_COMPLETED", "EVALUATION_COMPLETED", "MODEL_PROMOTION_FAILED"]
    assert told["EVALUATION_COMPLETED"]["passed"] is False
    assert told["MODEL_PROMOTION_FAILED"] == {
        "config_key": GAME, "model_sha256": A, "vs_heuristic_rate": 0.75, "reason": "as it went",
        "thresholds": {"random": 0.85, "heuristic": 0.6, "previous": 0.5},
    }  # fmt: skip


def test_each_opponent_of_a_gauntlet_has_its_rate_and_anchors_are_not_taken_for_the_champion(cluster: Told):
    outcome = gauntlet_outcome()
    (row,) = outcome.rows
    rows = tuple(
        row.model_copy(update={"opponent": who, "share": share, "sha256": digest(number)})
        for number, (who, share) in enumerate([("random", 0.9), ("heuristic", 0.8), ("champion", 0.7), ("anchor", 0.6)])
    )
    job = cluster.gauntlet(A)
    outcome = outcome.model_copy(update={"rows": rows})
    told = dict(cluster.told(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome)))
    payload = told["EVALUATION_COMPLETED"]
    rates = [payload[f"vs_{who}_rate"] for who in ("random", "heuristic", "previous")]
    assert (rates, payload["games_played"]) == ([0.9, 0.8, 0.7], 160)
    assert len(payload["opponent_results"]) == 4  # type: ignore[arg-type]


def test_ratings_are_told_of_nets_that_are_known_when_they_move(cluster: Told):
    cluster.crowned(A)

    def rated(*ratings: Rating) -> list[tuple[str, dict[str, object]]]:
        job = cluster.queued(canary(A))
        outcome = canary_outcome().model_copy(update={"ratings": ratings})
        return cluster.told(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome))[1:]

    first = Rating(sha256=A, sims=64, elo=1300, margin=20)
    stranger = first.model_copy(update={"sha256": digest(0xABC)})
    about = {"config_key": GAME, "model_id": A}
    assert rated(stranger, first) == [("ELO_UPDATED", {**about, "new_elo": 1300})]
    assert rated(first) == []
    moved = first.model_copy(update={"elo": 1310.0})
    assert rated(moved) == [("ELO_UPDATED", {**about, "new_elo": 1310, "previous_elo": 1300})]


def test_a_failed_attempt_says_how_often_it_is_still_tried(cluster: Told):
    job = cluster.queued(training(), attempts_max=3)
    fence = cluster.leased(job)
    fail = asked.Fail(job=job, fence=fence, reason="no memory", retry_after_s=0)
    payload = {**work(job, "training"), "reason": "no memory", "attempts_left": 2}
    assert cluster.told(fail) == [("WORK_FAILED", payload)]


@pytest.mark.parametrize("hopeless", [False, True])
def test_a_training_that_is_given_up_is_not_tried_again(cluster: Told, hopeless):
    job = cluster.queued(training(), attempts_max=3 if hopeless else 1)
    fence = cluster.leased(job)
    fail = asked.Fail(job=job, fence=fence, reason="", retry_after_s=None if hopeless else 0)
    assert cluster.told(fail) == [
        ("WORK_FAILED", {**work(job, "training"), "reason": UNSAID, "attempts_left": 0}),
        ("TRAINING_FAILED", {"config_key": GAME, "job_id": job, "node_id": "n1", "reason": UNSAID}),
    ]


def test_other_work_that_is_given_up_is_no_failed_training(cluster: Told):
    job = cluster.queued(selfplay())
    fail = asked.Fail(job=job, fence=cluster.leased(job), reason="no", retry_after_s=None)
    assert cluster.names(fail) == ["WORK_FAILED"]


def test_a_job_that_is_given_back_is_queued(cluster: Told):
    job = cluster.queued(training())
    release = asked.Release(job=job, fence=cluster.leased(job), reason="it stops")
    assert cluster.told(release) == [("WORK_QUEUED", work(job, "training"))]


def test_a_cancelled_job_says_why(cluster: Told):
    first, second = cluster.queued(selfplay()), cluster.queued(selfplay())
    cancelled = ("WORK_CANCELLED", {**work(first, "selfplay"), "reason": "enough"})
    assert cluster.told(asked.Cancel(job=first, reason="enough")) == [cancelled]
    ((_, payload),) = cluster.told(asked.Cancel(job=second, reason=""))
    assert payload["reason"] == UNSAID


def test_jobs_that_are_lost_with_their_node_are_tried_again_until_they_are_given_up(
    cluster: Told, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "LOSSES_MAX", 1)
    job, other = cluster.queued(training()), cluster.queued(selfplay())
    cluster.leased(job)
    cluster.leased(other)
    expire = asked.Expire(node="n1", session=1)
    reason = {"reason": "the node did not renew its lease"}
    assert cluster.told(expire) == [
        ("WORK_LOST", {**work(job, "training"), **reason, "attempts_left": 3}),
        ("WORK_LOST", {**work(other, "selfplay"), **reason, "attempts_left": 3}),
    ]
    cluster.leased(job)
    assert cluster.told(expire) == [
        ("WORK_LOST", {**work(job, "training"), **reason, "attempts_left": 0}),
        ("TRAINING_FAILED", {"config_key": GAME, "job_id": job, "node_id": "n1", **reason}),
    ]


# ---- learners ----


def test_counted_games_are_told_as_those_that_are_new(cluster: Told):
    def counted(node: str, games: int, rows: int) -> list[tuple[str, dict[str, object]]]:
        return cluster.told(asked.CountData(game=GAME, node=node, count=DataCount(games=games, rows=rows)))

    for node in ("n1", "n2"):
        cluster.join(node)
    payload = {"config_key": GAME, "games_completed": 10, "total_games": 10, "samples": 100}
    assert counted("n1", 10, 100) == [("SELFPLAY_COMPLETE", payload)]
    cluster.trained(A)
    payload = {"config_key": GAME, "games_completed": 5, "total_games": 15, "samples": 60, "model_id": A}
    assert counted("n2", 5, 60) == [("SELFPLAY_COMPLETE", payload)]
    assert counted("n2", 5, 61) == [], "rows without games"


def test_another_current_net_says_which_one_it_replaces(cluster: Told):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    qualify = asked.Qualify(job=job, fence=cluster.leased(job), games=64, wins=40)
    payload = {"config_key": GAME, "model_sha256": B, "previous_sha256": A}
    assert cluster.told(qualify) == [("CURRENT_NET_CHANGED", payload)]


def test_a_promotion_says_who_is_better_by_how_much(cluster: Told):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    outcome = gauntlet_outcome(result="b" * 16)
    ratings = tuple(Rating(sha256=net, sims=64, elo=elo, margin=5) for net, elo in ((A, 1300.0), (B, 1350.0)))
    outcome = outcome.model_copy(update={"ratings": ratings})
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome))
    cluster.at += 9
    assert cluster.told(promotion(B, expected=A, evidence="b" * 16)) == [
        (
            "MODEL_PROMOTED",
            {
                "config_key": GAME, "model_sha256": B, "model_path": f"models/canonical_{GAME}.pth", "version": 1,
                "new_elo": 1350, "previous_elo": 1300, "elo_delta": 50, "promoted_at": START + 9, "supersedes": A,
                "forced": False,
            },
        )
    ]  # fmt: skip


def test_a_promotion_by_hand_is_forced_and_what_is_not_known_is_left_out(cluster: Told):
    cluster.do(asked.AddNet(game=GAME, sha256=A, size_bytes=1, version=0, parent=None))
    told = dict(cluster.told(promotion(A, expected=None, how="manual")))
    assert list(told) == ["CURRENT_NET_CHANGED", "MODEL_PROMOTED"]
    known = {"config_key", "model_sha256", "model_path", "promoted_at", "forced"}
    assert (set(told["MODEL_PROMOTED"]), told["MODEL_PROMOTED"]["forced"]) == (known, True)


@pytest.mark.parametrize(
    ("drop_elo", "severity"), [(10.0, "minor"), (35.0, "moderate"), (50.0, "severe"), (75.0, "critical")]
)
def test_lost_strength_is_told_before_the_rollback_that_it_leads_to(cluster: Told, drop_elo, severity):
    cluster.crowned(A)
    cluster.crowned(B)
    names = {"from_sha256": B, "to_sha256": A}
    assert cluster.told(regression(drop_elo))[-2:] == [
        ("REGRESSION_DETECTED", {"config_key": GAME, "severity": severity, "elo_drop": drop_elo}),
        ("MODEL_ROLLED_BACK", {"config_key": GAME, **names, "reason": "it lost", "trigger": "auto_elo"}),
    ]


@pytest.mark.parametrize(("drop_elo", "trigger"), [(None, "auto_elo"), (60.0, "auto_error"), (60.0, "manual")])
def test_a_rollback_for_other_reasons_is_no_regression(cluster: Told, drop_elo, trigger):
    cluster.crowned(A)
    cluster.crowned(B)
    assert "REGRESSION_DETECTED" not in cluster.names(regression(drop_elo, trigger))
    assert short(cluster.events[-1])["trigger"] == trigger


# ---- halt ----


def test_a_halt_says_who_and_why(cluster: Told):
    assert cluster.told(asked.HaltAll(by="me", reason="")) == [("LOOP_HALTED", {"reason": UNSAID, "by": "me"})]
    assert cluster.told(asked.ResumeAll(by="me")) == [("LOOP_RESUMED", {})]
