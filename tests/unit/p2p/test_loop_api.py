"""What a loop answers: questions on loopback, orders on the socket, errors as JSON, whatever is sent."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from config.schema import Settings
from config.sections import NodeSettings
from managers.health import Health
from managers.state.cluster_state import ClusterState, Result
from managers.status import Sight, status_of
from managers.status_records import Status, encode_status
from p2p.http.errors import RequestError
from p2p.http.loop_api import BODY_BYTES_MAX, loopback_app, socket_app
from ringrift_core.errors import RulesError, StorageError
from tests.loop_states import GAME, Loop

Client = TestClient[web.Request, web.Application]
SETTINGS = Settings(node=NodeSettings(node_id="here"))


class FakeDoor:
    """A loop that remembers its orders."""

    def __init__(self) -> None:
        self.state: ClusterState = Loop().state
        self.status: Status = status_of(Sight(self.state, SETTINGS, 1.0, (GAME,)))
        self.content = encode_status(self.status)
        self.is_well = Health(status="ok")
        self.orders: list[str] = []

    def health(self) -> Health:
        return self.is_well

    async def halt(self, reason: str) -> Result:
        self.orders.append(reason)
        return Result(accepted=len(self.orders) == 1, seq=7, reason="" if len(self.orders) == 1 else "halted already")

    async def resume(self) -> Result:
        raise TimeoutError


def ask(app: web.Application, use: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with TestClient(TestServer(app)) as client:
            await use(client)

    asyncio.run(run())


def test_health_status_and_metrics_are_served_on_loopback():
    door = FakeDoor()

    async def use(client: Client) -> None:
        health = await client.get("/health")
        assert (health.status, (await health.json())["status"]) == (200, "ok")
        status = await client.get("/status")
        assert await status.read() == door.content
        metrics = await client.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "ringrift_model_rollbacks_total" in await metrics.text()

    ask(loopback_app(door), use)


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("halted", 200), ("failing", 503)])
def test_only_a_loop_that_fails_is_unavailable(status: str, code: int):
    door = FakeDoor()
    door.is_well = Health.model_validate({"status": status, "reasons": ("the disk is full",)})

    async def use(client: Client) -> None:
        answer = await client.get("/health")
        assert answer.status == code
        assert (await answer.json())["reasons"] == ["the disk is full"]

    ask(loopback_app(door), use)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "", "[::2]:9090", ":9"]
)
def test_a_name_of_another_site_that_leads_here_is_refused(host: str):
    async def use(client: Client) -> None:
        answer = await client.get("/status", headers={"Host": host})
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "forbidden"

    ask(loopback_app(FakeDoor()), use)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:9090", "127.0.0.1:1", "[::1]:9090", "[::1]"])
def test_the_names_of_this_machine_are_taken(host: str):
    async def use(client: Client) -> None:
        assert (await client.get("/health", headers={"Host": host})).status == 200

    ask(loopback_app(FakeDoor()), use)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/health", "/admin/halt", "/nowhere"])
def test_loopback_takes_questions_only(method: str, path: str):
    door = FakeDoor()

    async def use(client: Client) -> None:
        answer = await client.request(method, path)
        assert answer.status == 405
        assert (await answer.json())["error"]["code"] == "method_not_allowed"
        assert answer.headers["Allow"] == "GET,HEAD"

    ask(loopback_app(door), use)
    assert door.orders == []


def test_the_routes_of_orders_are_not_on_loopback_at_all():
    async def use(client: Client) -> None:
        answer = await client.get("/admin/halt")
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")

    ask(loopback_app(FakeDoor()), use)


def test_a_halt_is_handed_on_with_its_reason_and_repeated_without_harm():
    door = FakeDoor()

    async def use(client: Client) -> None:
        first = await client.post("/admin/halt", json={"reason": "the fan is loud"})
        assert await first.json() == {"changed": True, "seq": 7, "reason": ""}
        second = await client.post("/admin/halt")
        assert await second.json() == {"changed": False, "seq": 7, "reason": "halted already"}

    ask(socket_app(door), use)
    assert door.orders == ["the fan is loud", "no reason given"]


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
        assert error["code"] == ("too_large" if status == 413 else "bad_request")
        assert error["message"]

    ask(socket_app(door), use)
    assert door.orders == []


def test_an_order_that_cannot_be_written_in_time_says_so():
    async def use(client: Client) -> None:
        answer = await client.post("/admin/resume")
        assert (answer.status, (await answer.json())["error"]["message"]) == (503, "no answer in time")

    ask(socket_app(FakeDoor()), use)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (RulesError("there is no such game"), 400, "there is no such game"),
        (RequestError("the champion is another one", 409), 409, "the champion is another one"),
        (StorageError("the disk is full"), 503, "the disk is full"),
        (ZeroDivisionError("secret"), 500, "a fault of ours: see logs/coordination.log"),
    ],
)
def test_whatever_a_route_of_others_raises_is_an_answer(error: Exception, status: int, message: str):
    async def fail(_request: web.Request) -> web.Response:
        raise error

    async def use(client: Client) -> None:
        answer = await client.post("/admin/promote")
        assert (answer.status, (await answer.json())["error"]["message"]) == (status, message)

    ask(socket_app(FakeDoor(), [web.post("/admin/promote", fail)]), use)
