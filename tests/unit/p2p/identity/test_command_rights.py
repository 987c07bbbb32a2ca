"""What a node that does not vote may have written."""

import pytest

from managers.state.commands import (
    Assign,
    Body,
    Cancel,
    Command,
    Complete,
    CountData,
    Drain,
    Fail,
    HaltAll,
    Join,
    Leave,
    Qualify,
    Release,
    SetVoters,
    Start,
    TakeRole,
    YieldRole,
)
from managers.state.learners import DataCount
from managers.state.members import LEADER
from p2p.identity.command_rights import RIGHTS, refusal_of
from tests.commanded import GAME, Commanded, selfplay, selfplay_outcome

NOW = 1000.0
COUNT = DataCount(games=1, rows=1, evaluations=1)


def refused(
    body: Body, cluster: Commanded | None = None, *, client: str = "w/1/X", at: float = NOW, epoch: int | None = None
) -> str:
    command = Command(client=client, sequence=1, at=at, epoch=epoch, body=body)
    state = (cluster or Commanded()).state
    found = refusal_of(command, "w", state, clock=NOW, wall=NOW + 5)
    return "" if found is None else found.code


def working() -> tuple[Commanded, str, str]:
    """A job of w, a job of another node."""
    cluster = Commanded()
    mine, other = cluster.queued(selfplay()), cluster.queued(selfplay())
    cluster.leased(mine, "w")
    cluster.leased(other, "o")
    return cluster, mine, other


@pytest.mark.parametrize(
    ("own", "others"),
    [
        (Join(node="w", session=1, cores=1), Join(node="o", session=1, cores=1)),
        (Leave(node="w"), Leave(node="o")),
        (CountData(game=GAME, node="w", count=COUNT), CountData(game=GAME, node="o", count=COUNT)),
        (YieldRole(role=LEADER, node="w", session=1), YieldRole(role=LEADER, node="o", session=1)),
    ],
)
def test_a_node_speaks_about_itself_alone(own: Body, others: Body):
    assert refused(own) == ""
    assert refused(others) == "not_allowed"


def test_a_node_speaks_about_the_jobs_that_it_was_given():
    cluster, mine, other = working()

    def bodies(job: str) -> list[Body]:
        return [
            Start(job=job, fence=1),
            Complete(job=job, fence=1, outcome=selfplay_outcome()),
            Fail(job=job, fence=1, reason="r"),
            Release(job=job, fence=1, reason="r"),
            Qualify(job=job, fence=1, games=1, wins=1),
        ]

    assert [refused(body, cluster) for body in bodies(mine)] == [""] * 5
    assert {refused(body, cluster) for job in (other, "none") for body in bodies(job)} == {"not_allowed"}


@pytest.mark.parametrize(
    "body",
    [
        HaltAll(by="w", reason="r"),
        TakeRole(role=LEADER, node="w", session=1, lease_s=60.0),
        SetVoters(voters=("w",)),
        Drain(node="w"),
        Assign(job="j", node="w", session=1),
        Cancel(job="j", reason="r"),
    ],
)
def test_what_is_decided_for_all_is_not_for_a_worker(body: Body):
    assert refused(body) == "not_allowed"
    assert type(body) not in RIGHTS


def test_a_node_speaks_under_its_own_name_and_in_no_epoch():
    body = Leave(node="w")
    assert refused(body, client="o/1/X") == "not_allowed"
    assert refused(body, client="w") == "not_allowed"
    assert refused(body, client="ww/1/X") == "not_allowed"
    assert refused(body, epoch=3) == "not_allowed"


def test_a_command_far_from_the_voters_clock_is_refused_with_the_machines_time():
    for at in (NOW - 60.5, NOW + 60.5):
        assert refused(Leave(node="w"), at=at) == "clock_off"
    assert refused(Leave(node="w"), at=NOW + 59.5) == ""
    found = refusal_of(
        Command(client="w/1/X", sequence=1, at=1e10, body=Leave(node="w")),
        "w",
        Commanded().state,
        clock=NOW,
        wall=NOW + 5,
    )
    assert found is not None
    assert found.details == {"server_time": NOW + 5}


def test_a_command_whose_answer_was_lost_may_be_asked_again_whatever_has_happened_since():
    cluster, mine, _ = working()
    body = Release(job=mine, fence=cluster.job(mine).fence, reason="r")
    cluster.ask(body, client="w/1/X")
    assert refused(body, cluster) == ""
    assert refused(body, cluster, client="w/1/Y") == "not_allowed"
