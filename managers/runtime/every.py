"""The one helper that runs periodic loops: it does not drift, and what it missed it skips.

Beats lie on a grid from the start, so a slow run shifts none of them; beats that passed during a run are left out.
Time is that of the running loop (a test gives a loop whose time is virtual). Errors go through, to the
Supervisor.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import NoReturn

import numpy as np

from ringrift_core.errors import RulesError


async def every(
    interval_s: float,
    action: Callable[[], Awaitable[None]],
    *,
    timeout_s: float,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
    wake: asyncio.Event | None = None,
    min_interval_s: float = 0.0,
    beat: Callable[[], None] | None = None,
) -> NoReturn:
    """Run `action` now and then at every beat, until cancelled; runs never overlap.

    A beat is late by up to `jitter` (share of the interval) drawn from `rng`. `wake`, cleared before each run, asks for
    a run at once, though none begins within `min_interval_s` of the beginning of the last. `beat` is called after each
    run. One longer than `timeout_s` is cancelled: TimeoutError. RulesError for an impossible rhythm.
    """
    _check(interval_s, jitter, min_interval_s, has_rng=rng is not None)
    time = asyncio.get_running_loop().time
    origin = time()
    while True:
        if wake is not None:
            wake.clear()  # before the run: what happens during it asks for another one
        began = time()
        async with asyncio.timeout(timeout_s):
            await action()
        if beat is not None:
            beat()
        due = next_beat(origin, interval_s, time())
        if rng is not None:
            due += jitter * interval_s * float(rng.random())
        await _wait(wake, due)
        if (early := began + min_interval_s - time()) > 0:
            await asyncio.sleep(early)


def next_beat(origin: float, interval_s: float, now: float) -> float:
    """The first of origin, origin + interval, .. that is later than now."""
    beats = math.floor((now - origin) / interval_s) + 1
    due = origin + beats * interval_s
    return due if due > now else origin + (beats + 1) * interval_s  # rounding may end on now


async def _wait(wake: asyncio.Event | None, due: float) -> None:
    """Until due, or until woken; the loop is given a turn in any case."""
    if wake is not None and wake.is_set():
        await asyncio.sleep(0)
        return
    if wake is None:
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        return
    try:
        async with asyncio.timeout_at(due):
            await wake.wait()
    except TimeoutError:
        return


def _check(interval_s: float, jitter: float, min_interval_s: float, *, has_rng: bool) -> None:
    if not (0 < interval_s < math.inf and 0 <= min_interval_s <= interval_s):
        raise RulesError(f"a loop needs 0 <= min_interval_s <= interval_s, not {min_interval_s} and {interval_s}")
    if not 0 <= jitter < 1 or (jitter > 0 and not has_rng):
        raise RulesError(f"jitter is a share of the interval below 1, drawn from a given rng, not {jitter}")
