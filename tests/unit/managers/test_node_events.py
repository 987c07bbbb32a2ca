"""What a node tells its router: each thing once, none too often, and nothing that is wrong stops it."""

import logging
from collections.abc import Callable

import pytest

from managers.model_installer import Finding
from managers.node_events import PROGRESS_S, NodeEvents
from managers.ports import Report
from managers.resource_watch import Resources
from managers.runtime.event import DataEventType
from managers.runtime.event_router import EventRouter
from managers.runtime.service import ServiceStatus, State
from managers.runtime.service_events import ServiceEvents
from managers.state import commands as asked
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.tasks import GateForm, GauntletTask, Task
from ringrift_core.errors import RulesError
from tests.commanded import (
    GAME,
    Commanded,
    canary,
    digest,
    gauntlet_outcome,
    selfplay,
    training,
    training_outcome,
)
from tests.unit.managers.told import everything, short

A, B = digest(10), digest(11)
RESOURCES = Resources(
    disk_free_bytes=5, disk_bytes=100, memory_free_bytes=7, memory_bytes=200, cpu_percent=1.0, disk_floor_bytes=10,
    memory_floor_bytes=20, unfit="disk: too little",
)  # fmt: skip
TRAINING_STEP: Report = {"event": "progress", "step": 40, "steps": 100, "total": 2.5, "samples_per_s": 9.0}
GAUNTLET_ROW: Report = {"event": "progress", "opponent": "champion", "games": 40, "wins": 30, "llr": 1.5}


class Node:
    """A node's events, its router and its clock."""

    def __init__(self, router: EventRouter | None = None) -> None:
        self.now = 100.0
        self.router = router or EventRouter("n1", "life", lambda: 5.0)
        self.events = NodeEvents(self.router, "n1", lambda: self.now)

    def told(self) -> list[tuple[str, dict[str, object]]]:
        return [(event.type.value, short(event)) for event in self.router.get_recent_events()]

    def types(self) -> set[DataEventType]:
        return {event.type for event in self.router.get_recent_events()}


def job(task: Task, name: str = "j1") -> Job:
    return Job(id=name, task=task, priority=1, cores=1, attempts_max=1, queued_at=0.0)


def gauntlet() -> GauntletTask:
    return GauntletTask(game=GAME, candidate=A, champion=B, candidate_number=1, seed=1, form=GateForm())


# ---- transitions ----


def test_what_changed_is_published_once_however_often_it_is_told():
    node, cluster = Node(), Commanded()
    job_name = cluster.queued(training())
    fence, before = cluster.leased(job_name), cluster.state
    result = cluster.do(asked.Complete(job=job_name, fence=fence, outcome=training_outcome(A)))
    for _ in range(2):
        node.events.changed(before, cluster.state, result)
    assert [name for name, _ in node.told()] == ["WORK_COMPLETED", "TRAINING_COMPLETED", "CURRENT_NET_CHANGED"]
    assert [event.seq for event in node.router.since(0)] == [result.seq] * 3


def test_a_transition_that_cannot_be_told_is_logged_and_left_out(caplog: pytest.LogCaptureFixture):
    node, cluster = Node(), Commanded()
    outcome = gauntlet_outcome()
    impossible = outcome.rows[0].model_copy(update={"wins": 41})  # of 40
    name = cluster.gauntlet(A)
    fence, before = cluster.leased(name), cluster.state
    outcome = outcome.model_copy(update={"rows": (impossible,)})
    result = cluster.do(asked.Complete(job=name, fence=fence, outcome=outcome))
    with caplog.at_level(logging.ERROR):
        node.events.changed(before, cluster.state, result)
    assert node.told() == []
    assert f"transition {result.seq} cannot be told" in caplog.text
    before = cluster.state
    result = cluster.do(asked.HaltAll(by="me", reason="smoke"))
    node.events.changed(before, cluster.state, result)
    assert node.types() == {DataEventType.LOOP_HALTED}, "it goes on"


