"""Queues with a bound."""

import asyncio

import pytest

from managers.runtime.bounded_queue import BoundedQueue, Overflow
from ringrift_core.errors import RulesError
from tests.virtual_time import run_virtual


def filled(overflow: Overflow) -> BoundedQueue[int]:
    queue: BoundedQueue[int] = BoundedQueue(2, overflow)
    assert [queue.put(number) for number in (1, 2, 3, 4)] == [True, True, False, False]
    assert (len(queue), queue.dropped) == (2, 2)
    return queue


async def taken(queue: BoundedQueue[int]) -> list[int]:
    return [await queue.get() for _ in range(len(queue))]


def test_a_full_queue_drops_the_oldest_and_counts():
    assert run_virtual(taken(filled(Overflow.DROP_OLDEST))) == [3, 4]


def test_a_full_queue_refuses_and_counts():
    assert run_virtual(taken(filled(Overflow.REFUSE))) == [1, 2]


def test_a_reader_waits_for_what_comes_later():
    async def main() -> None:
        queue: BoundedQueue[int] = BoundedQueue(1, Overflow.REFUSE)
        asyncio.get_running_loop().call_later(5, queue.put, 7)
        assert await queue.get() == 7
        assert asyncio.get_running_loop().time() == 5

    run_virtual(main())


def test_a_queue_without_room_is_refused():
    with pytest.raises(RulesError):
        BoundedQueue(0, Overflow.REFUSE)
