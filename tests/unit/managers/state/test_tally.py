"""Counts of what ever happened: each thing once, whatever is forgotten later."""

from managers.state.commands import Cancel, Expire, Fail
from managers.state.jobs import LOSSES_MAX
from managers.state.learners import Learner
from tests.loop_states import GAME, NODE, Loop


def tally(loop: Loop) -> dict[str, int]:
    return dict(loop.state.learner(GAME).tally)


def test_nothing_is_counted_where_nothing_happened():
    assert Learner(game=GAME).tally == {}
    loop = Loop()
    loop.count(10, 100)
    loop.selfplay()
    assert tally(loop) == {}


def test_trainings_verdicts_promotions_and_rollbacks_are_counted_once_each():
    loop = Loop()
    loop.crown(1)
    loop.crown(2)
    loop.judge(loop.train(3), 3, "failed")
    loop.judge(loop.train(4), 4, "undecided")
    loop.roll_back(2, to=1)
    assert tally(loop) == {
        "training.succeeded": 4,
        "verdict.passed": 2,
        "verdict.failed": 1,
        "verdict.undecided": 1,
        "promotion.gate": 2,
        "rollback.auto_elo": 1,
    }


def test_a_training_that_is_tried_again_has_not_ended():
    loop = Loop()
    job = loop.queue_training()
    loop.do(Fail(job=job, fence=loop.begin(job), reason="out of memory"))
    assert tally(loop) == {}
    for _ in range(2):
        fence = loop.begin(job, after_s=100)
        loop.do(Fail(job=job, fence=fence, reason="out of memory"))
    assert tally(loop) == {"training.failed": 1}


def test_a_training_that_loses_its_node_is_lost_when_it_is_given_up():
    loop = Loop()
    job = loop.queue_training()
    for _ in range(LOSSES_MAX):
        loop.begin(job)
        loop.do(Expire(node=NODE, session=1))
    assert tally(loop) == {}
    loop.begin(job)
    loop.do(Expire(node=NODE, session=1))
    assert tally(loop) == {"training.lost": 1}


def test_a_cancelled_training_is_counted_as_such():
    loop = Loop()
    loop.do(Cancel(job=loop.queue_training(), reason="a person said so"))
    assert tally(loop) == {"training.cancelled": 1}


def test_a_reign_remembers_the_rating_it_began_with():
    loop = Loop()
    loop.crown(1, elo=1410.0)
    loop.judge(loop.train(2), 2, "failed", elo=1300.0)
    reign = loop.state.learner(GAME).reign
    assert reign is not None
    assert reign.elo == 1410.0
