"""Calls from node to node: signed, bounded, to the address that answers, and every way they go wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from managers.circuit_breaker import Circuit, CircuitBreaker
from managers.state.commands import Join
from p2p.http.guard import SENDER
from p2p.http.node_calls import (
    OFFSET_MAX_S,
    AnswerTooLarge,
    CallError,
    CallRefused,
    CallTimedOut,
    NodeCalls,
    Unreachable,
)
from tests.mesh_nodes import WALL, Mesh

NOBODY = "127.0.0.1:1"  # a port that nobody listens at


async def who(request: web.Request) -> web.StreamResponse:
    """Who asks, by the guard."""
    return web.json_response({"from": request[SENDER], "query": request.query_string})


def mesh(**ahead_s: float) -> Mesh:
    made = Mesh(ahead_s=ahead_s)
    made.join("a", "b", "c")
    return made


async def ask(calls: NodeCalls, path: str = "/jobs?kind=a%20b", bytes_max: int = 1000, timeout_s: float = 5.0) -> bytes:
    return await calls.ask("b", "GET", path, timeout_s=timeout_s, bytes_max=bytes_max)


def run(made: Mesh, test: Callable[[NodeCalls], Awaitable[None]], breaker: CircuitBreaker | None = None) -> None:
    """A test with the calls of `a` to `b`, behind the real guard."""

    async def inside() -> None:
        async with made.serving("b", {"GET /jobs": who, "POST /admin/halt": who}), made.calls("a", breaker) as calls:
            await test(calls)

    asyncio.run(inside())


def test_a_member_is_asked_under_its_own_name_with_the_query_as_it_was_signed():
    async def test(calls: NodeCalls) -> None:
        assert await ask(calls) == b'{"from": "a", "query": "kind=a b"}'

    run(mesh(), test)


def test_a_refusal_has_status_code_and_words():
    async def test(calls: NodeCalls) -> None:
        with pytest.raises(CallRefused) as caught:
            await calls.ask("b", "POST", "/admin/halt", b"{}", timeout_s=5.0, bytes_max=100)
        assert (caught.value.status, caught.value.code, caught.value.node) == (403, "not_allowed", "b")
        assert "worker may not POST /admin/halt" in str(caught.value)

    run(mesh(), test)


@pytest.mark.parametrize("ahead_s", [-OFFSET_MAX_S + 1, 100.0, OFFSET_MAX_S - 1])
def test_a_clock_that_is_off_is_learned_and_the_call_repeated(ahead_s: float):
    async def test(calls: NodeCalls) -> None:
        for _ in range(2):
            assert (await ask(calls)).startswith(b'{"from": "a"')

    run(mesh(b=ahead_s), test)


@pytest.mark.parametrize("ahead_s", [-OFFSET_MAX_S - 100, OFFSET_MAX_S + 100])
def test_a_clock_that_is_too_far_off_is_not_followed(ahead_s: float):
    async def test(calls: NodeCalls) -> None:
        with pytest.raises(CallRefused, match="s apart; set the one that is wrong"):
            await ask(calls)

    run(mesh(b=ahead_s), test)


@pytest.mark.parametrize("told", ['"x"', "true", "null", "1e999", "-1e999", "NaN", f"{WALL}"])
def test_a_server_time_that_is_none_moves_no_clock(told: str):
    made, asked = mesh(), []

    async def liar(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        details = f'{{"server_time": {told}}}'
        text = f'{{"error": {{"code": "clock_off", "message": "m", "details": {details}}}}}'
        return web.Response(status=401, text=text)

    async def inside() -> None:
        app = web.Application()
        app.add_routes([web.get("/jobs", liar)])
        async with made.raw("b", app), made.calls("a") as calls:
            with pytest.raises(CallRefused):
                await ask(calls)

    asyncio.run(inside())
    assert len(asked) == 1


def test_the_next_address_is_tried_and_the_one_that_answered_comes_first_then():
    made = mesh()

    async def test(calls: NodeCalls) -> None:
        good = made.addresses["b"][0]
        made.addresses["b"] = (NOBODY, good)
        assert await ask(calls)
        made.addresses["b"] = (NOBODY, good, NOBODY)
        assert await ask(calls)

    run(made, test)


def test_somebody_else_at_a_former_address_is_passed_by():
    made = mesh()

    async def test(calls: NodeCalls) -> None:
        async with made.serving("c", {"GET /jobs": who}):
            made.addresses["b"] = (*made.addresses["c"], *made.addresses["b"])
            assert await ask(calls)
            made.addresses["b"] = made.addresses["c"]
            with pytest.raises(Unreachable, match="this node is c"):
                await ask(calls)

    run(made, test)


def test_nobody_there_opens_the_circuit_and_a_refusal_does_not():
    made, breaker = mesh(), CircuitBreaker(failure_threshold=2)

    async def test(calls: NodeCalls) -> None:
        for _ in range(4):
            with pytest.raises(CallRefused):
                await ask(calls, "/status")  # nobody handles it here
        assert breaker.circuit("b") is Circuit.CLOSED
        made.addresses["b"] = (NOBODY,)
        for _ in range(2):
            with pytest.raises(Unreachable, match=NOBODY):
                await ask(calls)
        assert breaker.circuit("b") is Circuit.OPEN
        with pytest.raises(Unreachable, match="left alone"):
            await ask(calls)

    run(made, test, breaker)


def test_a_node_without_an_address_cannot_be_called():
    made = mesh()

    async def test(calls: NodeCalls) -> None:
        made.addresses["b"] = ()
        with pytest.raises(Unreachable, match="no address of it is known"):
            await ask(calls)

    run(made, test)


def test_an_answer_is_read_up_to_the_bound_only():
    async def test(calls: NodeCalls) -> None:
        size = len(await ask(calls))
        assert len(await ask(calls, bytes_max=size)) == size
        with pytest.raises(AnswerTooLarge):
            await ask(calls, bytes_max=size - 1)

    run(mesh(), test)


def strange(handler: Callable[[web.Request], Awaitable[web.StreamResponse]], error: type[CallError]) -> list[str]:
    """Who is reached when `b` answers so, and how the call ends."""
    made, reached = mesh(), list[str]()

    async def any_path(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        return await handler(request)

    async def inside() -> None:
        app = web.Application()
        app.add_routes([web.get("/{path:.*}", any_path)])
        breaker = CircuitBreaker(failure_threshold=1)
        async with made.raw("b", app), made.calls("a", breaker) as calls:
            with pytest.raises(error):
                await ask(calls, "/jobs", timeout_s=0.3)

    asyncio.run(inside())
    return reached


async def redirect(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 4096)


async def trickling(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x")
        await asyncio.sleep(0.05)


async def broken_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"x")
    assert request.transport is not None
    request.transport.close()
    return answer


async def nonsense(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, body=b'{"error": []}')


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (redirect, CallRefused),
        (silent, CallTimedOut),
        (endless, AnswerTooLarge),
        (trickling, CallTimedOut),
        (broken_off, Unreachable),
        (nonsense, CallRefused),
    ],
)
def test_a_strange_answer_is_an_error_of_its_kind_and_nobody_else_is_asked(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], error: type[CallError]
):
    assert strange(handler, error) == ["/jobs"]


def test_an_order_that_may_have_been_taken_is_not_sent_to_another_address():
    made, taken = mesh(), []

    async def take(request: web.Request) -> web.StreamResponse:
        taken.append(await request.read())
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def inside() -> None:
        app = web.Application()
        app.add_routes([web.post("/admin/halt", take)])
        async with made.raw("b", app), made.calls("a") as calls:
            made.addresses["b"] *= 2
            with pytest.raises(Unreachable):
                await calls.ask("b", "POST", "/admin/halt", b"{}", timeout_s=5.0, bytes_max=100)

    asyncio.run(inside())
    assert taken == [b"{}"]


def test_the_errors_of_whoever_reads_an_answer_are_not_taken_for_those_of_the_node():
    breaker = CircuitBreaker(failure_threshold=1)

    async def ranged(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=b"0123")

    async def inside() -> None:
        made = mesh()
        app = web.Application()
        app.add_routes([web.get("/blob", ranged)])
        async with made.raw("b", app), made.calls("a", breaker) as calls:
            for error in (OSError("disk"), TimeoutError()):
                with pytest.raises(type(error)):
                    async with calls.part("b", "/blob", 0, 4, timeout_s=5.0, silence_s=1.0):
                        raise error

    asyncio.run(inside())
    assert breaker.circuit("b") is Circuit.CLOSED


def test_a_part_is_no_longer_than_what_was_asked():
    async def ranged(request: web.Request) -> web.StreamResponse:
        assert request.headers["Range"] == "bytes=2-5"
        return web.Response(status=206, body=b"0123456789")

    async def inside() -> None:
        made = mesh()
        app = web.Application()
        app.add_routes([web.get("/blob", ranged)])
        async with made.raw("b", app), made.calls("a") as calls:
            with pytest.raises(AnswerTooLarge):
                async with calls.part("b", "/blob", 2, 6, timeout_s=5.0, silence_s=1.0) as parts:
                    assert [part async for part in parts]

    asyncio.run(inside())


def test_a_member_that_has_left_is_refused_by_the_others():
    made = mesh()

    async def test(calls: NodeCalls) -> None:
        made.cluster = type(made.cluster)()
        made.cluster.do(Join(node="b", session=1, cores=1))
        with pytest.raises(CallRefused, match="a is no member"):
            await ask(calls)

    run(made, test)


def test_a_node_that_begins_a_new_life_is_asked_at_once_though_it_was_left_alone():
    made, breaker = mesh(), CircuitBreaker(failure_threshold=1)

    async def test(calls: NodeCalls) -> None:
        there = made.addresses["b"]
        made.addresses["b"] = (NOBODY,)
        with pytest.raises(Unreachable):
            await ask(calls)
        made.addresses["b"] = there
        with pytest.raises(Unreachable, match="left alone"):
            await ask(calls)
        calls.begun("c")
        with pytest.raises(Unreachable, match="left alone"):
            await ask(calls)
        calls.begun("b")
        assert await ask(calls)

    run(made, test, breaker)
