"""Periodic loops on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.runtime.every import every, next_beat
from ringrift_core.errors import RulesError
from tests.virtual_time import run_virtual


def runs_of(until_s: float, body: Callable[[], Awaitable[None]] | None = None, **options) -> list[float]:
    """When the runs of a loop of 10 s began, up to a moment."""
    began: list[float] = []

    async def action() -> None:
        began.append(asyncio.get_running_loop().time())
        if body is not None:
            await body()

    async def main() -> None:
        try:
            async with asyncio.timeout(until_s):
                await every(10.0, action, **{"timeout_s": 60.0, **options})
        except TimeoutError:
            if asyncio.get_running_loop().time() < until_s:
                raise

    run_virtual(main())
    return began


def sleeps(*times_s: float) -> Callable[[], Awaitable[None]]:
    left = list(times_s)

    async def body() -> None:
        await asyncio.sleep(left.pop(0) if left else 0.0)

    return body


def test_a_slow_run_shifts_no_later_beat():
    assert runs_of(45, sleeps(3, 7, 1)) == [0, 10, 20, 30, 40]


def test_beats_missed_during_a_run_are_skipped_and_do_not_pile_up():
    assert runs_of(65, sleeps(0, 27)) == [0, 10, 40, 50, 60]


def test_a_run_that_ends_on_a_beat_waits_for_the_next_one():
    assert runs_of(35, sleeps(10)) == [0, 20, 30]


def test_jitter_delays_beats_and_does_not_add_up():
    began = runs_of(2000, jitter=0.5, rng=np.random.default_rng(1))
    late = [at - 10 * number for number, at in enumerate(began)][1:]
    assert 0 <= min(late) < 0.5
    assert 4.5 < max(late) < 5


def test_a_wake_asks_for_a_run_at_once_and_moves_no_beat():
    wake = asyncio.Event()

    async def body() -> None:
        if not wake.is_set() and asyncio.get_running_loop().time() == 10:
            asyncio.get_running_loop().call_later(4, wake.set)

    assert runs_of(35, body, wake=wake) == [0, 10, 14, 20, 30]


def test_wakes_run_at_most_once_per_min_interval():
    wake = asyncio.Event()

    async def body() -> None:
        wake.set()

    assert runs_of(11, body, wake=wake, min_interval_s=2) == [0, 2, 4, 6, 8, 10]


def test_what_wakes_during_a_run_is_not_forgotten():
    wake = asyncio.Event()

    async def body() -> None:
        if asyncio.get_running_loop().time() == 0:
            asyncio.get_running_loop().call_later(1, wake.set)
            await asyncio.sleep(2)

    assert runs_of(15, body, wake=wake) == [0, 2, 10]


def test_a_run_that_takes_too_long_is_an_error():
    with pytest.raises(TimeoutError):
        runs_of(100, sleeps(0, 6), timeout_s=5.0)


def test_an_error_of_a_run_goes_through_and_its_end_is_not_told():
    beats: list[int] = []

    async def body() -> None:
        if len(beats) == 2:
            raise ValueError("third")

    with pytest.raises(ValueError, match="third"):
        runs_of(100, body, beat=lambda: beats.append(1))
    assert len(beats) == 2


@pytest.mark.parametrize(
    ("interval_s", "options"),
    [(0.0, {}), (10.0, {"min_interval_s": 11.0}), (10.0, {"jitter": 0.1}), (10.0, {"jitter": 1.0, "rng": 1})],
)
def test_an_impossible_rhythm_is_refused(interval_s: float, options: dict[str, Any]):
    async def action() -> None:
        raise AssertionError

    with pytest.raises(RulesError):
        run_virtual(every(interval_s, action, timeout_s=1.0, **options))


@given(st.floats(0, 1e6), st.floats(1e-3, 1e5), st.floats(0, 1e7))
def test_the_next_beat_is_later_than_now_by_at_most_an_interval(origin: float, interval_s: float, passed: float):
    now = origin + passed
    assert now < next_beat(origin, interval_s, now) <= (now + interval_s) * (1 + 1e-9) + interval_s * 1e-6
