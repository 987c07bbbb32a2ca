"""What the loop's objects tell each other."""

import asyncio
from pathlib import Path

from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import Pipeline
from managers.resource_watch import Resources
from managers.runtime.event_router import EventRouter
from managers.sightings import NodeReport
from managers.state import LocalConsensus
from managers.state.machine import StateMachine
from managers.versions import PRESENT
from tests.unit.managers.deciding import Cluster, settings_of
from tests.unit.managers.test_job_manager import FakeLauncher
from tests.virtual_time import run_virtual

FULL = Resources(0, 1, 1, 1, 0.0, 1, 0, unfit="disk: 0.0 GB are free")


def pipeline_of(cluster: Cluster, folder: Path) -> Pipeline:
    return Pipeline(
        settings_of(node={"node_id": "a"}, jobs={"lease_seconds": 30}),
        LocalConsensus(StateMachine(), None),
        FakeLauncher(),
        NodeFolder(folder),
        lambda: cluster.now,
        own=OwnRecord(session=1),
        router=EventRouter("a", "1", lambda: cluster.now),
    )


def test_silent_nodes_those_not_heard_yet_and_a_node_without_room_get_no_jobs_and_this_one_is_never_silent(
    tmp_path: Path,
):
    cluster = Cluster()
    pipeline = pipeline_of(cluster, tmp_path)
    cluster.node("a")
    cluster.node("b")
    pipeline._reaper.decide(cluster.state, 1000.0)
    assert pipeline.unfit(cluster.state, 1030.0) == {"b": "it has not said yet how it is"}
    pipeline.sightings.heard("b", NodeReport(session=1, versions=PRESENT), 1000.0)
    assert pipeline.unfit(cluster.state, 1030.0) == {}
    assert pipeline.unfit(cluster.state, 1031.0) == {"b": "silent for 31 s"}
    pipeline.standing.resources = FULL
    assert pipeline.unfit(cluster.state, 1031.0) == {"a": FULL.unfit, "b": "silent for 31 s"}


def test_controllers_look_at_once_when_an_election_is_won_though_the_state_is_the_same(tmp_path: Path):
    pipeline, looks = pipeline_of(Cluster(), tmp_path), list[float]()

    async def live() -> None:
        time = asyncio.get_running_loop().time

        async def look() -> None:
            looks.append(time())

        looking = asyncio.create_task(pipeline._every(look, lambda: None))
        await asyncio.sleep(0.4)
        pipeline.wake()
        await asyncio.sleep(0.1)
        looking.cancel()

    run_virtual(live())
    assert [round(it, 3) for it in looks] == [0.0, 0.4]


def test_a_state_that_takes_the_place_of_another_is_told_and_wakes_who_decides(tmp_path: Path):
    cluster = Cluster()
    pipeline = pipeline_of(cluster, tmp_path)
    wake = asyncio.Event()
    pipeline._wakes.append(wake)
    before = cluster.state
    cluster.node("a")
    cluster.node("b")
    pipeline._jumped(4, before, before)
    assert (wake.is_set(), pipeline.journal.latest(1)) == (True, ())
    pipeline._jumped(4, before, cluster.state)
    (entry,) = pipeline.journal.latest(1)
    assert entry.event.payload == {"node_id": "a", "first_seq": before.seq + 1, "last_seq": cluster.state.seq}


def test_a_member_that_was_never_heard_is_not_made_a_voter(tmp_path: Path):
    cluster = Cluster()
    pipeline = pipeline_of(cluster, tmp_path)
    for name in "abcd":
        cluster.node(name)
    pipeline.sightings.heard("b", NodeReport(session=1, versions=PRESENT), 1.0)
    assert pipeline._unheard(cluster.state) == {"c": 0.0, "d": 0.0}
