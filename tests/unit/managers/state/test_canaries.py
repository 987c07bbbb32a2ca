"""Canaries and ratings: what is seen of a champion, and what is held against it."""

import pytest

from managers.state import commands as asked
from managers.state.learners import JobGames
from managers.state.tasks import CanaryBlocks, CanaryOutcome
from tests.commanded import (
    GAME,
    OTHER_GAME,
    START,
    Commanded,
    canary,
    canary_outcome,
    digest,
    gauntlet_outcome,
    promotion,
    rating,
    training,
)

A, B = map(digest, range(10, 12))


@pytest.fixture
def cluster() -> Commanded:
    return Commanded()


# ---- canaries ----


def test_only_the_champion_is_watched(cluster: Commanded):
    assert "only the champion" in cluster.refused(asked.Enqueue(task=canary(A), priority=1))
    cluster.crowned(A)
    cluster.judged(B)
    assert "only the champion" in cluster.refused(asked.Enqueue(task=canary(B), priority=1))


def test_canary_blocks_bear_the_time_and_count_for_the_champion_that_played_them(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.queued(canary(A))
    fence = cluster.leased(job)
    cluster.at += 30
    cluster.do(asked.Complete(job=job, fence=fence, outcome=canary_outcome()))
    (seen,) = cluster.learner().seen
    assert (seen.at, seen.wins, seen.opponent) == (START + 30, (2, 1, 0), digest(0xABC))
    job = cluster.queued(canary(A))
    fence = cluster.leased(job)
    cluster.sealed(B)
    cluster.do(asked.Complete(job=job, fence=fence, outcome=canary_outcome()))
    assert cluster.learner().seen == ()


def test_the_games_of_a_canary_count_as_played_or_by_each_failed_attempt_as_failed(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.queued(canary(A))
    for _ in range(2):
        cluster.at += 10
        cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="it does not load", retry_after_s=0))
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome()))
    assert cluster.learner().job_games == (
        JobGames(at=START + 10, games=8, failed=8),
        JobGames(at=START + 20, games=8, failed=8),
        JobGames(at=START + 20, games=8, failed=0),
    )


def test_games_against_each_opponent_of_a_canary_are_counted(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.queued(canary(A).model_copy(update={"opponents": ("heuristic", B)}))
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="", retry_after_s=None))
    assert [(it.games, it.failed) for it in cluster.learner().job_games] == [(16, 16)]


def test_more_wins_than_a_block_has_games_are_refused(cluster: Commanded):
    """What stands in the state is judged again and again: one such block would end every look at the champion."""
    cluster.crowned(A)
    job = cluster.queued(canary(A))
    outcome = CanaryOutcome(blocks=(CanaryBlocks(opponent=digest(0xABC), wins=(2, 3), match="c" * 16),))
    body = asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome)
    assert "more than 2 games of a block" in cluster.refused(body)


def test_a_row_that_does_not_fit_the_number_of_players_is_no_baseline(cluster: Commanded):
    for net, blocks_of in ((A, GAME), (B, OTHER_GAME)):
        job = cluster.gauntlet(net, OTHER_GAME)
        outcome = gauntlet_outcome(game=blocks_of)
        cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome))
        cluster.do(promotion(net, expected=cluster.learner(OTHER_GAME).champion, game=OTHER_GAME))
        held = [it.blocks for it in cluster.learner(OTHER_GAME).baselines]
        assert held == ([] if blocks_of == GAME else [(2, 6, 0, 12)])


@pytest.mark.parametrize("failed", [False, True])
def test_the_games_of_a_canary_count_for_the_champion_that_played_them(cluster: Commanded, failed):
    cluster.crowned(A)
    job = cluster.queued(canary(A))
    fence = cluster.leased(job)
    cluster.sealed(B)
    body = (
        asked.Fail(job=job, fence=fence, reason="")
        if failed
        else asked.Complete(job=job, fence=fence, outcome=canary_outcome())
    )
    cluster.do(body)
    assert cluster.learner().job_games == ()


def test_only_a_failed_attempt_of_a_canary_is_held_against_its_champion(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.queued(canary(A))
    cluster.do(asked.Release(job=job, fence=cluster.leased(job), reason="the node stops"))
    fence = cluster.leased(job)
    cluster.do(asked.Expire(node="n1", session=1))
    assert "assigned to nobody" in cluster.refused(asked.Fail(job=job, fence=fence, reason="too late"))
    cluster.do(asked.Cancel(job=job, reason=""))
    other = cluster.queued(training())
    cluster.do(asked.Fail(job=other, fence=cluster.leased(other), reason="no memory"))
    assert cluster.learner().job_games == ()


# ---- ratings ----


def test_the_latest_ratings_stand_until_there_are_newer_ones(cluster: Commanded):
    job = cluster.gauntlet(A)
    fence = cluster.leased(job)
    cluster.do(asked.Complete(job=job, fence=fence, outcome=gauntlet_outcome(rated=A)))
    assert (cluster.learner().ratings, cluster.learner().rated_at) == ((rating(A),), START)
    cluster.at += 10
    cluster.do(promotion(A, expected=None))
    job = cluster.queued(canary(A))
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome()))
    assert cluster.learner().rated_at == START, "a canary without ratings says nothing"
    job = cluster.queued(canary(A))
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome(rated=B)))
    assert (cluster.learner().ratings, cluster.learner().rated_at) == ((rating(B),), START + 10)
