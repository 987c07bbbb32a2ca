"""What a node says of itself and may be told: health, status, metrics, halt, daemons; errors as JSON."""

import json
import re

import pytest
from aiohttp import web

from managers.health import Health
from managers.runtime.service import State
from managers.state.commands import Join
from managers.status_records import PEERS_MAX
from p2p.http.errors import RequestError
from p2p.http.routes import BODY_BYTES_MAX
from ringrift_core.errors import RulesError, StorageError
from tests.http_door import Client, FakeDoor, answering, ask
from tests.loop_states import NODE, Loop


def test_health_status_and_metrics_are_served():
    door = FakeDoor()

    async def use(client: Client) -> None:
        health = await client.get("/health")
        assert health.status == 200
        assert await health.json() == {
            "status": "ok", "reasons": [], "degraded": [], "node_id": NODE, "uptime_s": 12.5,
        }  # fmt: skip
        status = await client.get("/status")
        assert await status.read() == door.content
        metrics = await client.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await metrics.text()
        assert "ringrift_model_rollbacks_total" in text
        assert 'ringrift_http_requests_total{method="GET",route="/status",status="200"} 1.0' in text
        assert "ringrift_event_loop_lag_seconds 0.0" in text
        (tasks,) = re.findall(r"^ringrift_tasks (\S+)$", text, re.MULTILINE)
        assert float(tasks) > 0

    ask(answering(door), use)


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("halted", 200), ("failing", 503)])
def test_only_a_node_that_fails_is_unavailable(status: str, code: int):
    door = FakeDoor()
    door.is_well = Health.model_validate({"status": status, "reasons": ("the disk is full",)})

    async def use(client: Client) -> None:
        answer = await client.get("/health")
        assert answer.status == code
        assert (await answer.json())["reasons"] == ["the disk is full"]

    ask(answering(door), use)


def test_more_peers_than_a_status_shows_are_shown_when_all_are_asked_for():
    loop = Loop()
    for number in range(PEERS_MAX + 5):
        loop.do(Join(node=f"other-{number}", session=1, cores=2))
    door = FakeDoor(loop)

    async def use(client: Client) -> None:
        some, full = [await (await client.get(path)).json() for path in ("/status", "/status?peers=full")]
        assert (len(some["peers"]), len(full["peers"])) == (PEERS_MAX, PEERS_MAX + 5)
        assert (some["alive_peer_count"], len(some["alive_peers"])) == (PEERS_MAX + 5, PEERS_MAX + 5)
        assert {**full, "peers": []} == {**some, "peers": []}
        assert (await client.get("/status?peers=some")).status == 400

    ask(answering(door), use)


def test_a_silent_peer_is_shown_as_silent_also_where_a_status_has_no_room_for_it():
    loop = Loop()
    for number in range(PEERS_MAX + 5):
        loop.do(Join(node=f"other-{number}", session=1, cores=2))
    door = FakeDoor(loop)
    door.silent = {f"other-{PEERS_MAX + 2}": "for 100 s", "other-1": "for 90 s"}

    async def use(client: Client) -> None:
        full = await (await client.get("/status?peers=full")).json()
        assert [row["node_id"] for row in full["peers"] if not row["alive"]] == ["other-1", f"other-{PEERS_MAX + 2}"]

    ask(answering(door), use)


def test_the_further_ports_answer_those_who_look_after_the_node_and_nothing_else():
    async def use(client: Client) -> None:
        for path in ("/health", "/status", "/metrics"):
            assert (await client.get(path)).status == 200
        for path in ("/jobs", "/events", "/admin/daemons"):
            answer = await client.get(path)
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")
        assert (await client.post("/admin/halt")).status == 404

    door = FakeDoor()
    ask(answering(door), use, aliased=True)
    assert door.orders == []


def test_a_name_of_another_site_that_leads_here_is_refused_and_counted():
    found = answering(FakeDoor())

    async def use(client: Client) -> None:
        answer = await client.get("/status", headers={"Host": "evil.example"})
        assert (answer.status, (await answer.json())["error"]["code"]) == (421, "other_host")
        assert 'ringrift_http_refusals_total{code="other_host"} 1.0' in await (await client.get("/metrics")).text()

    ask(found, use)


