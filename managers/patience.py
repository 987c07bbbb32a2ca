"""Patience: how long something is worked at for a person who waits, once it is known to be in vain."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

PATIENCE_S = 1.0  # for what may succeed all the same: whoever says that it is in vain may be behind
LOOK_S = 0.1  # between two questions whether it is

T = TypeVar("T")


async def unless_in_vain(work: Coroutine[None, None, T], in_vain: Callable[[], str], limit_s: float) -> T:
    """What some work gives; it is cancelled by a TimeoutError that says why.

    That comes after `limit_s`, or from PATIENCE_S on as soon as `in_vain` gives a reason.
    """
    working = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    end_s, pause_s = loop.time() + limit_s, PATIENCE_S
    try:
        while True:
            left_s = end_s - loop.time()
            await asyncio.wait({working}, timeout=min(pause_s, max(0.0, left_s)))
            if working.done():
                return working.result()
            if (why := in_vain()) or loop.time() >= end_s:
                raise TimeoutError(why or f"no answer in {limit_s:g} s")
            pause_s = LOOK_S
    finally:
        working.cancel()
        await asyncio.wait({working})
