"""Connections between voters on loopback: who dials whom, which one stays, and what ends one."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from p2p.consensus import links as module
from p2p.consensus.channel import Party
from p2p.consensus.links import Links, LinkTiming
from p2p.consensus.pipe import Peer
from tests.guarded_node import CLUSTER, key_of

A, B = "voter-a", "voter-b"
WAIT_S = 20.0
SOON = LinkTiming(handshake_s=1.0, idle_s=0.6, keep_alive_s=0.1, pause_min_s=0.02, pause_max_s=0.1, larger_waits_s=0.0)


class Told:
    """What one voter is told, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def connected(self, peer: str) -> None:
        assert self.last(peer) in {None, "-"}, "connected twice"
        self.heard.append((peer, "+"))

    def disconnected(self, peer: str) -> None:
        assert self.last(peer) != "-", "disconnected twice"
        self.heard.append((peer, "-"))

    def received(self, peer: str, frame: bytes) -> None:
        assert self.last(peer) not in {None, "-"}, "a frame of nobody"
        self.heard.append((peer, frame))

    def last(self, peer: str) -> object:
        return next((what for who, what in reversed(self.heard) if who == peer), None)


class End:
    """One voter's end."""

    def __init__(self, node: str, links: Links, told: Told, port: int) -> None:
        self.node, self.links, self.told, self.port = node, links, told, port

    def peer(self, key: str | None = None) -> Peer:
        return Peer(self.node, "127.0.0.1", self.port, key_of(key or self.node).public)

    def nowhere(self) -> Peer:
        """Known, but where nobody listens."""
        return Peer(self.node, "127.0.0.1", 1, key_of(self.node).public)


@asynccontextmanager
async def ends(*nodes: str, timing: LinkTiming = SOON, keys: dict[str, str] | None = None) -> AsyncIterator[list[End]]:
    found = []
    async with AsyncExitStack() as stack:
        for node in nodes:
            told = Told()
            me = Party(CLUSTER, node, key_of((keys or {}).get(node, node)))
            links = await stack.enter_async_context(Links(me, told, secrets.token_bytes, timing))
            found.append(End(node, links, told, await links.listen("127.0.0.1", 0)))
        yield found


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not what():  # noqa: ASYNC110 - there is no event for what is looked at
            await asyncio.sleep(0.005)


def test_two_voters_connect_whichever_can_dial():
    async def run(first_dials: bool, second_dials: bool) -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.peer() if first_dials else b.nowhere()])
            b.links.set_peers([a.peer() if second_dials else a.nowhere()])
            await until(lambda: a.links.connected == (B,) and b.links.connected == (A,))
            assert a.links.send(B, b"there")
            await until(lambda: (A, b"there") in b.told.heard)
            assert b.links.send(A, b"x" * 3_000_000)
            await until(lambda: (B, b"x" * 3_000_000) in a.told.heard)

    for dials in ((True, True), (True, False), (False, True)):
        asyncio.run(run(*dials))


def test_where_both_dial_the_one_of_the_smaller_id_stays_on_both_sides():
    async def run() -> None:
        for _ in range(5):
            async with ends(A, B) as (a, b):
                b.links.set_peers([a.peer()])
                a.links.set_peers([b.peer()])
                await until(lambda: a.links.connected and b.links.connected)
                await asyncio.sleep(0.1)
                assert (a.links.connected, b.links.connected) == ((B,), (A,))
                assert {a.links._live[B].dialler, b.links._live[A].dialler} in ({A}, {B})

    asyncio.run(run())


def test_the_smaller_ids_dial_takes_the_place_of_the_larger_ones():
    async def run() -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.nowhere()])
            b.links.set_peers([a.peer()])
            await until(lambda: a.links.connected and b.links.connected)
            assert a.links._live[B].dialler == B
            link = await dial(a.links, b)
            await until(lambda: b.links._live.get(A) is not None and b.links._live[A].dialler == A)
            assert a.links._live[B] is link
            for end, other in ((a, B), (b, A)):
                assert [what for _, what in end.told.heard] == ["+", "-", "+"]
                assert {who for who, _ in end.told.heard} == {other}
            again = await dial(b.links, a)
            await until(again.closed.done)
            assert a.links._live[B] is link

    asyncio.run(run())


