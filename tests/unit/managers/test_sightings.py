"""What the leader last heard of each node, and who gets no jobs for it."""

import pytest

from managers.cluster_rows import node_rows
from managers.sightings import NodeReport, RunningJob, Sightings
from managers.state.commands import Join
from managers.status_records import NodeResources
from managers.versions import PRESENT
from tests.commanded import Commanded
from tests.unit.managers.splitting import Splitting, ahead

NOW = 100.0
MACHINE = NodeResources(
    cpu_percent=5.0, memory_free_bytes=1, memory_bytes=2, disk_free_bytes=3, disk_bytes=4, gpus=0, unfit=""
)


def report(
    session: int = 1, *, protocol: int = PRESENT.protocol, rules: str = PRESENT.rules, unfit: str = ""
) -> NodeReport:
    versions = PRESENT.model_copy(update={"protocol": protocol, "rules": rules})
    return NodeReport(session=session, versions=versions, resources=MACHINE.model_copy(update={"unfit": unfit}))


def members(*joins: Join) -> Commanded:
    cluster = Commanded()
    for join in joins:
        cluster.do(join)
    return cluster


def test_the_latest_report_of_the_latest_session_counts():
    seen = Sightings()
    assert seen.heard("a", report(2, unfit="x"), NOW)
    assert seen.heard("a", report(2), NOW + 1)
    assert not seen.heard("a", report(1, unfit="old"), NOW + 2)
    assert (seen.latest["a"].at, seen.latest["a"].report) == (NOW + 1, report(2))


def test_members_that_left_are_forgotten_and_the_number_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("managers.sightings.MEMBERS_MAX", 2)
    seen = Sightings()
    assert seen.heard("a", report(), NOW)
    assert seen.heard("b", report(), NOW)
    assert not seen.heard("c", report(), NOW)
    seen.keep(["b"])
    assert list(seen.latest) == ["b"]
    assert seen.heard("c", report(), NOW)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (report(), ""),
        (report(protocol=0), "speaks protocol 0"),
        (report(rules="f" * 64), "plays by other rules (ffffffffffff"),
        (report(unfit="disk: 1 GB are free"), "disk: 1 GB are free"),
    ],
)
def test_older_protocols_other_rules_and_short_machines_get_no_jobs(told: NodeReport, why: str):
    cluster, seen = members(Join(node="a", session=1, cores=1)), Sightings()
    seen.heard("a", told, NOW)
    found = seen.unfit(cluster.state)
    assert found.get("a", "").startswith(why)
    assert bool(found) == bool(why)


def test_before_a_report_of_this_session_the_record_speaks():
    cluster = members(
        Join(node="a", session=2, cores=1, protocol=PRESENT.protocol, rules="e" * 64),
        Join(node="b", session=1, cores=1),
    )
    seen = Sightings()
    seen.heard("a", report(1), NOW)
    assert list(seen.unfit(cluster.state)) == ["a"]


def test_rows_show_what_was_heard():
    cluster, seen = members(Join(node="a", session=1, cores=1), Join(node="me", session=1, cores=1)), Sightings()
    seen.heard("a", report(unfit="disk"), NOW)
    rows = {
        row.node_id: row for row in node_rows(cluster.state, "me", {}, PRESENT, seen.seen(cluster.state, NOW + 2.5))
    }
    assert (rows["a"].heard_ago_s, rows["a"].unfit, rows["a"].versions) == (2.5, "disk", PRESENT)
    assert rows["a"].resources == MACHINE.model_copy(update={"unfit": "disk"})
    assert (rows["me"].resources, rows["me"].versions) == (None, PRESENT)


def test_what_a_judge_will_need_is_known_while_it_has_the_gauntlet():
    cluster, seen = Splitting("b"), Sightings()
    job = cluster.gauntlet()

    def tells(node: str, fence: int) -> None:
        running = RunningJob(job=job.id, fence=fence, ahead=ahead(25))
        assert seen.heard(node, report().model_copy(update={"jobs": (running,)}), NOW)

    tells("b", job.fence)
    assert seen.ahead(cluster.state) == {}
    tells("a", job.fence - 1)
    assert seen.ahead(cluster.state) == {}
    tells("a", job.fence)
    assert seen.ahead(cluster.state) == {job.id: ahead(25)}
