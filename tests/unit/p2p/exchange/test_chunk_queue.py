"""Chunks are asked of holders so that none is lost, whoever leaves, and the slowest does not hold up the end."""

from hypothesis import given
from hypothesis import strategies as st

from p2p.exchange.chunk_queue import ChunkQueue


def test_runs_come_from_the_front_without_what_is_here():
    queue = ChunkQueue(8, {2}, 4)
    assert [queue.take(name, 1) for name in "abc"] == [range(2), range(3, 7), range(7, 8)]


def test_the_end_is_shared_between_the_holders():
    queue = ChunkQueue(6, (), 8)
    assert [queue.take(name, 3) for name in "abc"] == [range(2), range(2, 4), range(4, 5)]


def test_an_idle_holder_gets_the_last_of_what_a_busy_one_has_not_brought():
    queue = ChunkQueue(4, (), 4)
    assert queue.take("slow", 1) == range(4)
    queue.brought(0)
    assert queue.take("fast", 2) == range(3, 4)
    queue.brought(3)
    queue.release("fast")
    assert queue.take("fast", 2) == range(2, 3)
    assert queue.take("third", 3) == range(1, 2)
    assert queue.take("fourth", 4) is None


def test_what_a_holder_leaves_is_free_again_but_for_what_others_are_asked_for():
    queue = ChunkQueue(4, (), 4)
    queue.take("a", 1)
    queue.take("b", 2)  # the last two of them
    queue.release("a")
    assert queue.take("c", 1) == range(2)


ACTIONS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "bring", "leave"])), max_size=60)


@given(st.integers(0, 12), st.sets(st.integers(0, 11)), st.integers(1, 5), ACTIONS)
def test_whatever_happens_one_holder_that_stays_brings_all(
    count: int, have: set[int], run_max: int, actions: list[tuple[str, str]]
):
    queue = ChunkQueue(count, have, run_max)
    asked: dict[str, list[int]] = {}
    for holder, action in actions:
        if action == "take" and not asked.get(holder):
            run = queue.take(holder, 3)
            assert run is None or (0 < len(run) <= run_max and not set(run) & have and run.stop <= count)
            asked[holder] = [] if run is None else [*run]
        elif action == "bring" and asked.get(holder):
            queue.brought(asked[holder].pop(0))
            if not asked[holder]:
                queue.release(holder)
        elif action == "leave":
            queue.release(holder)
            asked[holder] = []
    for holder in "abc":
        queue.release(holder)
    while not queue.finished:
        run = queue.take("last", 1)
        assert run is not None
        for index in run:
            queue.brought(index)
        queue.release("last")
    assert queue.missing == 0
