"""Events: asked for page by page, followed as a stream, published.

GET  /events?since=SEQ&limit=N&types=A,B     {"events", "next", "gap"}
GET  /events  with Accept: text/event-stream  server-sent events (event_stream.py)
POST /events  {"type", "payload", "source"}   202: this node's subscribers have it
"""

import asyncio

from aiohttp import web

from managers.event_journal import Cursor, EventJournal, Page, cursor_of, text_of
from managers.runtime.event import DataEventType
from managers.runtime.event_router import EventRouter
from p2p.http.answers import EventsAnswer, PublishedAnswer
from p2p.http.errors import RequestError, body_of
from p2p.http.event_stream import EventStreams
from p2p.http.forms import EventForm
from p2p.http.json_answer import Handlers, json_answer, limit_of, text_answer

STREAM = "text/event-stream"
LAST_ID = "Last-Event-ID"
TYPES_MAX = 100


def event_handlers(journal: EventJournal, router: EventRouter, streams: EventStreams) -> Handlers:
    """The handlers."""

    async def events(request: web.Request) -> web.StreamResponse:
        types = types_of(request)
        if STREAM in request.headers.get("Accept", ""):
            last = request.headers.get(LAST_ID)
            cursor = cursor_of(last) if last else since_of(request)
            return await streams.answer(request, journal.end if cursor is None else cursor, types)
        page = journal.after(since_of(request), limit_of(request), types)
        return text_answer(await asyncio.to_thread(page_json, page))

    async def publish(request: web.Request) -> web.Response:
        form = await body_of(request, EventForm)
        event = router.publish(form.type, form.payload, form.source).event
        return json_answer(PublishedAnswer(type=event.type.value, event_id=event.event_id), 202)

    return {"GET /events": events, "POST /events": publish}


def page_json(page: Page) -> str:
    """A page as it is answered."""
    rows = tuple(entry.row for entry in page.entries)
    return EventsAnswer(events=rows, next=text_of(page.next), gap=page.gap).model_dump_json()


def since_of(request: web.Request) -> Cursor | None:
    """Where the events are to begin; None: nothing is said. RulesError when it is no cursor."""
    text = request.query.get("since")
    return cursor_of(text) if text else None


def types_of(request: web.Request) -> frozenset[DataEventType]:
    """The types that are wanted; none: all. RulesError with the nearest names for one that there is not."""
    names = [name.strip() for name in request.query.get("types", "").split(",") if name.strip()]
    if len(names) > TYPES_MAX:
        raise RequestError(f"{TYPES_MAX} types are the most")
    return frozenset(DataEventType.of(name) for name in names)
