"""WatchFeed: what a voter tells those who follow its state, made once for all who ask for the same.

The latest records are kept as they come. Whoever is behind them gets a dump, in parts, and the records after it. Who
waits for news waits in the request itself, on the replica: no task and no copy per waiter.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from managers.ports import BusyError
from managers.state.replica import RecordListener
from p2p.consensus.watch_form import ANSWER_BYTES_MAX, DumpPiece, Records, encode

S_co = TypeVar("S_co", covariant=True)
S = TypeVar("S")
FRAMES_MAX = 16  # answers that are kept for others who ask for the same; a new version ends them all
DUMPS_MAX = 2  # that are kept for who has begun to fetch one


class Watched(Protocol[S_co]):
    """The replica of a voter."""

    @property
    def state(self) -> S_co:
        """The latest state."""

    @property
    def version(self) -> int:
        """Its version."""

    async def changed(self, version: int, timeout_s: float) -> int:
        """Wait until the version is past the given one, at most so long."""

    def on_record(self, listener: RecordListener) -> None:
        """Call it with each record."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How much is kept, and for how many."""

    records_max: int = 8192
    bytes_max: int = 16 << 20
    waiters_max: int = 1000
    answer_bytes_max: int = ANSWER_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for: what comes after a version, or more of a dump."""

    since: int
    wait_s: float = 0.0
    dump: tuple[int, int] | None = None  # the version of a dump that was begun, and where to go on in it


class WatchFeed(Generic[S]):
    """The feed of one replica, from now on."""

    def __init__(self, replica: Watched[S], dump: Callable[[S], bytes], settings: FeedSettings | None = None) -> None:
        """`dump` makes bytes of a state, in a thread."""
        self._replica = replica
        self._dump = dump
        self._settings = settings or FeedSettings()
        self._records: deque[bytes] = deque()
        self._bytes = 0
        self._last = replica.version  # version of the last record that is kept, or before all of them
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        self._frames_of = -1  # the version that these are of
        self._dumps: OrderedDict[int, bytes] = OrderedDict()
        self._dumping = asyncio.Lock()
        self.waiters = 0
        replica.on_record(self._take)

    async def answer(self, wanted: Wanted) -> bytes:
        """What a watcher is told; BusyError where too many wait already."""
        if wanted.dump is not None and (content := self._dumps.get(wanted.dump[0])) is not None:
            return self._piece(wanted.dump[0], content, wanted.dump[1])
        if self.waiters >= self._settings.waiters_max:
            raise BusyError(f"{self.waiters} nodes watch here already; ask another voter")
        self.waiters += 1
        try:
            if wanted.since and wanted.since >= self._replica.version:
                # who has followed another voter may be ahead of this one, which has time to come after
                ahead = wanted.since > self._replica.version
                await self._replica.changed(wanted.since - ahead, wanted.wait_s)
            self._align()
            if wanted.since and self._first <= wanted.since + 1 and wanted.since <= self._last:
                return self._news(wanted.since)
            return self._piece(*await self._newest_dump(), 0)
        finally:
            self.waiters -= 1

    @property
    def _first(self) -> int:
        """The version of the first record that is kept, or of the next one."""
        return self._last - len(self._records) + 1

    def _align(self, version: int | None = None) -> None:
        """Forget the records that do not lead up to the replica's state: another one was installed since."""
        if (here := self._replica.version if version is None else version) != self._last:
            self._records.clear()
            self._bytes, self._last = 0, here

    def _take(self, version: int, body: bytes) -> None:
        self._align(version - 1)
        self._records.append(body)
        self._last = version
        self._bytes += len(body)
        while len(self._records) > self._settings.records_max or self._bytes > self._settings.bytes_max:
            self._bytes -= len(self._records.popleft())

    def _news(self, since: int) -> bytes:
        """The records after a version, as far as they fit; the same bytes for all who ask."""
        if self._frames_of != self._last:
            self._frames.clear()
            self._frames_of = self._last
        if (known := self._frames.get(since)) is not None:
            return known
        bodies: list[bytes] = []
        size = 0
        for body in islice(self._records, since + 1 - self._first, None):
            size += len(body)
            if bodies and size > self._settings.answer_bytes_max:
                break
            bodies.append(body)
        frame = self._frames[since] = encode(Records(since + 1, tuple(bodies)))
        while len(self._frames) > FRAMES_MAX:
            self._frames.popitem(last=False)
        return frame

    async def _newest_dump(self) -> tuple[int, bytes]:
        """A dump from which the records that are kept lead on; one at a time is made."""
        async with self._dumping:
            if self._dumps:
                version = next(reversed(self._dumps))
                if self._first <= version + 1 and version <= self._replica.version:
                    return version, self._dumps[version]
            version, state = self._replica.version, self._replica.state
            content = await asyncio.to_thread(self._dump, state)
            self._dumps[version] = content
            while len(self._dumps) > DUMPS_MAX:
                self._dumps.popitem(last=False)
            return version, content

    def _piece(self, version: int, content: bytes, offset: int) -> bytes:
        part = content[offset : offset + self._settings.answer_bytes_max]
        return encode(DumpPiece(version, len(content), min(offset, len(content)), part))
