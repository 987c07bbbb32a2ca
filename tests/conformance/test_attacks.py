"""Attacks on a node's port: each is refused with its status, tells the log once, and reaches no handler."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from p2p.identity.envelope import HEADER
from p2p.identity.principals import Principal
from p2p.identity.sessions import TTL_S
from tests.guarded_node import (
    ADMIN_TOKEN,
    BODY_BYTES_MAX,
    CLUSTER_TOKEN,
    LIMITS,
    SOON,
    VOTER,
    WORKER,
    Answer,
    Node,
    bearer,
    guarded_node,
    key_of,
    tokens,
)

Attack = Callable[[Node], Awaitable[Answer]]
FAR = {"X-Forwarded-For": "203.0.113.9"}
ADMIN = bearer(ADMIN_TOKEN)
REASON = b'{"reason": "x"}'


def ask(method: str, target: str, *headers: dict[str, str], body: bytes = b"", host: str | None = None) -> Attack:
    """One request."""
    merged = {name: value for header in headers for name, value in header.items()}
    return lambda node: node.ask(method, target, merged, body, host=host)


def sealed(method: str = "GET", target: str = "/status", body: bytes = b"", **wrong) -> Attack:
    """A signed call in which something is wrong."""
    return lambda node: node.ask(method, target, FAR | node.envelope(method, target, body, **wrong), body)


def send(*parts: bytes) -> Attack:
    """Bytes as they are."""
    return lambda node: node.send(*(part.replace(b"PORT", str(node.port).encode()) for part in parts))


async def session(node: Node, token: str = ADMIN_TOKEN) -> dict[str, str]:
    """The cookie of a new session."""
    answer = await node.ask("POST", "/session", {}, json.dumps({"token": token}).encode())
    assert answer.status == 200, answer
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


async def replayed(node: Node) -> Answer:
    header = node.envelope("GET", "/status")
    first = await node.ask("GET", "/status", FAR | header)
    assert first.status == 200
    node.reached.clear()
    return await node.ask("GET", "/status", FAR | header)


async def replayed_after_others(node: Node) -> Answer:
    old, new = node.envelope("GET", "/status", late_s=3), node.envelope("GET", "/status")
    for header in (new, old):  # another order is fine
        assert (await node.ask("GET", "/status", FAR | header)).status == 200
    node.reached.clear()
    return await node.ask("GET", "/status", FAR | old)


async def other_body(node: Node) -> Answer:
    header = node.envelope("POST", "/admin/halt", b"{}", sender=VOTER)
    return await node.ask("POST", "/admin/halt", FAR | header, b"{ }")


async def other_path(node: Node) -> Answer:
    return await node.ask("GET", "/status?peers=full", FAR | node.envelope("GET", "/status"))


async def other_method(node: Node) -> Answer:
    return await node.ask("HEAD", "/status", FAR | node.envelope("GET", "/status"))


async def expired_session(node: Node) -> Answer:
    cookie = await session(node)
    node.monotonic_s += TTL_S
    return await node.ask("GET", "/status", cookie)


async def ended_session(node: Node) -> Answer:
    cookie = await session(node)
    origin = {"Origin": f"http://localhost:{node.port}"}
    assert (await node.ask("DELETE", "/session", cookie | origin)).status == 200
    return await node.ask("GET", "/status", cookie)


async def broken_off(node: Node) -> Answer:
    _, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(HEAD.replace(b"PORT", str(node.port).encode()) + b"Content-Length: 10\r\n\r\n[")
    await writer.drain()
    await node.ask("GET", "/health")  # the node has seen the headers
    node.reached.clear()
    writer.close()
    await writer.wait_closed()
    await node.ask("GET", "/health")
    node.reached.clear()
    return Answer(0, {}, b"")


def with_session(method: str, target: str, *headers: dict[str, str], token: str = ADMIN_TOKEN) -> Attack:
    """A request with the cookie of a session."""

    async def attack(node: Node) -> Answer:
        merged = {name: value for header in headers for name, value in header.items()}
        return await node.ask(method, target, merged | await session(node, token))

    return attack


async def same_host_other_port(node: Node) -> Answer:
    return await node.ask("POST", "/admin/halt", await session(node) | {"Origin": f"http://localhost:{node.port + 1}"})


async def other_scheme(node: Node) -> Answer:
    return await node.ask("POST", "/admin/halt", await session(node) | {"Origin": f"https://localhost:{node.port}"})


EVIL = {"Origin": "http://evil.example"}
CROSS = {"Sec-Fetch-Site": "cross-site"}
SAME_SITE = {"Sec-Fetch-Site": "same-site"}
HEAD = b"POST /admin/halt HTTP/1.1\r\nHost: localhost:PORT\r\nAuthorization: Bearer " + ADMIN_TOKEN.encode() + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW_HEADERS = (
    b"GET /status HTTP/1.1\r\nHost: localhost:PORT\r\n",
    *(b"X-%d: y\r\n" % number for number in range(200)),
)
SLOW_BODY = (HEAD + b"Content-Length: 400\r\n\r\n", *([b" "] * 399))

ATTACKS: dict[str, tuple[Attack, int, str]] = {
    # what is shown
    "no token from outside": (ask("GET", "/status", FAR), 401, "no_credential"),
    "no token for an order": (ask("POST", "/admin/halt"), 401, "no_credential"),
    "no token for an order from outside": (ask("POST", "/admin/halt", FAR), 401, "no_credential"),
    "forwarded by a proxy": (ask("GET", "/status", {"Via": "1.1 tunnel"}), 401, "no_credential"),
    "forwarded, said in the new way": (ask("GET", "/status", {"Forwarded": "for=127.0.0.1"}), 401, "no_credential"),
    "wrong token": (ask("GET", "/status", bearer("x" * 24)), 401, "wrong_token"),
    "wrong token where anybody may ask": (ask("GET", "/health", bearer("x" * 24)), 401, "wrong_token"),
    "wrong token for an order": (ask("POST", "/admin/halt", bearer("x" * 24)), 401, "wrong_token"),
    "token in other letters": (ask("GET", "/status", bearer(ADMIN_TOKEN.upper())), 401, "wrong_token"),
    "beginning of the token": (ask("GET", "/status", bearer(ADMIN_TOKEN[:-1])), 401, "wrong_token"),
    "another scheme": (ask("GET", "/status", {"Authorization": "Basic YTpi"}), 401, "wrong_token"),
    "empty credential": (ask("GET", "/status", {"Authorization": ""}), 401, "wrong_token"),
    "cluster token for an order": (ask("POST", "/admin/halt", bearer(CLUSTER_TOKEN)), 403, "not_allowed"),
    "two credentials": (
        lambda node: node.ask("GET", "/status", ADMIN | node.envelope("GET", "/status")), 400, "several_credentials",
    ),
    "the same header twice": (
        send(HEAD + b"Authorization: Bearer x\r\nConnection: close\r\n\r\n"), 400, "several_credentials",
    ),
    # envelopes
    "replay": (replayed, 401, "replayed"),
    "replay in another order": (replayed_after_others, 401, "replayed"),
    "other audience": (sealed(audience="node-2"), 401, "other_audience"),
    "other cluster": (sealed(cluster="c-2"), 401, "other_cluster"),
    "older epoch": (sealed("POST", "/admin/halt", b"{}", epoch=4), 409, "old_epoch"),
    "old clock": (sealed(late_s=61), 401, "clock_off"),
    "clock ahead": (sealed(late_s=-61), 401, "clock_off"),
    "unknown sender": (sealed(sender="worker-8"), 401, "unknown_sender"),
    "key of another node": (sealed(sender=VOTER, key=key_of(WORKER)), 401, "bad_signature"),
    "tampered body": (other_body, 401, "bad_signature"),
    "tampered query": (other_path, 401, "bad_signature"),
    "tampered method": (other_method, 401, ""),
    "worker key on an admin route": (sealed("POST", "/admin/halt", b"{}"), 403, "not_allowed"),
    "voter key on an admin route": (sealed("POST", "/admin/halt", sender=VOTER), 403, "not_allowed"),
    "worker key on a question of admins": (sealed("GET", "/admin/promote"), 403, "not_allowed"),
    "no envelope in the header": (ask("GET", "/status", {HEADER: "e30"}), 400, "malformed_envelope"),
    "long envelope": (ask("GET", "/status", {HEADER: "a" * 1025}), 400, "malformed_envelope"),
    # sessions
    "session from a foreign page": (with_session("GET", "/status", EVIL), 401, "foreign_page"),
    "session from a cross-site stream": (with_session("GET", "/status", CROSS), 401, "foreign_page"),
    "order by session from a foreign page": (with_session("POST", "/admin/halt", EVIL), 403, "foreign_page"),
    "order by session from another port": (same_host_other_port, 403, "foreign_page"),
    "order by session from another scheme": (other_scheme, 403, "foreign_page"),
    "expired session": (expired_session, 401, "session_over"),
    "ended session": (ended_session, 401, "session_over"),
    "invented session": (
        lambda node: node.ask("GET", "/status", {"Cookie": f"ringrift_session_{node.port}=x"}), 401, "session_over",
    ),
    "order by a session of an observer": (
        with_session("POST", "/admin/halt", token=CLUSTER_TOKEN), 403, "not_allowed",
    ),
    "session for a wrong token": (ask("POST", "/session", body=b'{"token": "x"}'), 401, "wrong_token"),
    "session asked for by a foreign page": (
        ask("POST", "/session", EVIL, body=json.dumps({"token": ADMIN_TOKEN}).encode()), 403, "foreign_page",
    ),
    # pages and names
    "foreign origin": (ask("POST", "/admin/halt", ADMIN, EVIL), 403, "foreign_page"),
    "origin of nobody": (ask("POST", "/admin/halt", ADMIN, {"Origin": "null"}), 403, "foreign_page"),
    "cross-site fetch": (ask("POST", "/admin/halt", ADMIN, CROSS), 403, "foreign_page"),
    "same-site fetch": (ask("POST", "/admin/halt", ADMIN, SAME_SITE), 403, "foreign_page"),
    "stream of a foreign page on loopback": (ask("GET", "/status", EVIL), 401, "no_credential"),
    "foreign host": (ask("GET", "/status", host="evil.example"), 421, "other_host"),
    "foreign host, right token": (ask("GET", "/status", ADMIN, host="evil.example"), 421, "other_host"),
    "host that begins like ours": (ask("GET", "/health", host="localhost.evil.example"), 421, "other_host"),
    "host with a user": (ask("GET", "/health", host="localhost@evil.example"), 421, "other_host"),
    "host of the old protocol": (send(b"GET /health HTTP/1.0\r\n\r\n"), 421, "other_host"),
    # paths
    "method not allowed": (ask("PUT", "/status", ADMIN), 405, "method_not_allowed"),
    "another method": (ask("PROPFIND", "/status", ADMIN), 405, "method_not_allowed"),
    "no such path": (ask("GET", "/nowhere", ADMIN), 404, "not_found"),
    "a handler that is not in the table": (ask("GET", "/secrets", ADMIN), 404, "not_found"),
    "an order that is not in the table": (ask("POST", "/secrets", ADMIN), 404, "not_found"),
    "a handler for more than its row": (ask("POST", "/admin/resume", ADMIN), 404, "not_found"),
    "escaped path": (ask("POST", "/%61dmin/halt", ADMIN), 404, "not_found"),
    "path with dots": (ask("POST", "/jobs/../admin/halt", ADMIN), 404, "not_found"),
    "path of the whole": (ask("GET", "http://localhost/status", ADMIN), 404, "not_found"),
    "path of a megabyte": (ask("GET", "/jobs/" + "x" * 3000, ADMIN), 404, "not_found"),
    # bodies
    "oversized body": (ask("POST", "/admin/halt", ADMIN, body=b" " * (BODY_BYTES_MAX + 1)), 413, "too_large"),
    "malformed JSON": (ask("POST", "/admin/halt", ADMIN, body=b'{"reason": '), 400, "bad_body"),
    "non-JSON body": (ask("POST", "/admin/halt", ADMIN, body=b"reason=x"), 400, "bad_body"),
    "deep JSON": (ask("POST", "/admin/halt", ADMIN, body=b"[" * 33 + b"]" * 33), 400, "bad_body"),
    "JSON of other bytes": (ask("POST", "/admin/halt", ADMIN, body='{"a": 1}'.encode("utf-16")), 400, "bad_body"),
    "packed body": (ask("POST", "/admin/halt", ADMIN, {"Content-Encoding": "gzip"}, body=REASON), 415, "encoded_body"),
    "question with a body": (ask("GET", "/status", ADMIN, body=REASON), 400, "bad_body"),
    "slow body": (send(*SLOW_BODY), 408, "slow_body"),
    "slow headers": (send(*SLOW_HEADERS), 0, "slow_headers"),
    # no HTTP
    "no HTTP": (send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400, "no_http"),
    "unknown method": (ask("BREW", "/status", ADMIN), 400, "no_http"),
    "no host": (send(b"GET /health HTTP/1.1\r\n\r\n"), 400, "no_http"),
    "two hosts": (send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"), 400, "no_http"),
    "broken chunks": (send(CHUNKED + b"zz\r\n"), 400, "no_http"),
    "broken chunks, later": (send(CHUNKED, b"zz\r\n"), 408, "slow_body"),
    "broken chunks of a stranger": (send(CHUNKED.replace(b"Bearer a", b"Bearer b"), b"zz\r\n"), 401, "wrong_token"),
    "body broken off": (broken_off, 0, "bad_body"),
    "long header": (send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"y" * 9000, b"\r\n\r\n"), 400, "no_http"),
    "two lengths": (send(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"), 400, "no_http"),
}  # fmt: skip


UNANSWERED = {"slow_headers": 408, "bad_body": 400}  # what the log says where the connection is gone


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_told_once_and_reaches_nobody(name: str, caplog: pytest.LogCaptureFixture):
    attack, status, code = ATTACKS[name]

    async def run() -> None:
        async with guarded_node(limits=SOON if "slow" in code or "broken" in name else LIMITS) as node:
            answer = await attack(node)
            assert answer.status == status
            if answer.body and code not in {"", "no_http"}:
                assert answer.code == code
            assert status != 401 or answer.headers["Www-Authenticate"].startswith("Bearer")
            assert node.reached == []

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"refused {status or UNANSWERED[code]} {code}")
    assert lines[0].isascii()
    assert not any(token in lines[0] for token in (ADMIN_TOKEN, CLUSTER_TOKEN))


GOOD: dict[str, tuple[Attack, Principal]] = {
    "anybody asks for health": (ask("GET", "/health", FAR), Principal.ANYBODY),
    "loopback asks": (ask("GET", "/status"), Principal.OBSERVER),
    "loopback asks for what admins ask": (ask("GET", "/admin/promote"), Principal.OBSERVER),
    "a person at the address line": (ask("GET", "/status", {"Sec-Fetch-Site": "none"}), Principal.OBSERVER),
    "by another name of the node": (ask("GET", "/status", host="Node.Example:8770"), Principal.OBSERVER),
    "by its address": (ask("GET", "/status", host="127.0.0.1"), Principal.OBSERVER),
    "an admin from outside": (ask("POST", "/admin/halt", FAR, ADMIN, body=b"{}"), Principal.ADMIN),
    "an admin without a body": (ask("POST", "/admin/halt", ADMIN), Principal.ADMIN),
    "the scheme in other letters": (
        ask("POST", "/admin/halt", {"Authorization": f"bearer {ADMIN_TOKEN}"}), Principal.ADMIN,
    ),
    "the cluster token reads": (ask("GET", "/jobs/17", FAR, bearer(CLUSTER_TOKEN)), Principal.OBSERVER),
    "a worker": (sealed(), Principal.WORKER),
    "a worker that is ahead by an epoch": (sealed(epoch=6), Principal.WORKER),
    "a worker whose clock is a minute late": (sealed(late_s=59), Principal.WORKER),
    "a voter": (sealed(target="/status?a=b", sender=VOTER), Principal.VOTER),
    "a session": (with_session("POST", "/admin/halt", FAR), Principal.ADMIN),
    "a session of an observer": (with_session("GET", "/status", FAR, token=CLUSTER_TOKEN), Principal.OBSERVER),
    "deep, but not too deep": (
        ask("GET", "/health", {"X-Nothing": "[" * 100}), Principal.OBSERVER,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_let_in_and_told_nowhere(name: str, caplog: pytest.LogCaptureFixture):
    good, principal = GOOD[name]

    async def run() -> None:
        async with guarded_node() as node:
            answer = await good(node)
            assert answer.status == 200, answer
            assert json.loads(answer.body) == {"principal": principal}
            assert [row[2] for row in node.reached] == [principal]

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert caplog.records == []


def test_without_an_admin_token_loopback_may_order_and_a_foreign_page_may_not():
    async def run() -> None:
        async with guarded_node(tokens(admin=None)) as node:
            assert (await node.ask("POST", "/admin/halt")).status == 200
            assert (await node.ask("POST", "/admin/halt", FAR)).status == 401
            assert (await node.ask("POST", "/admin/halt", EVIL)).status == 403
            assert (await node.ask("POST", "/admin/halt", host="evil.example")).status == 421
            assert [row[2] for row in node.reached] == [Principal.ADMIN]

    asyncio.run(run())


def test_a_page_of_the_node_may_order_with_its_session_and_cannot_read_its_cookie():
    async def run() -> None:
        async with guarded_node() as node:
            own = {"Origin": f"http://localhost:{node.port}", "Sec-Fetch-Site": "same-origin"}
            answer = await node.ask("POST", "/session", own, json.dumps({"token": ADMIN_TOKEN}).encode())
            cookie = answer.headers["Set-Cookie"]
            assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
            assert ADMIN_TOKEN not in cookie
            ordered = await node.ask("POST", "/admin/halt", own | {"Cookie": cookie.partition(";")[0]})
            assert ordered.status == 200

    asyncio.run(run())


def test_a_wrong_clock_is_answered_with_the_right_time_and_the_next_call_is_taken():
    async def run() -> None:
        async with guarded_node() as node:
            refused = await node.ask("GET", "/status", FAR | node.envelope("GET", "/status", late_s=3600))
            offset = json.loads(refused.body)["error"]["details"]["server_time"] - (node.wall_s - 3600)
            taken = await node.ask("GET", "/status", FAR | node.envelope("GET", "/status", late_s=3600 - offset))
            assert taken.status == 200

    asyncio.run(run())


def test_a_browser_whose_session_is_over_forgets_its_cookie_and_may_begin_another():
    async def run() -> None:
        async with guarded_node() as node:
            stale = {"Cookie": f"ringrift_session_{node.port}=gone"}
            refused = await node.ask("GET", "/status", stale)
            assert f"ringrift_session_{node.port}=" in refused.headers["Set-Cookie"]
            assert "Max-Age=0" in refused.headers["Set-Cookie"]
            body = json.dumps({"token": ADMIN_TOKEN}).encode()
            assert (await node.ask("POST", "/session", stale, body)).status == 200

    asyncio.run(run())


def test_what_gets_no_place_is_closed_and_a_place_is_free_again_later(caplog: pytest.LogCaptureFixture):
    async def run() -> None:
        async with guarded_node(limits=SOON) as node:
            held = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(4)]
            assert (await node.ask("GET", "/health")).status == 0
            for reader, writer in held:  # idle ones are closed in time, by nobody's wish and without a line
                assert await asyncio.wait_for(reader.read(), 20) == b""
                writer.close()
            assert (await node.ask("GET", "/health")).status == 200

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "refused 503 too_many_connections: * '*' from 127.0.0.1"
    ]
