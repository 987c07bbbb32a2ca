"""Events over HTTP: page by page, as a stream that goes on where it was, published."""

import asyncio
import json

import pytest
from aiohttp import ClientResponse, web

from managers.event_journal import LAST, EventJournal
from managers.state.commands import HaltAll, ResumeAll
from p2p.http.connection_limits import ConnectionLimits, limited_runner
from p2p.http.node_api import node_app
from p2p.identity.credentials import Credentials, Token
from tests.http_door import Client, FakeDoor, answering, ask
from tests.unit.managers.test_event_journal import read_back

STREAM = {"Accept": "text/event-stream"}


def with_events(journal: EventJournal | None = None) -> FakeDoor:
    door = FakeDoor()
    for _ in range(2):
        door.loop.do(HaltAll(by="admin", reason="a test"))
        door.loop.do(ResumeAll(by="admin"))
    door.journal = journal or read_back()
    return door


async def message(answer: ClientResponse) -> dict[str, str]:
    """The next message of a stream by its fields; a comment is under ""."""
    found: dict[str, str] = {}
    async with asyncio.timeout(20):
        while (line := (await answer.content.readline()).decode()) not in {"\n", ""}:
            name, _, value = line.rstrip("\n").partition(": ")
            found[name.strip(":")] = value
    return found


def test_events_are_read_page_by_page():
    async def use(client: Client) -> None:
        first = await (await client.get("/events?limit=2")).json()
        assert [row["type"] for row in first["events"]] == ["WORK_QUEUED", "LOOP_HALTED"]
        assert first["events"][1] == {
            "seq": 3, "type": "LOOP_HALTED", "timestamp": 3.0, "source": "cluster", "event_id": "3.0",
            "payload": {"reason": "a test", "by": "admin"},
        }  # fmt: skip
        rest = await (await client.get("/events", params={"since": first["next"], "limit": 2})).json()
        assert ([row["seq"] for row in rest["events"]], rest["gap"]) == ([4], False)
        again = await (await client.get("/events", params={"since": rest["next"]})).json()
        assert again == {"events": [], "next": rest["next"], "gap": False}
        halted = await (await client.get("/events?since=0&types=loop.halted,WORK_LOST")).json()
        assert [row["seq"] for row in halted["events"]] == [3]

    ask(answering(with_events()), use)


def test_events_that_are_not_kept_are_a_gap():
    async def use(client: Client) -> None:
        assert (await (await client.get("/events?since=1")).json())["gap"] is True

    ask(answering(with_events(read_back(kept_max=1))), use)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("since=x", "no cursor"),
        ("limit=0", "1 to 1000"),
        ("limit=1001", "1 to 1000"),
        ("types=LOOP_HALTD", "LOOP_HALTED"),
    ],
)
def test_a_wrong_question_says_what_to_write(query: str, word: str):
    async def use(client: Client) -> None:
        answer = await client.get(f"/events?{query}")
        assert answer.status == 400
        assert word in (await answer.json())["error"]["message"]

    ask(answering(with_events()), use)


def test_an_event_is_published_and_comes_back():
    async def use(client: Client) -> None:
        body = {"type": "training.completed", "payload": {"config": "hex8_2p"}, "source": "a person"}
        sent = await client.post("/events", json=body)
        assert (sent.status, (await sent.json())["type"]) == (202, "TRAINING_COMPLETED")
        found = await (await client.get("/events?types=TRAINING_COMPLETED")).json()
        (row,) = found["events"]
        assert (row["source"], row["payload"]["config_key"]) == ("a person", "hex8_2p")
        assert row["event_id"] == (await sent.json())["event_id"]

    ask(answering(with_events()), use)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"type": "TRAINING_DONE"}, "there is no event"),
        ({"type": "TRAINING_COMPLETED", "payload": {"config": "hex9_2p"}}, "TRAINING_COMPLETED"),
        ({"type": "TRAINING_COMPLETED", "payload": {"config": "hex8_2p", "seq": 3}}, "seq"),
        ({"payload": {}}, "the body"),
        ({"type": "LOOP_RESUMED", "payload": [], "source": "x"}, "the body"),
    ],
)
def test_what_is_no_event_is_refused(body: dict[str, object], word: str):
    door = with_events()
    before = door.journal.end

    async def use(client: Client) -> None:
        answer = await client.post("/events", json=body)
        assert answer.status == 400
        assert word in (await answer.json())["error"]["message"]

    ask(answering(door), use)
    assert door.journal.end == before


