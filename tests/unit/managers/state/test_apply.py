"""What holds of every command: duplicates, versions, time, refusals, faults of ours."""

import logging
from collections.abc import Mapping
from typing import get_args

import pytest

from managers.state import apply as reducer
from managers.state import commands as asked
from managers.state import learners
from managers.state.apply import Change, apply, seed_of
from managers.state.cluster_state import ClusterState, Result, Transition, What
from managers.state.learners import DataCount
from managers.state.record import Refused
from managers.state.tasks import GateForm
from tests.commanded import (
    GAME,
    START,
    Commanded,
    digest,
    promotion,
    selfplay,
    training,
    training_outcome,
)

HALT = asked.HaltAll(by="me", reason="smoke")
RESUME = asked.ResumeAll(by="me")


@pytest.fixture
def cluster() -> Commanded:
    return Commanded()


def test_every_kind_of_command_has_a_reducer():
    union, _ = get_args(asked.Body)
    assert set(get_args(union)) == set(reducer._REDUCERS)


def test_every_accepted_command_has_the_next_seq(cluster: Commanded):
    assert [cluster.do(body).seq for body in (HALT, RESUME, HALT)] == [1, 2, 3]
    assert cluster.refused(HALT) == "halted already by me"
    assert cluster.do(RESUME).seq == 4


# ---- duplicates ----


def test_a_repeated_command_is_answered_alike_and_does_nothing(cluster: Commanded):
    command = cluster.command(asked.Enqueue(task=selfplay(), priority=5), "a", 1)
    first = cluster.send(command)
    before = cluster.state
    again = cluster.send(command)
    assert again == first.model_copy(update={"transitions": ()})
    assert first.transitions != ()
    assert cluster.state == before
    assert again.job == "selfplay-hex8_2p-1"


def test_a_repeated_command_is_answered_alike_however_the_state_went_on(cluster: Commanded):
    command = cluster.command(HALT, "a", 1)
    cluster.send(command)
    for body in (RESUME, HALT, RESUME):
        cluster.ask(body, "b")
    assert cluster.send(command) == Result(accepted=True, seq=1)
    assert cluster.state.halt is None


def test_a_refusal_is_remembered_too(cluster: Commanded):
    command = cluster.command(RESUME, "a", 1)
    refusal = cluster.send(command)
    assert not refusal.accepted
    cluster.ask(HALT, "b")
    assert cluster.send(command) == refusal
    assert cluster.state.halt is not None


def test_a_number_says_which_command_it_is_whatever_it_holds(cluster: Commanded):
    first = cluster.send(cluster.command(HALT, "a", 1))
    assert cluster.send(cluster.command(RESUME, "a", 1)).seq == first.seq
    assert cluster.state.halt is not None


def test_an_older_command_of_a_client_is_refused(cluster: Commanded):
    cluster.send(cluster.command(HALT, "a", 7))
    before = cluster.state
    late = cluster.send(cluster.command(RESUME, "a", 6))
    assert (late.accepted, late.reason) == (False, "a has asked command 7 since")
    assert cluster.state == before
    assert cluster.send(cluster.command(RESUME, "b", 1)).accepted, "numbers are a client's own"


def test_of_too_many_clients_the_one_that_was_silent_longest_is_forgotten(
    cluster: Commanded, monkeypatch: pytest.MonkeyPatch
):
    assert reducer.CLIENTS_MAX == 4096
    monkeypatch.setattr(reducer, "CLIENTS_MAX", 3)
    for client in "abc":
        cluster.ask(RESUME, client)
    cluster.ask(RESUME, "a")
    cluster.ask(RESUME, "d")
    assert list(cluster.state.answered) == ["c", "a", "d"]


# ---- versions ----


