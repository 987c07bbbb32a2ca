"""Streams of server-sent events (WHATWG HTML 9.2): each goes on from its cursor, `id:` is the cursor to come back with.

A stream has no queue of its own: it reads the journal, and one that falls so far behind that what it wants is forgotten
is cut off with a comment. Streams are few, and a client that reads nothing ends.
"""

import asyncio
import json
from collections.abc import Collection

from aiohttp import web

from managers.event_journal import Cursor, EventJournal, Page, text_of
from managers.runtime.event import DataEventType
from p2p.http.errors import RequestError
from p2p.http.guard import STANDS

STREAMS_MAX = 32
HEARTBEAT_S = 15.0
WRITE_S = 30.0  # for a client to take what is written
PAGE = 200  # events in one write
GONE_S = 1.0  # until a client that has gone, or a session that is over, is noticed: nobody tells of either
RETRY_MS = 2000  # before a browser comes back
HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStreams:
    """The open streams of a node."""

    def __init__(self, journal: EventJournal, *, heartbeat_s: float = HEARTBEAT_S, most: int = STREAMS_MAX) -> None:
        self._journal = journal
        self._heartbeat_s = heartbeat_s
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._tasks)

    async def answer(
        self, request: web.Request, cursor: Cursor, types: Collection[DataEventType]
    ) -> web.StreamResponse:
        """Stream until the client goes, its session is over or the node ends; RequestError when too many are open."""
        if len(self._tasks) >= self._most:
            raise RequestError(f"{self._most} streams are open; ask page by page, or close one", 503)
        response = web.StreamResponse(headers=HEADERS)
        if request.method == "HEAD":
            return response
        stands = request.get(STANDS, _always)
        task = asyncio.create_task(self._run(request, response, cursor, types), name="event stream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while request.transport is not None and not task.done() and stands():
                await asyncio.wait([task], timeout=GONE_S)
        finally:
            task.cancel()
        return response

    async def close(self) -> None:
        """End all streams: the node ends."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(
        self,
        request: web.Request,
        response: web.StreamResponse,
        cursor: Cursor,
        types: Collection[DataEventType],
    ) -> None:
        try:
            await response.prepare(request)
            await self._write(response, f"retry: {RETRY_MS}\nid: {text_of(cursor)}\n\n")
            await self._follow(response, cursor, types)
        except (ConnectionError, TimeoutError):  # it has gone, or reads nothing
            return

    async def _follow(self, response: web.StreamResponse, cursor: Cursor, types: Collection[DataEventType]) -> None:
        """Write what comes; at the beginning a gap is told, later on it is the end."""
        page = self._journal.after(cursor, PAGE, types)
        if page.gap:
            await self._write(response, "event: gap\ndata: {}\n\n")
        while True:
            if page.entries:
                await self._write(response, await asyncio.to_thread(messages_of, page))
            cursor = page.next
            if not page.entries:
                if self._journal.end <= cursor:
                    await self._journal.wait(cursor, self._heartbeat_s)
                if self._journal.end <= cursor:
                    await self._write(response, f": heartbeat\nid: {text_of(cursor)}\n\n")
            page = self._journal.after(cursor, PAGE, types)
            if page.gap:
                await self._write(response, ": cut off: this client is too slow; come back for the rest\n\n")
                return

    @staticmethod
    async def _write(response: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(WRITE_S):
            await response.write(text.encode())


def _always() -> bool:
    return True


def messages_of(page: Page) -> str:
    """The events of a page as messages."""
    return "".join(
        f"id: {text_of(entry.cursor)}\ndata: {json.dumps(entry.row.model_dump(mode='json'))}\n\n"
        for entry in page.entries
    )
