"""Every candidate that counts gets its verdict."""

import pytest

from managers.feedback_loop_controller import FeedbackLoopController, newest_candidate
from managers.state.commands import AddNet, Cancel, HoldRollbacks, Judge, Promote
from managers.state.learners import NetStatus
from managers.state.tasks import GateForm
from tests.unit.managers.deciding import GAME, A, B, C, Cluster, settings_of

D = "d" * 64


def decide(cluster: Cluster, **promotion: bool) -> list[str]:
    """What the controller would do, as text: judge digest, cancel job."""
    decision = FeedbackLoopController(settings_of(promotion=promotion)).decide(cluster.state, cluster.now)
    told = []
    for body in decision.bodies:
        match body:
            case Judge():
                told.append(f"judge {body.candidate[0]}")
            case Cancel():
                told.append(f"cancel {body.job}: {body.reason}")
            case _:
                raise AssertionError(body)
    return told


def forced(cluster: Cluster, sha256: str) -> None:
    """A person brings a champion."""
    cluster.do(AddNet(game=GAME, sha256=sha256, size_bytes=1, version=1, parent=None))
    champion = cluster.learner().champion
    cluster.do(Promote(game=GAME, candidate=sha256, expected=champion, how="manual", reason="a person"))


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def test_what_is_in_order_is_left_alone(cluster: Cluster):
    assert decide(cluster) == []
    cluster.candidate(A, gate=GateForm())
    assert decide(cluster) == []
    cluster.leased(cluster.gauntlet().id)
    assert decide(cluster) == []


@pytest.mark.parametrize("verdict", ["failed", "undecided"])
def test_a_verdict_is_final(cluster: Cluster, verdict):
    cluster.candidate(A, gate=GateForm())
    cluster.judged(verdict)
    cluster.later(1e6)
    assert decide(cluster) == []


def test_a_candidate_whose_gauntlet_was_given_up_is_judged_again_after_a_pause(cluster: Cluster):
    cluster.candidate(A, gate=GateForm())
    cluster.failed(cluster.gauntlet().id, "no disk")
    decision = FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now)
    assert [(wait.what, wait.why) for wait in decision.waits] == [("gauntlet", "failed (no disk); tried again in 60 s")]
    assert decision.bodies == ()
    cluster.later(60)
    assert decide(cluster) == ["judge a"]
    cluster.follow(FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now))
    assert cluster.learner().nets[A].status is NetStatus.CANDIDATE
    assert decide(cluster) == []


def test_the_reason_for_another_gauntlet_is_told(cluster: Cluster):
    cluster.candidate(A)
    decision = FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now)
    assert [wait.why for wait in decision.waits] == ["judged again: it has no verdict"]
    cluster.candidate(B, gate=GateForm())
    cluster.judged()
    forced(cluster, C)
    decision = FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now)
    assert [wait.why for wait in decision.waits] == ["judged again: the champion has changed"]


def test_without_gauntlets_nobody_is_judged(cluster: Cluster):
    cluster.candidate(A)
    assert decide(cluster, skip_gauntlet=True) == []


def test_one_that_passed_against_a_former_champion_is_judged_again(cluster: Cluster):
    cluster.crowned(A)
    cluster.candidate(B, gate=GateForm())
    cluster.judged()
    assert decide(cluster) == [], "it may be promoted"
    forced(cluster, C)
    assert decide(cluster) == ["judge b"]


def test_only_the_newest_candidate_is_judged_again(cluster: Cluster):
    cluster.candidate(A)
    cluster.candidate(B)
    assert decide(cluster) == ["judge b"]


def test_a_net_that_a_person_brought_is_not_judged(cluster: Cluster):
    cluster.do(AddNet(game=GAME, sha256=A, size_bytes=1, version=1, parent=None))
    assert newest_candidate(cluster.learner()) is None
    assert decide(cluster) == []


def test_a_gauntlet_against_a_former_champion_ends(cluster: Cluster):
    cluster.crowned(A)
    cluster.candidate(B, gate=GateForm())
    job = cluster.gauntlet()
    cluster.leased(job.id)
    forced(cluster, C)
    assert decide(cluster)[0] == f"cancel {job.id}: the champion it would meet is not champion any more"
    cluster.follow(FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now))
    assert decide(cluster) == ["judge b"]


def test_a_gauntlet_that_waits_ends_when_a_newer_candidate_is_there(cluster: Cluster):
    cluster.candidate(A, gate=GateForm())
    old = cluster.gauntlet().id
    cluster.candidate(B, gate=GateForm())
    assert decide(cluster) == [f"cancel {old}: a newer candidate waits"]


def test_a_gauntlet_that_runs_may_end_although_a_newer_candidate_is_there(cluster: Cluster):
    cluster.candidate(A, gate=GateForm())
    cluster.leased(cluster.gauntlet().id)
    cluster.candidate(B, gate=GateForm())
    assert decide(cluster) == []


def test_another_gauntlet_has_another_seed(cluster: Cluster):
    cluster.candidate(A)
    seeds = set()
    for reason in ("x", "y"):
        decision = FeedbackLoopController(settings_of()).decide(cluster.state, cluster.now)
        seeds |= {body.seed for body in decision.bodies if isinstance(body, Judge)}
        cluster.do(HoldRollbacks(game=GAME, reason=reason))
    assert len(seeds) == 2