@pytest.mark.parametrize("version", [0, 2, -1, 10**9])
def test_a_command_of_an_unknown_version_changes_nothing_at_all(cluster: Commanded, version):
    command = cluster.command(HALT, "a", 1)
    result = cluster.send(command.model_copy(update={"version": version}))
    assert not result.accepted
    assert f"version {version}" in result.reason
    assert cluster.state == ClusterState()
    assert cluster.send(command).accepted


# ---- time ----


def test_time_never_goes_back(cluster: Commanded):
    cluster.do(HALT)
    cluster.at = START - 500
    cluster.do(RESUME)
    assert cluster.state.now == START
    cluster.do(HALT)
    assert cluster.state.halt is not None
    assert cluster.state.halt.at == START, "what happens now happened not before"


def test_a_refused_command_does_not_move_the_time(cluster: Commanded):
    cluster.do(HALT)
    cluster.at += 1000
    cluster.refused(HALT)
    assert cluster.state.now == START


def test_the_latest_possible_time_and_the_longest_waits_still_make_a_state_that_loads(cluster: Commanded):
    cluster.at = asked.AT_MAX - 1
    cluster.join()
    job = cluster.queued(selfplay())
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="", retry_after_s=1e6))
    cluster.do(asked.TakeRole(role="LEADER", node="n1", session=1, lease_s=86_400))
    assert cluster.machine.load(cluster.machine.dump(cluster.state)) == cluster.state


# ---- faults ----


def test_a_fault_in_a_reducer_is_a_refusal_that_is_logged_and_changes_nothing(
    cluster: Commanded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(change: Change, body: asked.HaltAll) -> None:
        reducer._halt(change, body)
        raise ZeroDivisionError

    monkeypatch.setitem(as_dict(reducer._REDUCERS), asked.HaltAll, broken)
    with caplog.at_level(logging.ERROR):
        assert "a fault of ours" in cluster.refused(HALT)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "halt of a" in record.getMessage()
    assert list(cluster.state.answered) == ["a"]
    cluster.do(asked.Enqueue(task=selfplay(), priority=1))


def test_a_command_that_is_refused_half_way_changes_nothing(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    """Completing a training ends the job before it adds the candidate; a refusal there takes the end back."""

    def refusing(*_args: object, **_named: object) -> None:
        raise Refused("no")

    job = cluster.queued(training(gate=GateForm()))
    fence = cluster.leased(job)
    monkeypatch.setattr(learners, "gauntlet_of", refusing)
    cluster.refused(asked.Complete(job=job, fence=fence, outcome=training_outcome(digest(1))))
    assert cluster.job(job).status == "leased"
    assert cluster.learner().nets == {}


# ---- purity ----


def test_a_state_is_never_changed_in_place(cluster: Commanded):
    cluster.judged(digest(1))
    before, kept = cluster.state, cluster.machine.dump(cluster.state)
    cluster.ask(promotion(digest(1), expected=None))
    cluster.ask(asked.CountData(game=GAME, node="n1", count=DataCount(games=1)))
    cluster.ask(asked.Leave(node="n1"))
    assert cluster.machine.dump(before) == kept


def test_what_changed_is_told_in_the_answer(cluster: Commanded):
    cluster.join()
    count = DataCount(games=1)
    result = cluster.do(asked.CountData(game=GAME, node="n1", count=count))
    assert result.transitions == (Transition(what=What.DATA_COUNTED, game=GAME, node="n1"),)


def test_seeds_belong_to_a_name_and_a_seq():
    assert seed_of("a", 1) == seed_of("a", 1)
    assert len({seed_of("a", 1), seed_of("a", 2), seed_of("b", 1)}) == 3
    assert 0 <= seed_of("a", 1) < 1 << reducer.SEED_BITS


def test_the_door_and_the_function_agree(cluster: Commanded):
    command = cluster.command(HALT, "a", 1)
    result = cluster.send(command)
    assert apply(ClusterState(), command) == (cluster.state, result)


def as_dict(table: Mapping[type, object]) -> dict[type, object]:
    assert isinstance(table, dict)
    return table
