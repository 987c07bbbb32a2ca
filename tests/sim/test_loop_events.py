"""The loop with and without its events: they are for people, and nothing that must happen hangs on one."""

import logging

import pytest

from config.schema import Settings
from managers.node_events import NodeEvents
from managers.runtime.event import Event
from managers.runtime.event_router import EventRouter, Published, RouterSettings
from managers.runtime.subscriber import SubscriberSettings
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import HaltAll
from ringrift_core.errors import RulesError
from tests.sim.loop import Faults, Loop, Plan, Told, nobody

GAMES = ("hex8_2p", "square8_3p")
SETTINGS = Settings.model_validate(
    {
        "games": GAMES,
        "selfplay": {"bootstrap_games": 100},
        "training": {"trigger_threshold_games": 120, "bootstrap_steps": 30, "steps": 30},
        "jobs": {"hang_seconds": 120.0},
    }
)
SECONDS = 3600.0
HISTORY_MAX = 100_000  # events that the test looks at


class Dropping(EventRouter):
    """Loses every event."""

    def publish(self, event: object, *_: object) -> Published:
        """Nobody gets it."""
        assert isinstance(event, Event)
        return Published(event)


class Refusing(EventRouter):
    """Takes no event."""

    def publish(self, *_: object) -> Published:
        """As when a handler publishes too much."""
        raise RulesError("a handler publishes too much")


def router(kind: type[EventRouter] = EventRouter) -> EventRouter:
    """A router with one subscriber that never gets its turn, so that its short queue is full at once."""
    made = kind("a", "life", lambda: 0.0, RouterSettings(SubscriberSettings(queue_max=3), history_max=HISTORY_MAX))

    async def stuck(_event: Event) -> None:
        raise AssertionError("it has no turn")

    made.subscribe("*", stuck)
    return made


def telling(kind: type[EventRouter]) -> Told:
    return NodeEvents(router(kind), "a", lambda: 0.0).changed


def run(told: Told) -> tuple[bytes, list[tuple[float, str, int]]]:
    """Everything there is at the end of a loop, and everything that was asked on the way; with faults at first."""
    sim = Loop(Plan(5, SETTINGS, {"a": 4, "b": 3}, Faults(900.0, every_s=60.0), told=told))
    sim.run(SECONDS)
    return sim.machine.dump(sim.state), [(at, command.model_dump_json(), it.seq) for at, command, it in sim.history]


@pytest.fixture(scope="module")
def unheard() -> tuple[bytes, list[tuple[float, str, int]]]:
    """A loop of which nobody hears anything."""
    return run(nobody)


def test_a_loop_whose_events_are_told_to_somebody_who_never_looks_does_the_same(unheard):
    listening = router()
    assert run(NodeEvents(listening, "a", lambda: 0.0).changed) == unheard
    stats = listening.coordinator_stats()
    told = {"WORK_COMPLETED", "SELFPLAY_COMPLETE", "TRAINING_COMPLETED", "EVALUATION_COMPLETED", "MODEL_PROMOTED"}
    assert told <= set(stats.by_type), "there was something to tell"
    assert stats.dropped > 100


@pytest.mark.parametrize("kind", [Dropping, Refusing])
def test_a_loop_whose_events_are_all_lost_does_the_same(unheard, kind, caplog):
    caplog.set_level(logging.CRITICAL)  # each refusal is logged with its traceback
    assert run(telling(kind)) == unheard


def test_no_event_of_a_loop_under_faults_is_left_untold(caplog: pytest.LogCaptureFixture):
    listening = router()
    told = NodeEvents(listening, "a", lambda: 0.0).changed
    with caplog.at_level(logging.ERROR):
        sim = Loop(Plan(6, SETTINGS, {"a": 4}, Faults(900.0, every_s=40.0, failing_share=0.4), told=told))
        sim.run(1800)
    assert caplog.records == []
    seqs = [event.seq for event in listening.get_recent_events(HISTORY_MAX)]
    assert seqs == sorted(seqs, key=lambda seq: seq or 0)
    assert len(seqs) > 100


def test_a_listener_that_meddles_is_found(unheard):
    """What a subscriber that the loop hangs on would look like: the runs differ."""
    made: list[Loop] = []

    def meddle(before: ClusterState, after: ClusterState, result: Result) -> None:
        if result.accepted and not before.learners and after.learners:
            made[0].people.propose(HaltAll(by="a listener", reason="it heard something"))

    made.append(Loop(Plan(5, SETTINGS, {"a": 4, "b": 3}, Faults(900.0, every_s=60.0), told=meddle)))
    made[0].run(SECONDS)
    assert made[0].machine.dump(made[0].state) != unheard[0]