def test_with_an_admin_token_only_admins_publish():
    credentials = Credentials(Token("admin-token-of-a-test", "a test"))

    async def use(client: Client) -> None:
        body = {"type": "LOOP_RESUMED"}
        assert (await client.post("/events", json=body)).status == 401
        headers = {"Authorization": "Bearer admin-token-of-a-test"}
        assert (await client.post("/events", json=body, headers=headers)).status == 202

    ask(answering(with_events(), credentials=credentials), use)


def test_a_stream_goes_on_behind_the_last_event_that_was_read():
    door = with_events()

    async def use(client: Client) -> None:
        async with client.get("/events", headers={**STREAM, "Last-Event-ID": "2.0"}) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert await message(answer) == {"retry": "2000", "id": "2.0"}
            first, second = await message(answer), await message(answer)
            assert (first["id"], json.loads(first["data"])["type"]) == ("3.0", "LOOP_HALTED")
            assert second["id"] == "4.0"
            beat = await message(answer)
            assert beat == {"": "heartbeat", "id": "4.0"}
            await client.post("/events", json={"type": "LOOP_RESUMED"})
            while "data" not in (third := await message(answer)):
                pass
            assert json.loads(third["data"])["type"] == "LOOP_RESUMED"
        async with client.get("/events", headers={**STREAM, "Last-Event-ID": third["id"]}) as answer:
            assert "data" not in await message(answer)
            assert "data" not in await message(answer)

    ask(answering(door), use)


def test_a_stream_that_cannot_go_on_says_so_and_begins_with_what_there_is():
    async def use(client: Client) -> None:
        async with client.get("/events?since=1", headers=STREAM) as answer:
            await message(answer)
            assert (await message(answer))["event"] == "gap"
            assert (await message(answer))["id"] == "4.0"

    ask(answering(with_events(read_back(kept_max=1))), use)


def test_a_stream_without_a_cursor_begins_now():
    async def use(client: Client) -> None:
        async with client.get("/events", headers=STREAM) as answer:
            assert (await message(answer))["id"] == "4.0"
            assert (await message(answer))[""] == "heartbeat"

    ask(answering(with_events()), use)


def test_streams_are_few():
    async def use(client: Client) -> None:
        async with client.get("/events", headers=STREAM), client.get("/events", headers=STREAM):
            answer = await client.get("/events", headers=STREAM)
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "unavailable")

    ask(answering(with_events()), use)


def test_a_stream_ends_with_the_session_that_began_it():
    token = "admin-token-of-a-test"
    found = answering(with_events(), credentials=Credentials(Token(token, "a test")), heartbeat_s=3600)
    outside = {"Via": "1.1 x"}  # who has nothing but the session

    async def use(client: Client) -> None:
        begun = await client.post("/session", json={"token": token})
        cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
        async with client.get("/events", headers={**STREAM, **outside, **cookie}) as answer:
            assert (await message(answer))["id"] == "4.0"
            assert (await client.delete("/session", headers=cookie)).status == 200
            async with asyncio.timeout(20):
                assert await answer.content.read() == b""

    ask(found, use)


def test_a_client_that_has_gone_leaves_its_place_long_before_the_next_heartbeat():
    """Behind the runner of a node: aiohttp's server for tests tells handlers that a client has gone."""
    found = answering(with_events(), heartbeat_s=3600)
    app = node_app(found.handlers, found.gate, found.metrics)

    async def run() -> None:
        runner = limited_runner(app, ConnectionLimits(), found.gate.refusals)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        assert found.streams is not None
        async with asyncio.timeout(20):
            while found.streams.count == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
            writer.transport.abort()
            while found.streams.count > 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        await runner.cleanup()

    asyncio.run(run())


def test_a_stream_that_falls_behind_is_cut_off():
    door = with_events(read_back(kept_max=2))
    found = answering(door)

    async def use(client: Client) -> None:
        async with client.get("/events", headers=STREAM) as answer:
            await message(answer)
            for _ in range(5):  # at once: no other task has a turn in between
                for entry in tuple(door.journal.latest(2)):
                    door.journal.append(entry.event.model_copy(update={"seq": None}), 9)
            rest = (await answer.content.read()).decode()
            assert rest.startswith(": cut off")

    ask(found, use)


def test_all_streams_end_with_the_node():
    found = answering(with_events())

    async def use(client: Client) -> None:
        async with client.get("/events", headers=STREAM) as answer:
            await message(answer)
            assert found.streams is not None
            await found.streams.close()
            assert found.streams.count == 0
            async with asyncio.timeout(20):
                await answer.content.read()

    ask(found, use)


def test_the_end_of_what_is_known_is_a_cursor_too():
    journal = EventJournal()
    journal.begin(17)

    async def use(client: Client) -> None:
        found = await (await client.get("/events")).json()
        assert found == {"events": [], "next": "17", "gap": False}

    assert journal.end == (17, LAST)
    ask(answering(with_events(journal)), use)
