"""What nodes know of each other where they do not lead, and what the leader tells them."""

from pathlib import Path

from managers.job_progress import JobWord, word_of
from managers.leader_word import Hearsay, LeaderWord
from managers.sightings import NodeReport, RunningJob
from managers.state.commands import Join, TakeRole
from managers.state.members import LEADER
from managers.versions import PRESENT
from p2p.membership.heartbeat import ANSWER_BYTES_MAX, HeartbeatAnswer
from tests.unit.managers.deciding import Cluster, selfplay
from tests.unit.managers.test_pipeline import pipeline_of

LEASE_S = 30.0


def led_by(node: str) -> Cluster:
    cluster = Cluster()
    for name in "abc":
        cluster.do(Join(node=name, session=1, cores=1))
    cluster.do(TakeRole(role=LEADER, node=node, session=1, lease_s=60.0, term=1))
    return cluster


def test_silence_grows_while_the_leader_says_nothing_and_ends_with_its_next_word():
    cluster, told = led_by("b"), Hearsay(LEASE_S)
    told.heard("b", LeaderWord(silent_s={"c": 31.0, "gone": 50.0}), 100.0)
    assert told.silent_s(cluster.state, 105.0) == {"c": 36.0}
    told.heard("b", LeaderWord(), 106.0)
    assert told.silent_s(cluster.state, 107.0) == {}


def test_a_leader_that_does_not_answer_for_a_lease_is_silent_and_a_new_one_has_a_lease_to_answer_in():
    cluster, told = led_by("b"), Hearsay(LEASE_S)
    told.heard("b", LeaderWord(silent_s={"c": 31.0}), 100.0)
    assert told.silent_s(cluster.state, 130.0) == {"c": 61.0}
    assert told.silent_s(cluster.state, 131.0) == {"c": 62.0, "b": 31.0}
    cluster.do(TakeRole(role=LEADER, node="c", session=1, lease_s=60.0, term=2))
    assert told.silent_s(cluster.state, 140.0) == {}
    assert told.silent_s(cluster.state, 171.0) == {"c": 31.0}
    told.heard("c", None, 172.0)
    assert told.silent_s(cluster.state, 173.0) == {}


def test_a_node_that_does_not_lead_shows_what_the_leader_says(tmp_path: Path):
    cluster = led_by("b")
    pipeline = pipeline_of(cluster, tmp_path)
    word = LeaderWord(silent_s={"c": 40.0, "a": 99.0}, unfit={"c": "disk"}, jobs={"job": JobWord(progress="3 games")})
    pipeline.view.hearsay.heard("b", word, 100.0)
    seen = pipeline.view.seen(cluster.state, 102.0)
    assert (seen.silent_s, seen.unfit, seen.heard_ago_s("c"), seen.heard_ago_s("b")) == (
        {"c": 42.0}, {"c": "disk"}, 42.0, None,
    )  # fmt: skip
    assert pipeline.view.silent(cluster.state, 102.0) == {"c": "silent for 42 s"}
    assert pipeline.view.words(cluster.state) == {"job": JobWord(progress="3 games")}


def test_the_leader_tells_of_silent_and_unfit_nodes_and_of_the_jobs_that_nodes_have(tmp_path: Path):
    cluster = led_by("a")
    pipeline = pipeline_of(cluster, tmp_path)
    pipeline.view._leads = lambda: True
    pipeline._reaper.decide(cluster.state, 1000.0)
    word = JobWord(progress="12 games", silent_s=2.0)
    name = cluster.queued(selfplay())
    fence = cluster.leased(name, "b")
    jobs = (RunningJob(job=name, fence=fence, word=word), RunningJob(job="another", fence=1, word=word))
    old = PRESENT.model_copy(update={"rules": "f" * 64})
    pipeline.sightings.heard("b", NodeReport(session=1, versions=old, jobs=jobs), 1020.0)
    pipeline._reaper.heard("b", 1, 1020.0)
    told = pipeline.view.word(cluster.state, 1040.0)
    assert told.silent_s == {"c": 40.0}
    assert told.unfit["b"].startswith("plays by other rules")
    assert told.jobs == {name: word}


def test_a_leader_that_leads_no_more_goes_on_with_what_it_has_heard_itself(tmp_path: Path):
    cluster, leads = led_by("a"), [False]
    pipeline = pipeline_of(cluster, tmp_path)
    pipeline.view._leads = lambda: leads[0]
    pipeline.view.hearsay.heard("b", LeaderWord(silent_s={"c": 40.0}, unfit={"c": "disk"}), 900.0)
    leads[0] = True
    pipeline._reaper.decide(cluster.state, 1000.0)
    pipeline._reaper.heard("c", 1, 1030.0)
    assert pipeline.view.silent_s(cluster.state, 1035.0) == {"b": 35.0}
    leads[0] = False
    assert pipeline.view.silent_s(cluster.state, 1036.0) == {"b": 36.0}
    assert pipeline.view.seen(cluster.state, 1036.0).unfit == {}


def test_the_longest_word_fits_an_answer():
    long = "\u20ac" * 300
    word = LeaderWord(
        silent_s={f"{number:03}".ljust(200, "n"): 1.5 for number in range(256)},
        unfit={f"{number:03}".ljust(200, "n"): long for number in range(256)},
        jobs={f"{number:03}".ljust(200, "n"): JobWord(progress=long[:200], silent_s=1.5) for number in range(100)},
    )
    content = HeartbeatAnswer(epoch=1, wall=1.0, known=True, word=word).model_dump_json().encode()
    assert len(content) < ANSWER_BYTES_MAX


def test_people_are_told_of_a_silence_before_the_job_is_ended():
    assert word_of("selfplay", {"games": 3}, 10.0, 60.0) == JobWord(progress="3 games", silent_s=10.0)
    told = word_of("selfplay", {"games": 3}, 31.0, 60.0)
    assert told.progress == "3 games; no sign of work for 31 s, ended after 60 s of it"
    assert word_of("training", {}, None, 60.0) == JobWord()
