"""Which chunks of a gauntlet other nodes play, and when they stop."""

import pytest

from managers.gauntlet_parts import AHEAD_MAX, AheadChunk, ahead_of, played_by
from managers.gauntlet_splitter import GauntletSplitter
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.commands import Cancel, Complete, Drain, Enqueue, Expire, Fail, HaltAll, Release
from managers.state.jobs import JobStatus
from managers.state.tasks import PartTask
from tests.unit.managers.deciding import GAME, settings_of, training, verdict_of
from tests.unit.managers.splitting import PLAYED, Splitting, ahead


def told(cluster: Splitting, chunks: tuple[AheadChunk, ...] | None, unfit: str = "", split_max: int = 8) -> list[str]:
    """What the splitter would do: +first block of a part that is queued, -job that ends; carried out."""
    settings = settings_of(GAME, evaluation={"split_max": split_max})
    job = cluster.gauntlet().id if cluster.state.jobs.of(GAME, "gauntlet") else ""
    known = {} if chunks is None else {job: chunks}
    splitter = GauntletSplitter(settings, SelfplayScheduler(settings))
    decision = splitter.decide(cluster.state, cluster.now, known, dict.fromkeys(unfit, "silent"))
    said = []
    for body in decision.bodies:
        match body:
            case Cancel():
                said.append(f"-{body.job}")
            case Enqueue(task=PartTask() as task):
                assert (body.priority, body.attempts_max, body.cores) == (80, 1, 1)
                said.append(f"+{task.first}")
            case _:
                raise AssertionError(body)
    cluster.follow(decision)
    return said


def test_each_other_node_gets_one_chunk_of_those_that_the_judge_will_need_next():
    cluster = Splitting("b", "c")
    assert told(cluster, ahead(25, 57, 89)) == ["+25", "+57"]
    assert told(cluster, ahead(25, 57, 89)) == []


def test_a_chunk_that_was_played_makes_room_for_the_next():
    cluster = Splitting("b")
    assert told(cluster, ahead(25, 57)) == ["+25"]
    cluster.done(next(iter(cluster.state.jobs.of(GAME, "part"))).id, PLAYED)
    assert told(cluster, ahead(25, 57)) == ["+57"]
    assert played_by(cluster.state, cluster.gauntlet()) == {"a": 1}


def test_nothing_is_split_without_a_word_of_the_judge_or_without_others():
    assert told(Splitting("b"), None) == []
    assert told(Splitting("b"), ()) == []
    assert told(Splitting(), ahead(25)) == []
    assert told(Splitting("b"), ahead(25), split_max=0) == []
    assert told(Splitting("b", "c"), ahead(25, 57), split_max=1) == ["+25"]


def test_nodes_that_cannot_play_now_are_not_counted():
    assert told(Splitting("b", "c"), ahead(25, 57), unfit="b") == ["+25"]
    cluster = Splitting("b", "c")
    cluster.do(Drain(node="b"))
    assert told(cluster, ahead(25, 57)) == ["+25"]
    busy = Splitting("b", "c")
    busy.leased(busy.queued(training()), "b")
    assert told(busy, ahead(25, 57)) == ["+25"]
    idle = Splitting("b")
    idle.member("c", cores=0)
    assert told(idle, ahead(25, 57)) == ["+25"]


def test_a_part_that_failed_or_was_lost_is_not_tried_again():
    cluster = Splitting("b")
    assert told(cluster, ahead(25, 57, 89)) == ["+25"]
    part = cluster.state.jobs.of(GAME, "part")[0].id
    cluster.do(Fail(job=part, fence=cluster.leased(part, "b"), reason="no"))
    assert cluster.job(part).status is JobStatus.FAILED
    cluster.later(100)
    assert told(cluster, ahead(25, 57, 89)) == ["+57"]
    part = cluster.state.jobs.of(GAME, "part")[0].id
    cluster.leased(part, "b")
    cluster.do(Expire(node="b", session=1))
    assert cluster.job(part).status is JobStatus.LOST
    cluster.later(1000)
    assert told(cluster, ahead(25, 57, 89)) == ["+89"]


def test_after_a_failure_parts_rest_as_other_jobs_do():
    cluster = Splitting("b")
    told(cluster, ahead(25, 57))
    cluster.failed(cluster.state.jobs.of(GAME, "part")[0].id)
    assert told(cluster, ahead(25, 57)) == []
    cluster.later(61)
    assert told(cluster, ahead(25, 57)) == ["+57"]


def test_a_part_that_the_judge_needs_no_more_ends():
    cluster = Splitting("b", "c")
    told(cluster, ahead(25, 57))
    waiting, running = (job.id for job in cluster.state.jobs.of(GAME, "part"))
    cluster.leased(running, "b")
    assert told(cluster, None) == [], "a leader who has not heard the judge ends nothing"
    assert told(cluster, ahead(89, row=1)) == [f"-{waiting}", f"-{running}", "+89"]


def test_the_parts_of_a_gauntlet_that_is_over_or_given_back_end():
    for end in ("over", "back"):
        cluster = Splitting("b")
        told(cluster, ahead(25))
        part, gauntlet = cluster.state.jobs.of(GAME, "part")[0].id, cluster.gauntlet().id
        if end == "over":
            outcome = verdict_of("failed", cluster.task.candidate)
            cluster.do(Complete(job=gauntlet, fence=cluster.fence, outcome=outcome))
        else:
            cluster.do(Release(job=gauntlet, fence=cluster.fence, reason="the node ends"))
        assert told(cluster, None) == [f"-{part}"]


def test_a_part_that_came_to_the_judge_itself_ends():
    cluster = Splitting("b")
    told(cluster, ahead(25))
    part = cluster.state.jobs.of(GAME, "part")[0].id
    cluster.leased(part, "a")
    assert told(cluster, ahead(25)) == [f"-{part}"]


def test_nothing_is_decided_while_all_is_halted():
    cluster = Splitting("b")
    cluster.do(HaltAll(by="me", reason="a look"))
    assert told(cluster, ahead(25)) == []


# ---- what a judge says ----


def test_a_report_says_which_chunks_come():
    report = {"event": "progress", "row": 2, "first": 0, "last": 25, "ahead": [[25, 57], [57, 89]]}
    assert ahead_of(report) == ahead(25, 57, row=2)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"row": 1, "ahead": "25"},
        {"row": 1, "ahead": [25]},
        {"row": 1, "ahead": [[25]]},
        {"row": "x", "ahead": [[25, 57]]},
        {"row": 1, "ahead": [[-1, 57]]},
        {"row": 1, "ahead": [[0, 1]] * (AHEAD_MAX + 1)},
    ],
)
def test_a_report_that_cannot_be_understood_says_nothing(report):
    assert ahead_of(report) == ()
