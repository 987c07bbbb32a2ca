"""A queue with a bound: what does not fit is dropped or refused, as chosen, and counted."""

import asyncio
from collections import deque
from enum import Enum
from typing import Generic, TypeVar

from ringrift_core.errors import RulesError

Item = TypeVar("Item")


class Overflow(Enum):
    """What happens to an item that meets a full queue."""

    DROP_OLDEST = "drop oldest"  # the newest facts count
    REFUSE = "refuse"  # the sender must know


class BoundedQueue(Generic[Item]):
    """First in, first out, for one reader; used on one loop's thread only. `put` never waits."""

    def __init__(self, size_max: int, overflow: Overflow) -> None:
        if size_max < 1:
            raise RulesError(f"a queue holds at least 1 item, not {size_max}")
        self.size_max = size_max
        self.dropped = 0  # items that nobody will read, refused ones included
        self._overflow = overflow
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Add an item; False when the queue was full, so that this one or the oldest is lost."""
        full = len(self._items) >= self.size_max
        if full:
            self.dropped += 1
            if self._overflow is Overflow.REFUSE:
                return False
            self._items.popleft()
        self._items.append(item)
        self._filled.set()
        return not full

    async def get(self) -> Item:
        """The oldest item, waiting for one; whoever waits is ended by being cancelled."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        return self._items.popleft()
