"""What the loop's objects tell each other."""

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

FULL = Resources(0, 1, 1, 1, 0.0, 1, 0, unfit="disk: 0.0 GB are free")


def test_silent_nodes_those_not_heard_yet_and_a_node_without_room_get_no_jobs_and_this_one_is_never_silent(
    tmp_path: Path,
):
    settings, cluster = settings_of(node={"node_id": "a"}, jobs={"lease_seconds": 30}), Cluster()
    router = EventRouter("a", "1", lambda: cluster.now)
    consensus = LocalConsensus(StateMachine(), None)
    pipeline = Pipeline(
        settings,
        consensus,
        FakeLauncher(),
        NodeFolder(tmp_path),
        lambda: cluster.now,
        own=OwnRecord(session=1),
        router=router,
    )
    cluster.node("a")
    cluster.node("b")
    pipeline._reaper.decide(cluster.state, 1000.0)
    assert pipeline.unfit(cluster.state, 1030.0) == {"b": "it has not said yet how it is"}
    pipeline.sightings.heard("b", NodeReport(session=1, versions=PRESENT), 1000.0)
    assert pipeline.unfit(cluster.state, 1030.0) == {}
    assert pipeline.unfit(cluster.state, 1031.0) == {"b": "silent for 31 s"}
    pipeline.standing.resources = FULL
    assert pipeline.unfit(cluster.state, 1031.0) == {"a": FULL.unfit, "b": "silent for 31 s"}