def test_what_nobody_has_is_counted_under_one_name():
    found = answering(FakeDoor())

    async def use(client: Client) -> None:
        for number in range(5):
            assert (await client.get(f"/nowhere/{number}")).status == 404
        assert (await client.request("PATCH", "/health")).status == 405

    ask(found, use)
    assert found.metrics.snapshot().requests == {("other", "GET", "404"): 5, ("other", "other", "405"): 1}


def test_a_halt_is_handed_on_with_its_reason_and_repeated_without_harm():
    door = FakeDoor()

    async def use(client: Client) -> None:
        first = await client.post("/admin/halt", json={"reason": "the fan is loud"})
        assert await first.json() == {"changed": True, "seq": 7, "reason": ""}
        second = await client.post("/admin/halt")
        assert await second.json() == {"changed": False, "seq": 7, "reason": "halted already"}

    ask(answering(door), use)
    assert door.orders == ["the fan is loud", "no reason given"]


def test_a_daemon_is_shown_stopped_started_and_restarted():
    door = FakeDoor()

    async def use(client: Client) -> None:
        shown = await (await client.get("/admin/daemons")).json()
        assert shown["daemons"]["JOB_REAPER"]["state"] == "running"
        stopped = await (await client.post("/admin/daemons/JOB_REAPER/stop")).json()
        assert (stopped["name"], stopped["state"]) == ("JOB_REAPER", "stopped")
        assert (await (await client.post("/admin/daemons/JOB_REAPER/restart")).json())["state"] == "running"
        assert (await client.post("/admin/daemons/JOB_REAPER/start")).status == 200

    ask(answering(door), use)
    assert door.orders == ["stop JOB_REAPER", "stop JOB_REAPER", "start JOB_REAPER", "start JOB_REAPER"]


@pytest.mark.parametrize("path", ["/admin/daemons/NOBODY/stop", "/admin/daemons/JOB_REAPER/paint"])
def test_a_daemon_or_an_order_that_there_is_not_is_not_found(path: str):
    door = FakeDoor()

    async def use(client: Client) -> None:
        answer = await client.post(path)
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")

    ask(answering(door), use)
    assert (door.orders, door.states["JOB_REAPER"]) == ([], State.RUNNING)


HOSTILE: list[tuple[bytes, int]] = [
    (b"{", 400),
    (b"[1]", 400),
    (b'{"reason": 5}', 400),
    (b'{"reason": "x", "by": "root"}', 400),
    (b'{"reason": "' + b"x" * 1001 + b'"}', 400),
    (b"[" * 50_000, 400),
    (b"\xff\xfe", 400),
    (b"1" * 5000, 400),
    (b'{"reason": "' + b"x" * BODY_BYTES_MAX + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_a_body_that_is_none_is_refused_and_orders_nothing(body: bytes, status: int):
    door = FakeDoor()

    async def use(client: Client) -> None:
        answer = await client.post("/admin/halt", data=body)
        assert answer.status == status
        error = (await answer.json())["error"]
        assert error["code"] in ({"too_large"} if status == 413 else {"bad_request", "bad_body"})
        assert error["message"]

    ask(answering(door), use)
    assert door.orders == []


def test_an_order_that_cannot_be_written_in_time_says_so():
    async def use(client: Client) -> None:
        answer = await client.post("/admin/resume")
        assert (answer.status, (await answer.json())["error"]["message"]) == (503, "no answer in time")

    ask(answering(FakeDoor()), use)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (RulesError("there is no such game"), 400, "there is no such game"),
        (RequestError("the champion is another one", 409), 409, "the champion is another one"),
        (StorageError("the disk is full"), 503, "the disk is full"),
        (ZeroDivisionError("secret"), 500, "a fault of ours: see logs/coordination.log"),
    ],
)
def test_whatever_a_handler_raises_is_an_answer(error: Exception, status: int, message: str):
    async def fail(_request: web.Request) -> web.Response:
        raise error

    async def use(client: Client) -> None:
        answer = await client.post("/admin/promote")
        assert (answer.status, (await answer.json())["error"]["message"]) == (status, message)

    ask(answering(FakeDoor(), {"POST /admin/promote": fail}), use)


def test_the_table_is_told_as_openapi():
    async def use(client: Client) -> None:
        found = await (await client.get("/openapi.json")).json()
        assert found["openapi"].startswith("3.1")
        assert {"get", "post"} <= found["paths"]["/admin/promote"].keys()
        refs = {part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]}
        assert refs <= found["components"]["schemas"].keys()

    ask(answering(FakeDoor()), use)
