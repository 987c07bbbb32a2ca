"""Events under the documents' names: inside a node its own EventRouter, outside the same methods over HTTP.

    get_router().publish(DataEventType.TRAINING_COMPLETED, {"config": "square8_2p"}, "trainer")

    @get_event_bus().subscribe("training.completed")
    async def told(event): ...

Outside a node a handler runs on a thread of this process that is not the caller's.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache

from managers.ports import BusyError
from managers.runtime import CoordinatorStats, DataEventType, DeadLetter, Event, EventRouter, Subscription, make_event
from managers.runtime.event_router import EventName, Published, Subscribing
from managers.runtime.subscriber import Handler, SubscriberStatus
from p2p.client.attached import attached
from p2p.client.event_stream import NAME, STREAM, EventFollower, EventPage, event_of, pages
from p2p.client.node_http import Answer, NodeHttp, node_http
from ringrift_core.errors import RulesError

ROUTERS_MAX = 8  # nodes that one process speaks to
SENDING_MAX = 1000  # events on their way to the node
NOTHING = CoordinatorStats(0, 0, 0, 0, 0, 0, 0, (), {})

logger = logging.getLogger(__name__)


class Sent:
    """What `publish` returns outside a node: need not be awaited; awaited, it waits until the node has the event."""

    __slots__ = ("_arrived", "event")

    def __init__(self, event: Event, arrived: "Future[None] | None") -> None:
        self.event = event
        self._arrived = arrived

    def __await__(self) -> Generator[None, None, Event]:
        if self._arrived is not None:
            yield from asyncio.wrap_future(self._arrived).__await__()
        return self.event


class RemoteRouter(Subscribing):
    """A node's EventRouter over HTTP."""

    def __init__(self, http: NodeHttp, wall: Callable[[], float]) -> None:
        """`wall` gives unix s. Nothing is asked before it is used."""
        self._http = http
        self._wall = wall
        self._lock = threading.Lock()
        self._follower: EventFollower | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._sending = threading.BoundedSemaphore(SENDING_MAX)

    def publish(
        self, event: Event | EventName, payload: Mapping[str, object] | None = None, source: str | None = None
    ) -> Published | Sent:
        """Publish an event in the node, or one made of a name, a payload and a source.

        In a program without a running loop it waits until the node has it: NodeUnreachable or NodeRefusal otherwise.
        With one it is sent by a thread, in the order of publishing; await it to know. RulesError says what is wrong
        with it, BusyError that too many are on their way.
        """
        if not isinstance(event, Event):
            name = event if isinstance(event, str) else event.type
            event = make_event(name, payload or {}, source or NAME, self._wall())
        elif payload is not None or source is not None:
            raise RulesError("an event has its payload and source in itself")
        body = {"type": event.type.value, "payload": event.payload, "source": event.source}
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._http.post(STREAM, Answer, body)
            return Sent(event, None)
        return Sent(event, self._send(body))

    def _subscribed(self, kind: EventName, handler: Handler, name: str | None) -> Subscription:
        follower = self._following()
        subscription = follower.ask(lambda router: router.subscribe(kind, handler, name=name))
        with self._lock:
            follower.follow()
        return Subscription(lambda: follower.ask(lambda _: subscription.cancel()))

    def unsubscribe(self, handler: Handler) -> None:
        """End all subscriptions of a handler."""
        if self._follower is not None:
            self._follower.ask(lambda router: router.unsubscribe(handler))

    def get_recent_events(self, limit: int = 100) -> list[Event]:
        """The last events that the node remembers, oldest first."""
        latest = deque((row for page in pages(self._http) for row in page.events), maxlen=max(0, limit))
        return [event for row in latest if (event := event_of(row)) is not None]

    def since(self, seq: int, limit: int = 100) -> list[Event]:
        """The first events of later transitions than `seq`, oldest first; RulesError when some are forgotten."""
        page = self._http.get(STREAM, EventPage, {"since": seq, "limit": limit})
        if page.gap:
            raise RulesError(f"events after {seq} are forgotten; read the state, then go on from there")
        events = (event_of(row) for row in page.events)
        return [event for event in events if event is not None and event.seq is not None]

    def dead_letters(self) -> list[DeadLetter]:
        """The last events that handlers of this process failed on, oldest first."""
        return [] if self._follower is None else self._follower.ask(lambda router: router.dead_letters())

    def subscribers(self) -> list[SubscriberStatus]:
        """Every subscriber of this process as it stands."""
        return [] if self._follower is None else self._follower.ask(lambda router: router.subscribers())

    def coordinator_stats(self) -> CoordinatorStats:
        """Counts of what came to this process since its first subscription."""
        return NOTHING if self._follower is None else self._follower.ask(lambda router: router.coordinator_stats())

    def close(self) -> None:
        """Follow no more: handlers get what has come, and nothing after it."""
        if self._follower is not None:
            self._follower.close()

    def _following(self) -> EventFollower:
        with self._lock:
            if self._follower is None:
                follower = EventFollower(self._http)
                follower.open()
                self._follower = follower
            return self._follower

    def _send(self, body: Mapping[str, object]) -> "Future[None]":
        if not self._sending.acquire(blocking=False):
            raise BusyError(f"{SENDING_MAX} events are on their way to {self._http.url}; await them")
        with self._lock:
            if self._sender is None:
                self._sender = ThreadPoolExecutor(1, thread_name_prefix="events to the node")
        future = self._sender.submit(self._sent, body)
        future.add_done_callback(self._arrived)
        return future

    def _sent(self, body: Mapping[str, object]) -> None:
        self._http.post(STREAM, Answer, body)

    def _arrived(self, future: "Future[None]") -> None:
        self._sending.release()
        if not future.cancelled() and (error := future.exception()) is not None:
            logger.error("an event has not come to the node: %s", error)


Router = EventRouter | RemoteRouter


def get_router() -> Router:
    """The router of this process' node; without one, that of the node that the environment names."""
    here = attached()
    return _remote(node_http()) if here is None else here.node.router


get_event_router = get_event_bus = get_data_event_bus = get_event_coordinator = get_router
UnifiedEventCoordinator = EventRouter


def publish(
    event: Event | EventName, payload: Mapping[str, object] | None = None, source: str | None = None
) -> Published | Sent:
    """Publish an event; need not be awaited."""
    return get_router().publish(event, payload, source)


def emit_training_started(config: str, source: str | None = None, **more: object) -> Published | Sent:
    """Publish that a training run of a configuration began; `more` are fields of TRAINING_STARTED."""
    return publish(DataEventType.TRAINING_STARTED, {"config": config, **more}, source)


def emit_training_completed(config: str, source: str | None = None, **more: object) -> Published | Sent:
    """Publish that a training run of a configuration finished; `more` are fields of TRAINING_COMPLETED."""
    return publish(DataEventType.TRAINING_COMPLETED, {"config": config, **more}, source)


@lru_cache(maxsize=ROUTERS_MAX)
def _remote(http: NodeHttp) -> RemoteRouter:
    """One router per node, so that all subscriptions share one stream."""
    return RemoteRouter(http, lambda: datetime.now(UTC).timestamp())