def test_a_router_that_takes_nothing_stops_nobody(caplog: pytest.LogCaptureFixture):
    class Full(EventRouter):
        def publish(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise RulesError("a handler publishes too much")

    node, cluster = Node(Full("n1", "life", lambda: 5.0)), Commanded()
    result = cluster.do(asked.HaltAll(by="me", reason="smoke"))
    with caplog.at_level(logging.ERROR):
        node.events.changed(ClusterState(), cluster.state, result)
        node.events.reported(job(training()), TRAINING_STEP)
        node.events.rebalanced({GAME: 1.0}, {})
    assert len(caplog.records) == 3


# ---- reports ----


def test_progress_of_a_training():
    node = Node()
    node.events.reported(job(training()), TRAINING_STEP)
    payload = {"config_key": GAME, "job_id": "j1", "node_id": "n1", "step": 40, "steps": 100, "loss": 2.5}
    assert node.told() == [("TRAINING_PROGRESS", payload)]


def test_progress_of_a_gauntlet():
    node = Node()
    node.events.reported(job(gauntlet()), GAUNTLET_ROW)
    about = {"config_key": GAME, "job_id": "j1", "model_sha256": A, "opponent": "champion"}
    assert node.told() == [("EVALUATION_PROGRESS", {**about, "games_played": 40, "win_rate": 0.75})]


@pytest.mark.parametrize("task", [selfplay(), canary(A)])
def test_progress_of_other_jobs_is_no_event(task: Task):
    node = Node()
    node.events.reported(job(task), GAUNTLET_ROW)
    assert node.told() == []


@pytest.mark.parametrize("report", [{"event": "saved"}, {"event": "done"}, {}, {"event": None}])
def test_only_progress_is_told(report: Report):
    node = Node()
    node.events.reported(job(training()), report)
    assert node.told() == []


def test_progress_of_each_job_is_told_every_few_seconds():
    node = Node()
    for _ in range(10):
        node.events.reported(job(training()), TRAINING_STEP)
        node.events.reported(job(training(), "j2"), TRAINING_STEP)
        node.now += PROGRESS_S / 5
    assert [payload["job_id"] for _, payload in node.told()] == ["j1", "j2"] * 2


def test_what_was_told_of_old_jobs_is_forgotten():
    node = Node()
    for number in range(50):
        node.events.reported(job(training(), f"j{number}"), TRAINING_STEP)
        node.now += PROGRESS_S / 2
    assert len(node.events._told) <= 2


@pytest.mark.parametrize(("games", "wins"), [(0, 0), (None, 3), (40, "3"), (40, -1), (29, 30), (29, 10**400)])
def test_a_share_that_makes_no_sense_is_left_out(games: object, wins: object):
    node = Node()
    node.events.reported(job(gauntlet()), {**GAUNTLET_ROW, "games": games, "wins": wins})
    ((_, payload),) = node.told()
    assert (payload.get("games_played"), "win_rate" in payload) == (games, False)


@pytest.mark.parametrize(
    ("task", "report"),
    [
        (training(), {"event": "progress", "step": "many"}),
        (training(), {"event": "progress", "step": -1}),
        (training(), {"event": "progress", "total": float("nan")}),
        (gauntlet(), {"event": "progress", "opponent": ""}),
        (gauntlet(), {"event": "progress", "games": [1]}),
    ],
)
def test_a_report_that_is_none_is_logged_and_left_out(task: Task, report: Report, caplog: pytest.LogCaptureFixture):
    node = Node()
    with caplog.at_level(logging.ERROR):
        node.events.reported(job(task), report)
    assert node.told() == []
    (record,) = caplog.records
    assert "PROGRESS cannot be told" in record.getMessage()


# ---- the node ----


def test_a_disk_that_is_full():
    node = Node()
    node.events.resources(RESOURCES, "/data")
    payload = {"node_id": "n1", "path": "/data", "free_bytes": 5, "threshold_bytes": 10}
    assert node.told() == [("DISK_SPACE_LOW", payload)]


def test_too_little_memory():
    node = Node()
    found = Resources(
        **{name: getattr(RESOURCES, name) for name in Resources.__slots__ if name != "unfit"}, unfit="memory: 7 bytes"
    )
    node.events.resources(found, "/data")
    assert node.told() == [("MEMORY_PRESSURE", {"node_id": "n1", "available_bytes": 7, "threshold_bytes": 20})]


@pytest.mark.parametrize("found", [None, B])
def test_a_damaged_canonical_file(found: str | None):
    node = Node()
    node.events.damaged(Finding(GAME, "damaged", "it is strange", found), A)
    payload = {"config_key": GAME, "node_id": "n1", "path": f"models/canonical_{GAME}.pth", "expected_sha256": A}
    assert node.told() == [("CANONICAL_DAMAGED", payload if found is None else {**payload, "found_sha256": B})]


def test_weights_are_told_with_those_before():
    node = Node()
    node.events.rebalanced({GAME: 1.0}, {})
    node.events.rebalanced({GAME: 1.5}, {GAME: 1.0})
    assert node.told() == [
        ("CURRICULUM_REBALANCED", {"weights": {GAME: 1.0}}),
        ("CURRICULUM_REBALANCED", {"weights": {GAME: 1.5}, "previous_weights": {GAME: 1.0}}),
    ]


def test_events_of_a_node_bear_its_name_and_the_routers_clock():
    node = Node()
    node.events.resources(RESOURCES, "/data")
    (event,) = node.router.get_recent_events()
    assert (event.source, event.at, event.seq, event.event_id) == ("n1", 5.0, None, "n1/life/1")


# ---- who tells what ----


def of_transitions() -> set[DataEventType]:
    return {event.type for event in everything().every}


def of_a_node() -> set[DataEventType]:
    node = Node()
    node.events.reported(job(training()), TRAINING_STEP)
    node.events.reported(job(gauntlet(), "j2"), GAUNTLET_ROW)
    node.events.resources(RESOURCES, "/data")
    node.events.resources(Resources(0, 1, 0, 1, 0.0, 0, 1, "memory: none"), "/data")
    node.events.damaged(Finding(GAME, "damaged", "gone"), A)
    node.events.rebalanced({GAME: 1.0}, {})
    node.events.missed(3, 9)
    return node.types()


def of_services() -> set[DataEventType]:
    node = Node()
    tell = ServiceEvents(node.router, "n1")
    for state in (State.RUNNING, State.BACKOFF, State.STOPPED):
        tell(ServiceStatus("REAPER", state, False, 0, None, 0.0, None, False, ()))
    return node.types()


def test_every_event_has_one_emitter():
    sources: list[Callable[[], set[DataEventType]]] = [of_transitions, of_a_node, of_services]
    found = [name for source in sources for name in source()]
    assert sorted(found) == sorted(DataEventType)


def test_the_events_of_every_transition_are_published():
    """The whole history through a router: none is refused, none is taken for another one."""
    cluster = everything()
    node = Node()
    for event in cluster.every:
        node.router.publish(event)
    assert [it.event_id for it in node.router.get_recent_events(1000)] == [it.event_id for it in cluster.every]