async def dial(links: Links, to: End) -> module.Link:
    """One more connection, whether there is one or not."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: module.Link(links, to.node), "127.0.0.1", to.port)
    await asyncio.wait([link.settled, link.closed], return_when=asyncio.FIRST_COMPLETED)
    return link


def test_a_peer_that_goes_is_told_of_and_comes_back_by_itself():
    async def run() -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.peer()])
            b.links.set_peers([a.peer()])
            await until(lambda: a.links.connected and b.links.connected)
            b.links.drop(A, "for the test")
            assert b.told.last(A) == "-"
            await until(lambda: [what for _, what in a.told.heard] == ["+", "-", "+"])

    asyncio.run(run())


def test_a_peer_that_is_silent_is_given_up_and_one_that_has_nothing_to_say_is_not():
    async def run() -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.peer()])
            b.links.set_peers([a.nowhere()])
            await until(lambda: a.links.connected and b.links.connected)
            await asyncio.sleep(2 * SOON.idle_s)
            assert [what for _, what in a.told.heard] == ["+"]
            b.links._looking.cancel()  # says nothing any more
            await until(lambda: a.told.last(B) == "-")

    asyncio.run(run())


def test_a_wrong_key_is_refused_by_either_side_and_logged_without_end_of_lines(caplog):
    async def run() -> None:
        async with ends(A, B, keys={B: "mallory"}) as (a, b):
            a.links.set_peers([b.peer()])
            b.links.set_peers([a.peer()])
            await until(lambda: "voter-b: does not have the key" in caplog.text)
            await asyncio.sleep(0.5)
            assert a.told.heard == []
        assert len([it for it in caplog.records if it.name == module.__name__]) <= module.LINES_BURST + 1

    asyncio.run(run())


def test_a_voter_that_is_removed_or_gets_another_key_is_cut_off():
    async def run() -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.peer()])
            b.links.set_peers([a.peer()])
            await until(lambda: a.links.connected and b.links.connected)
            a.links.set_peers([b.peer(key="another")])
            assert a.told.last(B) == "-"
            a.links.set_peers([b.peer()])
            await until(lambda: a.links.connected)
            a.links.set_peers([])
            assert a.links.connected == ()
            await asyncio.sleep(0.2)
            assert a.links.connected == ()

    asyncio.run(run())


def test_strangers_are_kept_waiting_neither_too_many_nor_too_long(monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKES_MAX", 3)

    async def ended(reader: asyncio.StreamReader) -> bool:
        async with asyncio.timeout(WAIT_S):
            try:
                return await reader.read(1) == b""
            except ConnectionError:
                return True

    async def run() -> None:
        async with ends(A, B) as (a, b):
            waiting = [await asyncio.open_connection("127.0.0.1", a.port) for _ in range(3)]
            late, writer = await asyncio.open_connection("127.0.0.1", a.port)
            assert await ended(late)
            assert len(a.links._greeting) == 3
            b.links.set_peers([a.nowhere()])
            a.links.set_peers([b.peer()])
            await until(lambda: a.links.connected)  # dialling out goes on
            waiting[0][1].write(b"GET / HTTP/1.1\r\n\r\n")
            for reader, _ in waiting:
                assert await ended(reader)
            for it in (writer, *(writer for _, writer in waiting)):
                it.close()

    asyncio.run(run())


def test_a_peer_that_reads_nothing_is_cut_off_before_memory_ends(monkeypatch):
    monkeypatch.setattr(module, "WRITE_BYTES_MAX", 1 << 20)

    async def run() -> None:
        async with ends(A, B) as (a, b):
            a.links.set_peers([b.peer()])
            b.links.set_peers([a.nowhere()])
            await until(lambda: a.links.connected and b.links.connected)
            transport = b.links._live[A]._transport
            assert transport is not None
            transport.pause_reading()
            for _ in range(100):
                if not a.links.send(B, bytes(1 << 20)):
                    break
            assert a.told.last(B) == "-"

    asyncio.run(run())


@pytest.mark.parametrize("content", [b"\x00", b"ringrift", bytes(5000)])
def test_what_is_no_voter_gets_no_answer(content: bytes):
    async def run() -> None:
        async with ends(A) as (a,):
            reader, writer = await asyncio.open_connection("127.0.0.1", a.port)
            writer.write(content)
            async with asyncio.timeout(WAIT_S):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()

    asyncio.run(run())
