"""A node goes over from one kind of consensus to another while it works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import pytest

from managers.state.replica import Replica
from p2p.consensus import seat as seat_module
from p2p.consensus.seat import Seat
from ringrift_core.errors import StorageError

WAIT_S = 5.0


class History:
    """The state is every body; the result is how many came before."""

    def initial(self) -> tuple[bytes, ...]:
        return ()

    def apply(self, state: tuple[bytes, ...], body: bytes) -> tuple[tuple[bytes, ...], int]:
        return (*state, body), len(state)

    def dump(self, state: tuple[bytes, ...]) -> bytes:
        return b"\n".join(state)

    def load(self, content: bytes) -> tuple[bytes, ...]:
        return tuple(content.split(b"\n"))


class Fake(Replica[tuple[bytes, ...], int]):
    """An engine that applies at once."""

    def __init__(self, version: int = 0, state: tuple[bytes, ...] = (), refusal: Exception | None = None) -> None:
        super().__init__(History())
        self._install(state, version)
        self.refusal = refusal
        self.open = False
        self.term_led: int | None = 0
        self.trouble = ""
        self.group = asyncio.TaskGroup()

    async def propose(self, body: bytes, timeout_s: float) -> int:
        assert self.open, timeout_s
        return self.take(body)

    def take(self, body: bytes) -> int:
        """A body comes from elsewhere."""
        result = self._apply(body)
        self._wake()
        return result

    async def __aenter__(self) -> Self:
        if self.refusal is not None:
            raise self.refusal
        await self.group.__aenter__()
        self.open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self.open = False
        await self.group.__aexit__(None, None, None)


Told = list[tuple[tuple[bytes, ...], int]]


def run(story: Callable[[Seat[tuple[bytes, ...], int], Fake, Told], Awaitable[None]]) -> None:
    async def main() -> None:
        first, told = Fake(), Told()
        seat = Seat[tuple[bytes, ...], int](first)
        seat.on_applied(lambda _before, after, result: told.append((after, result)))
        async with asyncio.timeout(WAIT_S), seat:
            await story(seat, first, told)

    asyncio.run(main())


async def nothing() -> None:
    pass


def test_a_seat_shows_what_its_engine_shows():
    async def story(seat: Seat[tuple[bytes, ...], int], first: Fake, told: Told) -> None:
        assert await seat.propose(b"a", WAIT_S) == 0
        assert (seat.state, seat.version, told) == ((b"a",), 1, [((b"a",), 0)])
        first.trouble, first.term_led = "the disk is full", None
        assert (seat.trouble, seat.term_led) == ("the disk is full", None)

    run(story)


def test_the_next_engine_begins_where_the_one_before_has_ended():
    async def story(seat: Seat[tuple[bytes, ...], int], first: Fake, told: Told) -> None:
        await seat.propose(b"a", WAIT_S)
        await seat.change(Fake, nothing)
        assert not first.open
        assert (seat.state, seat.version) == ((b"a",), 1)
        assert await seat.propose(b"b", WAIT_S) == 1
        assert told == [((b"a",), 0), ((b"a", b"b"), 1)]

    run(story)


def test_nobody_writes_before_the_next_one_is_ready():
    async def story(seat: Seat[tuple[bytes, ...], int], _first: Fake, _told: Told) -> None:
        async def ready() -> None:
            assert seat.term_led is None
            with pytest.raises(StorageError, match="changes over"):
                await seat.propose(b"early", WAIT_S)

        await seat.change(Fake, ready)
        assert seat.term_led == 0

    run(story)


@pytest.mark.parametrize(("passing_s", "trouble"), [(60.0, ""), (0.0, seat_module.CHANGING)])
def test_a_change_is_a_trouble_when_it_takes_long(passing_s: float, trouble: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(seat_module, "PASSING_S", passing_s)

    async def story(seat: Seat[tuple[bytes, ...], int], _first: Fake, _told: Told) -> None:
        async def ready() -> None:
            assert seat.trouble == trouble

        await seat.change(Fake, ready)
        assert not seat.trouble

    run(story)


def test_what_is_shown_never_goes_back_and_nothing_is_heard_twice():
    async def story(seat: Seat[tuple[bytes, ...], int], _first: Fake, told: Told) -> None:
        for body in (b"a", b"b"):
            await seat.propose(body, WAIT_S)
        behind = Fake()
        await seat.change(lambda _version, _state: behind, nothing)
        assert (seat.state, seat.version) == ((b"a", b"b"), 2)
        del told[:]
        behind.take(b"a")
        assert (seat.state, seat.version, told) == ((b"a", b"b"), 2, [])
        behind.take(b"b")
        behind.take(b"c")
        assert (seat.state, seat.version, told) == ((b"a", b"b", b"c"), 3, [((b"a", b"b", b"c"), 2)])

    run(story)


def test_records_are_told_with_their_versions_once():
    async def story(seat: Seat[tuple[bytes, ...], int], _first: Fake, _told: Told) -> None:
        records: list[tuple[int, bytes]] = []
        seat.on_record(lambda version, body: records.append((version, body)))
        await seat.propose(b"a", WAIT_S)
        behind = Fake()
        await seat.change(lambda _version, _state: behind, nothing)
        for body in (b"a", b"b"):
            behind.take(body)
        assert records == [(1, b"a"), (2, b"b")]

    run(story)


def test_who_waits_for_a_version_is_told_by_the_next_engine():
    async def story(seat: Seat[tuple[bytes, ...], int], _first: Fake, _told: Told) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(seat.changed(0, WAIT_S))
            await asyncio.sleep(0)
            await seat.change(Fake, nothing)
            await seat.propose(b"a", WAIT_S)
        assert waiting.result() == 1

    run(story)


def test_an_engine_that_cannot_begin_is_said_to_whoever_enters():
    async def main() -> None:
        async with Seat(Fake(refusal=StorageError("another process has it"))):
            raise AssertionError

    with pytest.raises(StorageError, match="another process"):
        asyncio.run(main())


def test_a_next_engine_that_cannot_begin_ends_the_node():
    async def main() -> None:
        async with asyncio.timeout(WAIT_S), Seat(Fake()) as seat:
            with pytest.raises(StorageError, match="no room"):
                await seat.change(lambda _version, _state: Fake(refusal=StorageError("no room")), nothing)
            await asyncio.sleep(WAIT_S)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.group_contains(StorageError, match="no room")


def test_an_engine_that_fails_of_itself_ends_the_node():
    async def broken() -> None:
        raise StorageError("the machine raised")

    async def main() -> None:
        async with asyncio.timeout(WAIT_S), Seat(engine := Fake()):
            engine.group.create_task(broken())
            await asyncio.sleep(WAIT_S)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.group_contains(StorageError, match="the machine raised")


def test_a_state_that_takes_the_place_of_another_is_told_with_what_was_shown_before():
    async def story(seat: Seat[tuple[bytes, ...], int], first: Fake, told: Told) -> None:
        jumps: list[tuple[int, tuple[bytes, ...], tuple[bytes, ...]]] = []
        seat.on_jump(lambda version, before, after: jumps.append((version, before, after)))
        await seat.propose(b"a", WAIT_S)
        first._jump((b"a", b"b", b"c"), 3)
        assert jumps == [(1, (b"a",), (b"a", b"b", b"c"))]
        later = Fake(5, (b"a", b"b", b"c", b"d", b"e"))
        await seat.change(lambda _version, _state: later, nothing)
        assert jumps[1:] == [(3, (b"a", b"b", b"c"), later.state)], "what it was told while it began"
        empty = Fake()
        await seat.change(lambda _version, _state: empty, nothing)
        empty._jump((b"x",), 4)
        assert len(jumps) == 2, "the seat shows a newer one"
        empty._jump((b"x",), 9)
        assert jumps[2:] == [(5, later.state, (b"x",))]
        assert len(told) == 1

    run(story)
