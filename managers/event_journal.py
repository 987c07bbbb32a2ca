"""EventJournal: the events of a node in one order with cursors, so that a reader can go on where it was.

A cursor is (seq, number): the replicated transition that an event stems from, or after which it was told, and its place
among the events of that seq. As text it is `seq.number`; `seq` alone stands behind all events of that seq. The events
of transitions are derived again when the log is read back, so a cursor outlives a restart; what only this node told in
an earlier life (its services, its jobs' progress) is not kept.

Used on the loop's thread, but for `read_back`, which comes before the loop has it.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile

from pydantic import ValidationError

from managers.event_source import events_of
from managers.runtime.event import DataEventType, Event
from managers.state.cluster_state import ClusterState, Result
from managers.state.record import Record
from ringrift_core.errors import RulesError

KEPT_MAX = 4000  # events
HOLES_MAX = 64  # gaps between events that are kept, the latest
LAST = 1 << 31  # number of a cursor behind all events of its seq
CURSOR = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?")

Cursor = tuple[int, int]
BEGINNING: Cursor = (0, -1)

logger = logging.getLogger(__name__)


class EventRow(Record):
    """An event as `/events` and `/status` show it."""

    seq: int  # the transition that it stems from, or after which it was told
    type: str
    timestamp: float  # unix seconds
    source: str
    event_id: str  # seq.index of a replicated one, the same on every node; else node/life/number
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and where it stands."""

    cursor: Cursor
    event: Event

    @property
    def row(self) -> EventRow:
        """As it is shown; some microseconds."""
        return EventRow(
            seq=self.cursor[0],
            type=self.event.type.value,
            timestamp=self.event.at,
            source=self.event.source,
            event_id=self.event.event_id,
            payload=self.event.payload,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, and where to go on."""

    entries: tuple[Entry, ...]
    next: Cursor
    gap: bool  # events between what was asked for and the first one here are not kept


class EventJournal:
    """The latest events."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._entries: deque[Entry] = deque()
        self._forgotten = BEGINNING  # nothing up to here is kept
        self._seq = 0
        self._holes: deque[tuple[Cursor, Cursor]] = deque(maxlen=HOLES_MAX)  # nothing is known in between
        self._changed = asyncio.Event()  # set, and replaced, with every event

    @property
    def end(self) -> Cursor:
        """Behind the last event."""
        return self._entries[-1].cursor if self._entries else self._forgotten

    def read_back(self, before: ClusterState, after: ClusterState, result: Result) -> None:
        """A record of the log was read back at the start: what it told is kept and handed to nobody."""
        if not self._seq and before.seq:
            self._forgotten = (before.seq, LAST)
        self._seq = after.seq
        try:
            for event in events_of(before, after, result):
                self._add(event, result.seq)
        except (RulesError, ValidationError, LookupError):
            logger.exception("the events of transition %s cannot be told again", result.seq)

    def begin(self, seq: int) -> None:
        """The log was read back; `seq` is that of the state it led to."""
        if not self._seq and seq:
            self._forgotten = (seq, LAST)
        self._seq = seq

    def advance(self, seq: int) -> None:
        """The state has this seq now, whether that told anything or not."""
        self._seq = max(self._seq, seq)

    def jump(self, before: int, after: int) -> None:
        """Another state was installed: of the seqs behind `before`, up to `after`, no event is known here."""
        if after > before:
            self._holes.append(((before, LAST), (after, 0)))
            self.advance(after)

    def append(self, event: Event, seq: int) -> None:
        """An event, told when the state had this seq."""
        self._seq = max(self._seq, seq)
        self._add(event, seq if event.seq is None else event.seq)
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, cursor: Cursor | None, limit: int, types: Collection[DataEventType] = ()) -> Page:
        """The first `limit` events behind a cursor; of some types only, where such are given. None: from the earliest.

        A cursor that is ahead of this node, as one of another folder may be, is a gap too; so is one within a jump. Who
        was there before it is told of it by its event, whatever the types.
        """
        if cursor is None:
            cursor = self._forgotten
        if cursor[0] > self._seq:
            return Page((), self.end, gap=True)
        later = list(takewhile(lambda entry: entry.cursor > cursor, reversed(self._entries)))
        later.reverse()
        always = DataEventType.EVENTS_MISSED
        wanted = (it for it in later if not types or it.event.type in types or it.event.type is always)
        found = tuple(islice(wanted, limit))
        reached = found[-1].cursor if len(found) == limit else later[-1].cursor if later else cursor
        missed = any(first < cursor < last for first, last in self._holes)
        return Page(found, max(reached, self._forgotten), gap=cursor < self._forgotten or missed)

    def latest(self, count: int) -> tuple[Entry, ...]:
        """The last events, oldest first."""
        return tuple(reversed(tuple(islice(reversed(self._entries), count))))

    async def wait(self, cursor: Cursor, timeout_s: float) -> None:
        """Until there is an event behind the cursor, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.end <= cursor:
                    await self._changed.wait()

    def _add(self, event: Event, seq: int) -> None:
        last = self.end
        number = last[1] + 1 if last[0] == seq and last[1] != LAST else 0
        if (seq, number) <= last:
            logger.error("the event %s comes too late to be kept: %s stands already", event.event_id, text_of(last))
            return
        self._entries.append(Entry((seq, number), event))
        if len(self._entries) > self._kept_max:
            self._forgotten = self._entries.popleft().cursor


def text_of(cursor: Cursor) -> str:
    """A cursor as text."""
    seq, number = cursor
    if number < 0:
        return "0"
    return f"{seq}" if number == LAST else f"{seq}.{number}"


def cursor_of(text: str) -> Cursor:
    """The cursor of a text; RulesError when it is none."""
    found = CURSOR.fullmatch(text)
    if found is None:
        raise RulesError(f"{text[:40]!r} is no cursor; write a seq such as 120, or `next` of an answer")
    seq = int(found[1])
    if found[2] is not None:
        return seq, int(found[2])
    return (seq, LAST) if seq else BEGINNING
