"""Events outside a node: published, followed, remembered."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p.client
from managers.runtime import DataEventType, Event, make_event
from p2p.client.event_stream import EventFollower, Message, messages
from p2p.client.events import RemoteRouter
from p2p.client.node_errors import NodeUnreachable
from p2p.client.node_http import NodeHttp
from ringrift_core.errors import RingriftError, RulesError
from tests.recorded_node import RecordedNode

EMPTY = {"events": [], "next": 7, "gap": False}


def row(seq: int, name: str = "TRAINING_STARTED") -> dict[str, object]:
    payload = {"config_key": "hex8_2p", "board_type": "hex8", "num_players": 2}
    return {
        "type": name, "timestamp": 5.0, "source": "n1", "event_id": f"{seq}.0", "seq": seq, "payload": payload
    }  # fmt: skip


def sse(*seqs: int) -> bytes:
    return b"".join(f"id: {seq}\ndata: {json.dumps(row(seq))}\n\n".encode() for seq in seqs)


OPEN: list[RemoteRouter] = []


def router(node: RecordedNode) -> RemoteRouter:
    OPEN.append(RemoteRouter(NodeHttp(node.url), lambda: 9.0))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


class Gathered:
    """A handler that many events are waited for."""

    def __init__(self, wanted: int) -> None:
        self.events: list[Event] = []
        self._wanted = wanted
        self._there = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) >= self._wanted:
            self._there.set()

    def wait(self) -> list[int | None]:
        assert self._there.wait(20)
        return [event.seq for event in self.events]


def test_an_event_is_published_whether_awaited_or_not():
    with RecordedNode({"POST /events": (202, {})}) as node:
        sent = router(node).publish(DataEventType.TRAINING_COMPLETED, {"config": "square8_2p"}, "trainer")
        assert sent.event.type is DataEventType.TRAINING_COMPLETED

        async def awaited() -> None:
            ours = router(node)
            event = await ours.publish("training.started", {"config": "hex8_2p"})
            assert event.source == "client"
            for _ in range(3):
                ours.publish("training.started", {"config": "hex8_2p"})
            await ours.publish(make_event("TRAINING_FAILED", {"config": "hex8_2p", "reason": "x"}, "me", 1.0))

        asyncio.run(awaited())
        bodies = [it.body for it in node.of("POST /events")]
    assert bodies[0]["type"] == "TRAINING_COMPLETED"
    assert bodies[0]["source"] == "trainer"
    assert bodies[0]["payload"]["config_key"] == "square8_2p"
    names = [body["type"] for body in bodies[1:]]
    assert names == ["TRAINING_STARTED"] * 4 + ["TRAINING_FAILED"], "in the order of publishing"


def test_what_is_wrong_with_an_event_is_said_before_it_is_sent():
    with RecordedNode() as node:
        for call in (
            lambda: router(node).publish("NO_SUCH_EVENT", {}),
            lambda: router(node).publish("TRAINING_STARTED", {"config": "chess_2p"}),
            lambda: router(node).publish(make_event("LOOP_RESUMED", {"by": "me"}, "me", 1.0), {"a": 1}),
        ):
            with pytest.raises(RulesError):
                call()
        assert node.asked == []


def test_an_event_that_does_not_arrive_is_told_to_who_waits_and_logged_otherwise(caplog: pytest.LogCaptureFixture):
    gone = RemoteRouter(NodeHttp("http://127.0.0.1:1"), lambda: 9.0)
    with pytest.raises(NodeUnreachable):
        gone.publish("TRAINING_STARTED", {"config": "hex8_2p"})

    async def awaited() -> None:
        gone.publish("TRAINING_STARTED", {"config": "hex8_2p"})
        with pytest.raises(NodeUnreachable):
            await gone.publish("TRAINING_STARTED", {"config": "hex8_2p"})

    asyncio.run(awaited())
    assert "an event has not come to the node" in caplog.text


def test_subscribers_get_what_comes_from_now_on_and_over_a_broken_stream():
    answers = {"GET /events": [{"events": [row(6)], "next": 6}, {"events": [], "next": 6}]}
    with RecordedNode(answers, [sse(7, 8), b": beat\n\n" + sse(9)]) as node:
        ours, gathered = router(node), Gathered(3)
        handle = ours.subscribe("training.started", gathered)
        other = Gathered(1)
        ours.subscribe("MODEL_PROMOTED", other)
        node.released.set()
        assert gathered.wait() == [7, 8, 9]
        assert [event.payload["config_key"] for event in gathered.events] == ["hex8_2p"] * 3
        assert other.events == []
        streams = [it for it in node.of("GET /events") if it.headers.get("Accept") == "text/event-stream"]
        assert [it.headers["Last-Event-Id"] for it in streams[:2]] == ["6", "8"]
        assert ours.coordinator_stats().published == 3
        assert len(ours.subscribers()) == 2
        handle.cancel()
        ours.unsubscribe(other)
        assert ours.subscribers() == []


def test_handlers_may_be_coroutines_and_one_that_fails_hurts_no_other():
    with RecordedNode({"GET /events": EMPTY}, [sse(7, 8)]) as node:
        ours, gathered = router(node), Gathered(2)

        @ours.subscribe(DataEventType.TRAINING_STARTED)
        async def failing(_event: Event) -> None:
            raise ValueError("no")

        @ours.subscribe("*")
        async def told(event: Event) -> None:
            gathered(event)

        node.released.set()
        assert gathered.wait() == [7, 8]
        while len(ours.dead_letters()) < 2:
            threading.Event().wait(0.01)
        assert {letter.error for letter in ours.dead_letters()} == {"ValueError: no"}


def test_without_a_node_there_is_nothing_to_subscribe_to():
    with pytest.raises(NodeUnreachable):
        RemoteRouter(NodeHttp("http://127.0.0.1:1"), lambda: 9.0).subscribe("training.started", print)


def test_the_last_events_are_those_that_the_node_remembers():
    pages = [
        {"events": [row(1), row(2)], "next": 2, "gap": True},
        {"events": [row(3), row(4, "FROM_THE_FUTURE"), row(5)], "next": 5},
        {"events": [], "next": 5},
    ]
    with RecordedNode({"GET /events": pages}) as node:
        ours = router(node)
        found = ours.get_recent_events(limit=4)
        assert [(event.seq, event.timestamp, event.type, event.source) for event in found] == [
            (seq, 5.0, DataEventType.TRAINING_STARTED, "n1") for seq in (2, 3, 5)
        ]
        assert [it.query["since"] for it in node.asked] == ["0", "2", "5"]


def test_only_events_of_transitions_have_a_seq():
    rows = [row(4), {**row(4), "event_id": "n1/2/9"}, {**row(4), "event_id": ""}, {**row(5), "event_id": "5.3"}]
    with RecordedNode({"GET /events": {"events": rows, "next": "5.4"}}) as node:
        found = router(node).since(3)
        assert [(event.seq, event.index) for event in found] == [(4, 0), (5, 3)]


def test_events_after_a_transition_are_asked_for_and_forgotten_ones_are_said():
    with RecordedNode({"GET /events": [{"events": [row(4)], "next": 4}, {**EMPTY, "gap": True}]}) as node:
        assert [event.seq for event in router(node).since(3, 10)] == [4]
        assert node.asked[0].query == {"since": "3", "limit": "10"}
        with pytest.raises(RulesError, match="forgotten"):
            router(node).since(1)


def test_a_broken_stream_is_taken_up_with_growing_pauses_and_told_once(caplog: pytest.LogCaptureFixture):
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            follower.close()

    follower = EventFollower(NodeHttp("http://127.0.0.1:1"), pause)
    follower._follow()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert caplog.text.count("has broken off") == 1


def test_the_accessors_give_one_router_per_node(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_P2P_URL", "http://127.0.0.1:1")
    names = ("get_router", "get_event_router", "get_event_bus", "get_data_event_bus", "get_event_coordinator")
    accessors: Iterator[Callable[[], object]] = (getattr(p2p.client, name) for name in names)
    assert len({id(accessor()) for accessor in accessors}) == 1
    monkeypatch.setenv("RINGRIFT_P2P_URL", "http://127.0.0.1:2")
    assert p2p.client.get_router() is p2p.client.get_event_bus()


def test_helpers_publish_what_they_are_named_after(monkeypatch: pytest.MonkeyPatch):
    with RecordedNode({"POST /events": (202, {})}) as node:
        monkeypatch.setenv("RINGRIFT_P2P_URL", node.url)
        p2p.client.emit_training_started("hex8_2p", "trainer", steps=5)
        p2p.client.emit_training_completed("hex8_2p", final_loss=0.5)
        p2p.client.publish("training.failed", {"config": "hex8_2p", "reason": "x"})
        bodies = [(it.body["type"], it.body["source"]) for it in node.asked]
    assert bodies == [("TRAINING_STARTED", "trainer"), ("TRAINING_COMPLETED", "client"), ("TRAINING_FAILED", "client")]


# ---- server-sent events ----


def test_the_lines_of_a_stream_are_messages():
    lines = b": beat\n\nid: 5\nevent: gap\n\ndata: a\ndata:b\r\nid:6\n\nretry: 5\nid: 7\ndata: cut off"
    assert list(messages(lines.splitlines(keepends=True))) == [
        Message("", "5", "gap"),
        Message("a\nb", "6"),
    ]


def test_a_message_that_is_too_long_is_no_event():
    with pytest.raises(RingriftError, match="more than"):
        list(messages([b"data: " + b"x" * 1000 + b"\n"] * 2000))


@given(st.lists(st.binary(max_size=30), max_size=30))
def test_no_bytes_break_the_reader(lines: list[bytes]):
    for message in messages(lines):
        assert message.data or message.id is not None


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")), st.integers(0, 9**9)), max_size=9
    )
)
def test_what_is_written_is_read(told: list[tuple[str, int]]):
    lines = [line for data, cursor in told for line in (f"id: {cursor}\n", f"data: {data}\n", "\n")]
    found = list(messages(line.encode() for line in lines))
    assert found == [Message(data, str(cursor)) for data, cursor in told]
