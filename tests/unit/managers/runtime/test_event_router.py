"""The router: on virtual time, and on real time where threads are to finish."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from managers.runtime.event import DataEventType, Event
from managers.runtime.event_router import WATCHERS_MAX, EventRouter, RouterSettings
from managers.runtime.events import EloUpdated, LoopResumed, TrainingCompleted
from managers.runtime.subscriber import SubscriberSettings
from ringrift_core.errors import RulesError
from tests.virtual_time import run_virtual

DONE = DataEventType.TRAINING_COMPLETED
PAYLOAD = {"config": "square8_2p"}
DEADLINE_S = 60.0  # of what happens in threads


def router(**options) -> EventRouter:
    one = SubscriberSettings(**options.pop("subscriber", {}))
    trace = options.pop("trace", False)
    return EventRouter("a", "b1", lambda: 1.5, RouterSettings(subscriber=one, **options), trace=trace)


def resumed(seq: int, index: int = 0) -> LoopResumed:
    return LoopResumed(at=1.0, source="state", seq=seq, index=index)


def run(body: Callable[[EventRouter], Coroutine[Any, Any, None]], **options) -> EventRouter:
    made = []

    async def main() -> None:
        async with router(**options) as ours:
            made.append(ours)
            await body(ours)

    run_virtual(main())
    return made[0]


def reader(seen: list[Any]):
    async def read(event: Event) -> None:
        seen.append(event.event_id)

    return read


async def passing(seconds: float = 0.001) -> None:
    await asyncio.sleep(seconds)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    "kind",
    [
        "TRAINING_COMPLETED",
        "training.completed",
        DONE,
        TrainingCompleted,
        "*",
        Event,
        DataEventType["TRAINING_COMPLETED"],
    ],
)
def test_every_way_to_name_an_event_subscribes_to_it(kind):
    seen: list[str] = []

    async def body(ours: EventRouter) -> None:
        ours.subscribe(kind, reader(seen))
        ours.publish(DONE, PAYLOAD, "trainer")
        ours.publish("loop.resumed")
        await passing()

    run(body)
    assert seen == (["a/b1/1", "a/b1/2"] if kind in {"*", Event} else ["a/b1/1"])


def test_aliases_deliver_once():
    seen: list[str] = []
    game = {"config_key": "hex8_2p", "games_completed": 8}

    async def body(ours: EventRouter) -> None:
        read = reader(seen)
        for kind in ("GAME_BATCH_READY", "SELFPLAY_COMPLETE", "*"):
            ours.subscribe(kind, read)
        ours.publish("game.batch.ready", game, "node")
        await passing()

    assert [event.type for event in run(body).get_recent_events()] == ["SELFPLAY_COMPLETE"]
    assert seen == ["a/b1/1"]


def test_the_call_of_the_documents_works_awaited_or_not():
    seen: list[Event] = []

    async def body(ours: EventRouter) -> None:
        @ours.subscribe("training.completed")
        async def on_training_completed(event: TrainingCompleted) -> None:
            seen.append(event)

        event = await ours.publish(DataEventType.TRAINING_COMPLETED, payload=PAYLOAD, source="training_daemon")
        ours.publish(EloUpdated(at=2.0, source="elo", config_key="hex8_2p", model_id="m", new_elo=1300.0))
        await passing()
        assert seen == [event]

    event = run(body).get_recent_events(limit=100)[0]
    assert (event.timestamp, event.type, event.source) == (1.5, "TRAINING_COMPLETED", "training_daemon")
    assert seen[0].payload == {"config_key": "square8_2p", "board_type": "square8", "num_players": 2}


def test_what_is_published_before_the_start_is_delivered():
    seen: list[str] = []

    async def main() -> None:
        ours = router()
        ours.subscribe("*", reader(seen))
        ours.publish(resumed(3))
        async with ours:
            pass

    run_virtual(main())
    assert seen == ["3.0"]


def test_a_subscriber_sees_events_in_the_order_of_publishing():
    seen: list[str] = []

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", reader(seen))
        for seq in range(1, 50):
            ours.publish(resumed(seq) if seq % 2 else DONE, None if seq % 2 else PAYLOAD)
        await passing()

    recent = [event.event_id for event in run(body).get_recent_events()]
    assert seen == recent
    assert len(seen) == 49


def test_one_that_raises_gets_dead_letters_and_later_events_and_hurts_nobody():
    seen: list[str] = []

    async def raises(_: Event) -> None:
        raise ValueError("bad day")

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", raises, name="raiser")
        ours.subscribe("*", reader(seen))
        for seq in (1, 2, 3, 4):
            ours.publish(resumed(seq))
        await passing()
        assert ours.coordinator_stats().failing == ()
        ours.publish(resumed(5))
        await passing()

    ours = run(body)
    assert seen == ["1.0", "2.0", "3.0", "4.0", "5.0"]
    letters = [(letter.event.event_id, letter.handler, letter.error, letter.at) for letter in ours.dead_letters()]
    assert letters == [(f"{seq}.0", "raiser", "ValueError: bad day", 1.5) for seq in (1, 2, 3, 4, 5)]
    stats = ours.coordinator_stats()
    assert (stats.failing, stats.failures, stats.delivered, stats.published) == (("raiser",), 5, 5, 5)


def test_a_success_ends_being_failing():
    async def sometimes(event: Event) -> None:
        if event.seq != 9:
            raise ValueError

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", sometimes)
        for seq in (1, 2, 3, 4, 5, 9):
            ours.publish(resumed(seq))
        await passing()

    assert run(body).coordinator_stats().failing == ()


def test_dead_letters_are_bounded():
    async def raises(_: Event) -> None:
        raise ValueError

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", raises)
        for seq in range(1, 8):
            ours.publish(resumed(seq))
        await passing()

    assert [letter.event.seq for letter in run(body, dead_letters_max=3).dead_letters()] == [5, 6, 7]


def test_one_that_waits_too_long_is_cancelled_and_hurts_nobody():
    seen: list[str] = []
    served: list[float] = []

    async def waits(event: Event) -> None:
        served.append(now())
        await asyncio.sleep(3600 if event.seq == 1 else 0)

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", waits, name="waiter")
        ours.subscribe("*", reader(seen))
        ours.publish(resumed(1))
        ours.publish(resumed(2))
        await passing()
        assert seen == ["1.0", "2.0"]
        await passing(31)

    ours = run(body)
    assert served == [0, 30]
    assert [(letter.event.seq, letter.error) for letter in ours.dead_letters()] == [
        (1, "TimeoutError: not done after 30 s")
    ]


def test_one_that_goes_on_when_it_is_cancelled_is_disabled_until_it_ends():
    served: list[float] = []

    async def swallows(event: Event) -> None:
        served.append(now())
        while event.seq == 1 and now() < 100:
            try:
                await asyncio.sleep(100 - now())
            except asyncio.CancelledError:
                continue

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", swallows)
        ours.publish(resumed(1))
        ours.publish(resumed(2))
        await passing(50)
        assert ours.subscribers()[0].failing
        assert "still runs" in str(ours.subscribers()[0].disabled)
        await passing(100)
        assert not ours.subscribers()[0].failing

    run(body)
    assert served == [0, 100]


def test_a_full_queue_drops_the_oldest_of_that_subscriber_only():
    seen: list[str] = []
    late: list[int | None] = []

    async def slow(event: Event) -> None:
        await asyncio.sleep(1)
        late.append(event.seq)

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", slow, name="slow")
        ours.subscribe("*", reader(seen))
        for seq in range(1, 11):
            ours.publish(resumed(seq))
            await passing()
        await passing(20)
        assert {status.name: status.dropped for status in ours.subscribers() if status.dropped} == {"slow": 6}

    run(body, subscriber={"queue_max": 3})
    assert (len(seen), late) == (10, [1, 8, 9, 10])


def test_a_handler_that_publishes_what_it_gets_is_stopped_and_the_others_get_theirs():
    seen: list[str] = []

    async def body(ours: EventRouter) -> None:
        async def echoes(event: Event) -> None:
            ours.publish("loop.resumed", {"by": event.event_id})

        ours.subscribe("LOOP_RESUMED", echoes, name="echo")
        ours.subscribe("*", reader(seen))
        ours.publish("LOOP_RESUMED")
        await passing()
        ours.publish(resumed(7))
        await passing()

    ours = run(body, subscriber={"publishes_max": 50})
    assert len(seen) == 52
    assert seen[-1] == "7.0"
    assert "echo publishes more than 50 events in 60 s" in ours.dead_letters()[0].error


def test_a_handler_that_publishes_without_end_is_stopped():
    async def body(ours: EventRouter) -> None:
        async def floods(_: Event) -> None:
            while True:
                await ours.publish(DONE, PAYLOAD)

        ours.subscribe("LOOP_RESUMED", floods)
        ours.publish(resumed(1))
        await passing()
        assert len(ours.dead_letters()) == 1

    run(body)


def test_a_plain_function_runs_in_its_own_thread():
    async def main() -> None:
        seen: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def plain(event: Event) -> None:
            loop.call_soon_threadsafe(seen.put_nowait, (event.seq or 0, threading.get_ident()))

        async with router() as ours:
            ours.subscribe("*", plain)
            for seq in (1, 2):
                ours.publish(resumed(seq))
            async with asyncio.timeout(DEADLINE_S):
                got = [await seen.get(), await seen.get()]
        assert [seq for seq, _ in got] == [1, 2]
        assert len({thread for _, thread in got} - {threading.get_ident()}) == 1
        assert ours.coordinator_stats().delivered == 2

    asyncio.run(main())


def test_what_a_plain_function_raises_or_returns_is_handled():
    waited: list[int] = []

    async def later() -> None:
        waited.append(1)

    def plain(event: Event) -> object:
        if event.seq == 1:
            raise SystemExit(3)
        return later()

    async def main() -> None:
        async with router() as ours:
            ours.subscribe("*", plain)
            ours.publish(resumed(1))
            ours.publish(resumed(2))
        assert [letter.error for letter in ours.dead_letters()] == ["SystemExit: 3"]

    asyncio.run(main())
    assert waited == [1]


def test_a_plain_function_that_blocks_is_disabled_until_it_returns_and_hurts_nobody():
    """Virtual time jumps to the timeout, since the loop has nothing to do while the thread blocks."""
    release, returned = threading.Event(), threading.Event()
    seen: list[str] = []

    def blocks(event: Event) -> None:
        if event.seq == 1:
            release.wait(DEADLINE_S)
            return
        returned.set()

    def other(event: Event) -> None:
        seen.append(event.event_id)

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", blocks, name="blocker")
        ours.subscribe("*", reader(seen))
        ours.publish(resumed(1))
        await passing(40)
        assert seen == ["1.0"]
        assert ours.coordinator_stats().failing == ("blocker",)
        ours.publish(resumed(2))
        await passing(40)
        assert seen == ["1.0", "2.0"]
        assert not returned.is_set()
        release.set()
        for _ in range(10_000):
            if returned.wait(0.001):
                break
            await passing()
        assert returned.is_set()

    run(body)


def test_a_blocked_thread_keeps_neither_the_router_nor_the_process_from_ending():
    release = threading.Event()

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", lambda _: release.wait(DEADLINE_S), name="blocked")
        ours.publish(resumed(1))
        await passing(1)

    run(body)
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "blocked"] == [True]
    release.set()


def test_stopping_lets_handlers_finish_for_a_while_only():
    done: list[int | None] = []

    async def slow(event: Event) -> None:
        await asyncio.sleep(2)
        done.append(event.seq)

    async def main() -> float:
        async with router(drain_s=5.0) as ours:
            ours.subscribe("*", slow)
            for seq in range(1, 6):
                ours.publish(resumed(seq))
        ours.publish(resumed(6))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return now()

    assert run_virtual(main()) == 5
    assert done == [1, 2]


def test_unsubscribing_ends_delivery_after_the_present_event():
    seen: list[int | None] = []

    async def body(ours: EventRouter) -> None:
        async def once(event: Event) -> None:
            handle.cancel()
            await asyncio.sleep(1)
            seen.append(event.seq)

        handle = ours.subscribe("*", once)
        ours.publish(resumed(1))
        ours.publish(resumed(2))
        await passing(5)
        assert ours.subscribers() == []
        read = reader(seen)
        ours.subscribe("LOOP_RESUMED", read)
        ours.subscribe(DONE, read)
        ours.unsubscribe(read)
        ours.publish(resumed(3))
        await passing()

    run(body)
    assert seen == [1]


def test_events_of_a_transition_have_one_name_and_duplicates_are_delivered_once():
    seen: list[str] = []

    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", reader(seen))
        for event in (resumed(4), resumed(4, 1), resumed(4), resumed(5)):
            ours.publish(event)
        ours.publish(ours.publish(DONE, PAYLOAD).event)
        await passing()
        assert ours.coordinator_stats().duplicates == 2

    run(body)
    assert seen == ["4.0", "4.1", "5.0", "a/b1/1"]


def test_the_names_remembered_are_bounded():
    async def body(ours: EventRouter) -> None:
        for seq in (1, 2, 3, 3, 1):
            ours.publish(resumed(seq))

    assert [event.seq for event in run(body, seen_max=2).get_recent_events()] == [1, 2, 3, 1]


def test_a_reader_goes_on_from_the_last_seq_without_loss():
    async def body(ours: EventRouter) -> None:
        for seq, index in ((1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)):
            ours.publish(resumed(seq, index))

    ours = run(body)
    assert [event.event_id for event in ours.since(0, limit=2)] == ["1.0", "1.1", "1.2"]
    assert [event.event_id for event in ours.since(1, limit=2)] == ["2.0", "3.0", "3.1"]
    assert ours.since(0, limit=0) == []


def test_history_is_bounded_and_local_events_push_out_no_replicated_ones():
    async def body(ours: EventRouter) -> None:
        for seq in (1, 2, 3):
            ours.publish(resumed(seq))
        for _ in range(20):
            ours.publish(DONE, PAYLOAD)

    ours = run(body, history_max=5)
    assert len(ours.get_recent_events(100)) == 5
    assert ours.get_recent_events(2) == ours.get_recent_events(100)[-2:]
    assert ours.get_recent_events(0) == []
    assert [event.seq for event in ours.since(0)] == [1, 2, 3]
    assert [event.seq for event in ours.since(1, limit=1)] == [2]


def test_a_reader_that_fell_behind_is_told():
    async def body(ours: EventRouter) -> None:
        for seq in range(1, 9):
            ours.publish(resumed(seq))
        assert [event.seq for event in ours.since(3)] == [4, 5, 6, 7, 8]
        with pytest.raises(RulesError, match="events up to 3 are forgotten"):
            ours.since(2)

    run(body, history_max=5)


def test_threads_may_publish():
    async def main() -> None:
        seen: list[str] = []
        async with router() as ours:
            ours.subscribe("*", reader(seen))
            threads = [
                threading.Thread(target=lambda: [ours.publish("LOOP_RESUMED") for _ in range(50)]) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            await asyncio.sleep(0)
        assert sorted(seen, key=lambda name: int(name[5:])) == [f"a/b1/{number}" for number in range(1, 201)]

    asyncio.run(main())


def test_a_flood_from_a_thread_is_bounded():
    async def body(ours: EventRouter) -> None:
        for _ in range(2):
            thread = threading.Thread(target=lambda: [ours.publish("LOOP_RESUMED") for _ in range(50)])
            thread.start()
            thread.join()  # the loop takes nothing meanwhile
            await passing()

    ours = run(body, inbox_max=10)
    kept = [*range(41, 51), *range(91, 101)]
    assert [event.event_id for event in ours.get_recent_events()] == [f"a/b1/{number}" for number in kept]
    assert ours.coordinator_stats().dropped == 80


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        ("TRAINING_COMPLETD", PAYLOAD, "did you mean TRAINING_COMPLETED"),
        ("*", {}, "there is no event"),
        (DONE, {}, "TRAINING_COMPLETED: config_key: Field required"),
        (DONE, {"config": "hex9_2p"}, "config_key: .*hex9_2p"),
        (DONE, {**PAYLOAD, "final_loss": "low"}, "final_loss"),
        (DONE, {**PAYLOAD, "losss": 1.0}, "losss: Extra inputs"),
        (DONE, {**PAYLOAD, "seq": 4}, "seq: belongs to the event"),
        (DONE, {**PAYLOAD, "board_type": "hex8"}, "board_type is 'hex8', config_key says 'square8'"),
        ("EVALUATION_RESULT", {**PAYLOAD, "games_played": 0, "passed": True}, "games_played"),
    ],
)
def test_what_is_wrong_is_refused_at_the_publisher(kind, payload, message):
    with pytest.raises(RulesError, match=message):
        router().publish(kind, payload, "test")


def test_unknown_kinds_and_too_many_subscribers_are_refused():
    async def main() -> None:
        ours = router(subscribers_max=2, threads_max=1)
        with pytest.raises(RulesError, match="no event"):
            ours.subscribe("TRAINING", reader([]))
        ours.subscribe("*", lambda _: None)
        with pytest.raises(RulesError, match="at most 1 plain function"):
            ours.subscribe("*", lambda _: None)
        ours.subscribe("*", reader([]))
        with pytest.raises(RulesError, match="at most 2 subscribers"):
            ours.subscribe("*", reader([]))

    run_virtual(main())


def test_tracing_logs_what_is_published_and_handled(caplog: pytest.LogCaptureFixture):
    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", reader([]), name="reader")
        ours.publish(DONE, PAYLOAD, "trainer")
        await passing()

    with caplog.at_level("INFO"):
        run(body, trace=True)
    assert "TRAINING_COMPLETED a/b1/1 from trainer" in caplog.text
    assert "at reader: handled" in caplog.text


def test_an_error_of_the_body_comes_out_as_it_is():
    async def body(ours: EventRouter) -> None:
        ours.subscribe("*", reader([]))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(body)


def test_a_watcher_has_every_event_once_and_before_any_subscriber():
    seen: list[str] = []

    async def body(ours: EventRouter) -> None:
        ours.watch(lambda event: seen.append(f"watched {event.event_id}"))
        ours.subscribe("*", reader(seen))
        ours.publish(DONE, PAYLOAD)
        ours.publish(resumed(7))
        ours.publish(resumed(7))
        await asyncio.to_thread(ours.publish, DONE, PAYLOAD)
        await passing()

    run(body)
    assert seen[:2] == ["watched a/b1/1", "watched 7.0"]
    assert [it for it in seen if it.startswith("watched")] == ["watched a/b1/1", "watched 7.0", "watched a/b1/2"]


def test_watchers_are_few():
    ours = router()
    for _ in range(WATCHERS_MAX):
        ours.watch(lambda _event: None)
    with pytest.raises(RulesError, match="watchers"):
        ours.watch(lambda _event: None)
