"""The ledger beside a cluster finds what must not be; each row of a history is (seq, type, payload)."""

from typing import Any

import pytest

from tests.e2e.cluster_ledger import Ledger

JOB = {"work_id": "training-1", "work_type": "training"}
A = {"node_id": "a"}
NET, OTHER = "1" * 64, "2" * 64
Told = tuple[int, str, dict[str, Any]]
QUEUED: Told = (1, "WORK_QUEUED", JOB)
CLAIMED: Told = (2, "WORK_CLAIMED", {**JOB, **A, "fence": 2})
STARTED: Told = (3, "WORK_STARTED", {**JOB, **A, "fence": 2})
DONE: Told = (4, "WORK_COMPLETED", {**JOB, **A})
PASSED: Told = (5, "EVALUATION_COMPLETED", {"model_sha256": NET, "job_id": "gauntlet-1", "passed": True})
CROWNED: Told = (6, "MODEL_PROMOTED", {"model_sha256": NET, "supersedes": None})
HISTORY = (QUEUED, CLAIMED, STARTED, DONE, PASSED, CROWNED)
HELP = {"work_id": "part-1", "work_type": "part"}
PART: tuple[Told, ...] = ((1, "WORK_QUEUED", HELP), (2, "WORK_CLAIMED", {**HELP, **A, "fence": 2}))


def row(told: Told) -> dict[str, Any]:
    seq, name, payload = told
    known = {"seq": seq, "type": name, "timestamp": 1.0 * seq, "payload": payload}
    return {**known, "source": "cluster", "event_id": f"{seq}.0"}


def ledger_of(*history: Told) -> Ledger:
    ledger = Ledger()
    for told in history:
        ledger.note("a", row(told))
    return ledger


def test_a_history_in_which_all_is_well_has_no_faults_whoever_tells_it_how_often():
    ledger = ledger_of(*HISTORY)
    for told in reversed(HISTORY):
        assert ledger.note("b", row(told)) == ""
    assert ledger.unsound() == []
    assert ledger.reigns == {6: NET}


def test_a_job_whose_node_was_lost_runs_again_under_a_higher_fence():
    lost: Told = (4, "WORK_LOST", {**JOB, "attempts_left": 3})
    again: Told = (5, "WORK_CLAIMED", {**JOB, "node_id": "b", "fence": 5})
    ledger = ledger_of(QUEUED, CLAIMED, STARTED, lost, again, (6, "WORK_COMPLETED", {**JOB, "node_id": "b"}))
    assert ledger.unsound() == []
    assert (ledger.jobs["training-1"].status, ledger.jobs["training-1"].fence) == ("succeeded", 5)


def test_a_part_whose_node_was_lost_is_over():
    ledger = ledger_of(*PART, (3, "WORK_LOST", {**HELP, "attempts_left": 0}))
    assert ledger.unsound() == []
    assert ledger.ends() == {"part": {"lost": 1}}


def test_a_net_waits_from_its_verdict_to_its_promotion():
    assert ledger_of(*HISTORY[:-1]).waiting() == (5, NET)
    assert ledger_of(*HISTORY).waiting() is None
    failed: Told = (5, "EVALUATION_COMPLETED", {"model_sha256": NET, "job_id": "gauntlet-1", "passed": False})
    assert ledger_of(*HISTORY[:4], failed).waiting() is None


@pytest.mark.parametrize(("taken", "later"), [(2, False), (6, True), (8, False)])
def test_a_promotion_is_that_of_a_later_office_when_that_was_taken_in_between(taken: int, later: bool):
    ledger = ledger_of(*HISTORY[:-1], (7, *CROWNED[1:]))
    ledger.in_office("a", 3)
    ledger.in_office("b", taken)
    assert ledger.inherited(NET, 3) is later


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ((*HISTORY, (7, "WORK_COMPLETED", {**JOB, **A})), "was succeeded at (4, 0), then WORK_COMPLETED"),
        ((*HISTORY, (7, "WORK_CLAIMED", {**JOB, **A, "fence": 7})), "was succeeded at (4, 0), then WORK_CLAIMED"),
        ((QUEUED, CLAIMED, (3, "WORK_CLAIMED", {**JOB, **A, "fence": 2})), "got fence 2"),
        ((QUEUED, CLAIMED, (3, "WORK_COMPLETED", {**JOB, "node_id": "b"})), "completed by b"),
        ((QUEUED, CLAIMED, (3, "WORK_STARTED", {**JOB, **A, "fence": 1})), "started under fence 1"),
        ((CLAIMED,), "begins with WORK_CLAIMED"),
        ((PASSED, (6, *PASSED[1:])), "EVALUATION_COMPLETED of gauntlet-1"),
        ((CROWNED,), "without having passed"),
        ((PASSED, CROWNED, (7, *CROWNED[1:])), f"None was replaced, {NET} reigned"),
        ((PASSED, CROWNED, (7, *CROWNED[1:])), f"MODEL_PROMOTED of {NET}"),
        ((QUEUED, CLAIMED, (3, "WORK_LOST", {**JOB, "attempts_left": 0})), "is lost after its node was lost"),
        ((*PART, (3, "WORK_LOST", {**HELP, "attempts_left": 1})), "is queued after its node was lost"),
        ((PASSED, (6, "MODEL_ROLLED_BACK", {"from_sha256": NET, "to_sha256": OTHER})), "was rolled back, None reigned"),
    ],
)
def test_what_must_not_be_is_found(history: tuple[Told, ...], fault: str):
    assert any(fault in found for found in ledger_of(*history).unsound())


def test_an_event_that_another_node_tells_otherwise_is_found():
    ledger = ledger_of(PASSED, CROWNED)
    ledger.note("b", row((6, "MODEL_PROMOTED", {"model_sha256": OTHER, "supersedes": None})))
    assert "b tells event 6.0" in ledger.unsound()[0]


def test_an_epoch_with_two_leaders_is_found():
    ledger = ledger_of()
    ledger.in_office("a", 3)
    ledger.in_office("b", 4)
    assert ledger.unsound() == []
    ledger.in_office("b", 3)
    assert ledger.unsound() == ["epoch 3 has two leaders: a and b"]


def test_what_a_node_has_forgotten_is_found():
    ledger = ledger_of(*HISTORY)
    rows = [row(told) for told in HISTORY]
    assert list(ledger.forgotten("a", rows, 0)) == []
    assert [*ledger.forgotten("a", rows[:-1], 0)] == [f"a does not remember event 6.0: MODEL_PROMOTED {CROWNED[2]}"]
    assert list(ledger.forgotten("a", rows[-1:], 5)) == []
    missed = row((9, "EVENTS_MISSED", {"node_id": "a", "first_seq": 2, "last_seq": 4}))
    assert len(list(ledger.forgotten("a", [missed, *rows[4:]], 0))) == 1


def test_a_job_that_a_node_does_not_know_or_knows_otherwise_is_found():
    ledger = ledger_of(QUEUED, CLAIMED)
    assert list(ledger.differs("a", {"training-1": {"status": "leased", "fence": 2}})) == []
    assert "does not know job training-1" in next(ledger.differs("a", {}))
    assert "says that training-1 is queued" in next(
        ledger.differs("a", {"training-1": {"status": "queued", "fence": 2}})
    )
