"""Orders go to the leader with the user's own credential, once, and with no other authority."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from managers import patience
from p2p.http.access import Access
from p2p.http.forwarding import HOP, Forwarder, Leadership, Leading, forwarded
from p2p.http.guard import PRINCIPAL
from p2p.http.json_answer import Handlers
from p2p.http.node_api import node_app
from p2p.http.request_metrics import RequestMetrics
from p2p.http.routes import ROUTES
from p2p.identity.credentials import Credentials, Token
from tests.guarded_node import bearer

ADMIN = "admin-token-of-a-test"
CLUSTER = "cluster-token-of-a-test"


@dataclass
class Node:
    """A node that leads, or thinks that another one does."""

    name: str
    leads: bool
    leader: Leading | None = None
    trouble: str = ""
    cut_off: str = ""
    silent: bool = False  # it answers nothing
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    done: list[tuple[str, str, str | None]] = field(default_factory=list)  # order, principal, handed on by

    async def handle(self, request: web.Request) -> web.Response:
        self.done.append((request.path, request[PRINCIPAL].value, request.headers.get(HOP)))
        self.asked.set()
        if self.silent:
            await asyncio.sleep(patience.PATIENCE_S + 60)
        return web.json_response({"by": self.name, "body": (await request.read()).decode()}, status=202)


@asynccontextmanager
async def serving(node: Node, credentials: Credentials) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    gate = Access(credentials, None, frozenset(), None).gate(time.monotonic, time.monotonic)
    names = ("POST /admin/halt", "GET /admin/promote/{number}", "POST /admin/daemons/{name}/{action}", "GET /nodes")
    handlers: Handlers = dict.fromkeys(names, node.handle)
    leadership = Leadership(lambda: node.leads, lambda: node.leader, lambda: node.trouble, lambda: node.cut_off)
    async with Forwarder(node.name, leadership) as forwarder:
        app = node_app(forwarded(handlers, forwarder), gate, RequestMetrics({}))
        async with TestClient(TestServer(app)) as client:
            yield client


def tokens() -> Credentials:
    return Credentials(Token(ADMIN, "a test"), Token(CLUSTER, "a test"))


async def told(answer: ClientResponse) -> tuple[int, str, str]:
    error = (await answer.json())["error"]
    return answer.status, error["code"], error["message"]


@asynccontextmanager
async def pair(
    credentials: Credentials, *, second_leads: bool = True, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Node, Node, TestClient[web.Request, web.Application]]]:
    """A follower, a leader, and a client of the follower."""
    first, second = Node("f", leads=False), Node("l", leads=second_leads)
    async with serving(second, credentials) as at_leader, serving(first, credentials) as client:
        first.leader = Leading("l", (f"{host}:{at_leader.port}",))
        second.leader = Leading("f", (f"127.0.0.1:{client.port}",))
        yield first, second, client


def test_an_order_with_a_token_is_done_by_the_leader_and_the_answer_comes_back_as_it_is():
    async def run() -> None:
        async with pair(tokens()) as (first, second, client):
            answer = await client.post("/admin/halt", headers=bearer(ADMIN), json={"reason": "r"})
            assert (answer.status, await answer.json()) == (202, {"by": "l", "body": '{"reason": "r"}'})
            assert (await client.get("/admin/promote/3", headers=bearer(CLUSTER))).status == 202
            assert second.done == [("/admin/halt", "admin", "f"), ("/admin/promote/3", "observer", "f")]
            assert first.done == []

    asyncio.run(run())


def test_what_is_about_one_node_is_done_there():
    async def run() -> None:
        async with pair(tokens()) as (first, second, client):
            assert (await client.post("/admin/daemons/X/stop", headers=bearer(ADMIN))).status == 202
            assert (await client.get("/nodes", headers=bearer(ADMIN))).status == 202
            assert (len(first.done), second.done) == (2, [])

    asyncio.run(run())


def test_a_request_is_handed_on_once_though_both_take_the_other_for_the_leader():
    async def run() -> None:
        async with pair(tokens(), second_leads=False) as (first, second, client):
            status, code, message = await told(await client.post("/admin/halt", headers=bearer(ADMIN)))
            assert (status, code, "handed on already" in message) == (409, "not_leader", True)
            assert (first.done, second.done) == ([], [])

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "10.255.255.1"])
def test_without_a_token_an_order_reaches_only_a_leader_of_this_machine(host: str):
    async def run() -> None:
        async with pair(Credentials(None, None), host=host) as (_, second, client):
            answer = await client.post("/admin/halt")
            if host == "127.0.0.1":
                assert (answer.status, second.done) == (202, [("/admin/halt", "admin", "f")])
            else:
                status, code, message = await told(answer)
                assert (status, code, "l leads, at 10.255.255.1:" in message) == (409, "not_leader", True)
                assert (await answer.json())["error"]["details"]["leader"] == "l"

    asyncio.run(run())


@pytest.mark.parametrize("headers", [{"Cookie": "a=b"}, {"X-Forwarded-For": "203.0.113.9"}])
def test_neither_a_cookie_nor_a_proxied_connection_is_a_credential_that_travels(headers: Mapping[str, str]):
    async def run() -> None:
        async with pair(Credentials(None, None)) as (_, second, client):
            assert (await client.post("/admin/halt", headers=headers)).status in {401, 409}
            assert second.done == []

    asyncio.run(run())


def test_a_leader_that_is_unknown_or_gone_is_said():
    async def run() -> None:
        async with pair(tokens()) as (first, _, client):
            first.leader = None
            assert (await told(await client.post("/admin/halt", headers=bearer(ADMIN))))[:2] == (503, "no_leader")
            first.leader = Leading("l", ("127.0.0.1:1",))
            status, code, message = await told(await client.post("/admin/halt", headers=bearer(ADMIN)))
            assert (status, code, "l at 127.0.0.1:1" in message) == (503, "leader_unreachable", True)

    asyncio.run(run())


async def halted(client: TestClient[web.Request, web.Application]) -> tuple[int, str, str]:
    return await told(await client.post("/admin/halt", headers=bearer(ADMIN)))


def test_whoever_cannot_ask_the_leader_says_why_nothing_can_be_written():
    async def run() -> None:
        async with pair(tokens()) as (first, _, client):
            first.trouble, first.leader = "missing: b, c", None
            assert await halted(client) == (503, "no_leader", "no leader is known now: missing: b, c; try again")
            first.leader = Leading("l", ("127.0.0.1:1",))
            assert (await halted(client))[2].endswith("missing: b, c")

    asyncio.run(run())


def test_nobody_is_sent_to_a_leader_that_cannot_be_there():
    async def run() -> None:
        async with pair(Credentials(None, None), host="10.255.255.1") as (first, _, client):
            first.trouble = "missing: b, c"
            text = "the leader cannot be asked now: missing: b, c; try again"
            assert await told(await client.post("/admin/halt")) == (503, "no_leader", text)

    asyncio.run(run())


@pytest.mark.parametrize("why", ["missing: b, c", "n leads now"])
def test_a_leader_that_answers_nothing_is_given_up_when_it_is_known_to_lead_no_more(why: str, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)

    async def run() -> None:
        async with pair(tokens()) as (first, second, client):
            second.silent, first.trouble = True, "its own disk is full, which says nothing of the leader"
            asked = asyncio.create_task(halted(client))
            await second.asked.wait()
            if "leads" in why:
                first.leader = Leading("n", ("127.0.0.1:1",))
            else:
                first.cut_off = why
            status, code, message = await asked
            assert (status, code) == (503, "leader_unreachable")
            assert f"l has not answered ({why}); what was asked may have been done or not" in message

    asyncio.run(run())


def test_all_orders_but_those_about_one_node_are_handed_on():
    orders = [it for it in ROUTES if it.method == "POST" and it.pattern.startswith("/admin/")]
    kept = [it.pattern for it in orders if not it.forwarded]
    assert kept == ["/admin/sync", "/admin/daemons/{name}/{action}"]
    assert not any(it.forwarded for it in ROUTES if not it.pattern.startswith("/admin/"))
