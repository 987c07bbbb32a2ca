"""A node's event stream: server-sent events as messages, and a thread that follows them over restarts of the node.

Pure but for `EventFollower`, which has two daemon threads: one reads, one runs the router that hands events to
handlers. They keep no process from ending.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import Field, ValidationError

from managers.runtime import Event, EventRouter, make_event
from p2p.client.node_http import Answer, NodeHttp
from ringrift_core.errors import RingriftError, RulesError

STREAM = "/events"
READY_S = 10.0  # for the router's thread to be up, and for what is asked of it
FIRST_WAIT_S = 0.5  # before a broken stream is taken up again; doubles up to the longest
WAIT_MAX_S = 30.0
DATA_CHARS_MAX = 1 << 20  # of one message; longer ones are no events of a node
NAME = "client"  # as whom the router of a client publishes

logger = logging.getLogger(__name__)
T = TypeVar("T")


class EventRow(Answer):
    """An event as a node writes it."""

    type: str
    timestamp: float
    source: str
    event_id: str = ""
    seq: int | None = None  # the transition that it stems from, or after which the node told it
    payload: Mapping[str, object] = Field(default_factory=dict)


class EventPage(Answer):
    """The answer of GET /events."""

    events: tuple[EventRow, ...]
    next: str | int  # the cursor to go on from
    gap: bool = False  # some events before these are forgotten


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event."""

    data: str
    id: str | None = None  # the cursor to go on from
    kind: str = "message"


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """The messages of a stream of lines (WHATWG HTML 9.2.6); an unfinished last one is none.

    RingriftError for one that is too long to be an event.
    """
    data: list[str] = []
    size, cursor, kind = 0, None, "message"
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data or cursor is not None:
                yield Message("\n".join(data), cursor, kind)
            data, size, cursor, kind = [], 0, None, "message"
            continue
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
            size += len(value)
            if size > DATA_CHARS_MAX:
                raise RingriftError(f"an event of more than {DATA_CHARS_MAX} characters")
        elif field == "id" and "\0" not in value:
            cursor = value
        elif field == "event":
            kind = value


def event_of(row: EventRow) -> Event | None:
    """An event as handlers get it; None for one that this version does not know."""
    try:
        event = make_event(row.type, row.payload, row.source, row.timestamp)
    except RulesError as error:
        logger.warning("an event is left out that this version does not know: %s", error)
        return None
    stem, _, index = row.event_id.partition(".")
    if row.seq is None or stem != str(row.seq) or not index.isdecimal():
        return event.model_copy(update={"event_id": row.event_id})  # only that node has told it
    return event.model_copy(update={"event_id": row.event_id, "seq": row.seq, "index": int(index[:9])})


class EventFollower:
    """Follows a node's events from now on, and hands them to the handlers of an EventRouter of its own."""

    def __init__(self, http: NodeHttp, pause: Callable[[float], object] | None = None) -> None:
        """Nothing is asked before `open`; `pause` waits so many seconds, or until `close`."""
        self._http = http
        self._closed = threading.Event()
        self._pause = self._closed.wait if pause is None else pause
        self._ready: Future[tuple[EventRouter, asyncio.AbstractEventLoop]] = Future()
        self._cursor = ""
        self._following = False

    def open(self) -> None:
        """Note where the events stand and be ready for subscribers; NodeUnreachable when no node answers."""
        self._cursor = str(last_cursor(self._http))
        threading.Thread(target=lambda: asyncio.run(self._serve()), name="events to handlers", daemon=True).start()
        self._ready.result(READY_S)

    def follow(self) -> None:
        """Begin to read, when there is a subscriber; more calls change nothing."""
        if not self._following:
            self._following = True
            threading.Thread(target=self._follow, name="events from the node", daemon=True).start()

    def close(self) -> None:
        """Follow no more; a read that waits ends by itself."""
        self._closed.set()

    def ask(self, question: Callable[[EventRouter], T]) -> T:
        """What a function says of the router, on the router's thread."""
        router, loop = self._ready.result(READY_S)

        async def asked() -> T:
            return question(router)

        return asyncio.run_coroutine_threadsafe(asked(), loop).result(READY_S)

    async def _serve(self) -> None:
        """The router's thread."""
        async with EventRouter(NAME, secrets.token_hex(4), lambda: datetime.now(UTC).timestamp()) as router:
            self._ready.set_result((router, asyncio.get_running_loop()))
            await asyncio.Event().wait()  # daemon threads end with the process

    def _follow(self) -> None:
        """The reader's thread: one stream after the other, each from where the one before it ended."""
        wait_s, told = FIRST_WAIT_S, False
        while not self._closed.is_set():
            try:
                with self._http.stream(STREAM, {"since": self._cursor}, self._cursor) as lines:
                    for message in messages(lines):
                        self._take(message)
                        wait_s, told = FIRST_WAIT_S, False
                        if self._closed.is_set():
                            return
            except RingriftError as error:
                if not told:
                    logger.warning("the stream of events has broken off, it is taken up again: %s", error)
                told = True
            self._pause(wait_s)
            wait_s = min(2 * wait_s, WAIT_MAX_S)

    def _take(self, message: Message) -> None:
        if message.kind == "gap":
            logger.warning("events are missing: the node has forgotten those that came meanwhile")
        elif message.data:
            try:
                event = event_of(EventRow.model_validate_json(message.data))
            except ValidationError as error:
                logger.warning("what is no event came as one: %s", error.errors(include_url=False)[0]["msg"])
                event = None
            if event is not None:
                self._ready.result(READY_S)[0].publish(event)
        if message.id is not None:
            self._cursor = message.id


def last_cursor(http: NodeHttp) -> str | int:
    """Where the events stand now."""
    *_, page = pages(http)
    return page.next


def pages(http: NodeHttp, limit: int = 1000, pages_max: int = 50) -> Iterator[EventPage]:
    """All events that a node remembers, oldest first."""
    since: str | int = 0
    for _ in range(pages_max):
        page = http.get(STREAM, EventPage, {"since": since, "limit": limit})
        yield page
        if not page.events or page.next == since:
            return
        since = page.next
