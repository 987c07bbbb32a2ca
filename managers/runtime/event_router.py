"""The EventRouter: typed events from publishers to subscribers, of whom none can hurt another (docs/design/runtime.md).

Node-local. Events tell people and subscribers what happened; nothing that must happen hangs on them.
"""

import asyncio
import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self, TypeVar, overload

from managers.runtime.event import DataEventType, Event
from managers.runtime.events import make_event
from managers.runtime.subscriber import (
    DeadLetter,
    Handler,
    Subscriber,
    SubscriberSettings,
    SubscriberStatus,
    handling,
)
from managers.runtime.task_group import leave
from ringrift_core.errors import RulesError

EVERYTHING = "*"
WATCHERS_MAX = 8

logger = logging.getLogger(__name__)

EventName = str | type[Event]  # public name, alias, dotted topic, DataEventType, "*", or class
Decorated = TypeVar("Decorated", bound=Handler)


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """Bounds of a router."""

    subscriber: SubscriberSettings = field(default_factory=SubscriberSettings)
    subscribers_max: int = 200
    threads_max: int = 32  # subscribers that are plain functions
    history_max: int = 1000  # events kept, and as many replicated ones
    seen_max: int = 20_000  # event ids remembered: duplicates of older events are not recognised
    dead_letters_max: int = 200
    inbox_max: int = 10_000  # events from other threads that the loop has not taken yet
    drain_s: float = 5.0  # for handlers to finish what is queued when the router stops


@dataclass(frozen=True, slots=True)
class CoordinatorStats:
    """Counts since the router was made."""

    published: int
    duplicates: int  # not delivered again
    delivered: int  # to a handler that returned
    failures: int  # of handlers
    dropped: int  # events that a full queue lost
    dead_letters: int  # kept now
    subscribers: int
    failing: tuple[str, ...]  # subscribers that somebody should look at
    by_type: Mapping[str, int]


class Published:
    """What `publish` returns: need not be awaited; awaited, it gives other tasks a turn and returns the event."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event = event

    def __await__(self) -> Generator[None, None, Event]:
        yield from asyncio.sleep(0).__await__()
        return self.event


class Subscription:
    """A handle: `cancel()`, or calling it, ends the subscription."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self.cancel = cancel

    def __call__(self) -> None:
        """End it, as `cancel` does."""
        self.cancel()


class Subscribing:
    """`subscribe` in its two forms, for routers that take a handler."""

    @overload
    def subscribe(self, kind: EventName, handler: Handler, *, name: str | None = None) -> Subscription: ...
    @overload
    def subscribe(
        self, kind: EventName, handler: None = None, *, name: str | None = None
    ) -> Callable[[Decorated], Decorated]: ...
    def subscribe(
        self, kind: EventName, handler: Handler | None = None, *, name: str | None = None
    ) -> Subscription | Callable[[Decorated], Decorated]:
        """Hand events of a kind to `handler(event)`; without one, a decorator. A handler may have several kinds.

        Coroutine functions run on the router's loop, plain functions in a thread of their own. RulesError for unknown
        kinds and for more subscribers than there may be; outside a node NodeUnreachable where none answers.
        """
        if handler is not None:
            return self._subscribed(kind, handler, name)
        _topic(kind)

        def decorate(function: Decorated) -> Decorated:
            self._subscribed(kind, function, name)
            return function

        return decorate

    def _subscribed(self, kind: EventName, handler: Handler, name: str | None) -> Subscription:
        raise NotImplementedError


class EventRouter(Subscribing):
    """Publishes from any thread; subscribes, starts and stops (`async with`) on its loop's thread.

    Every subscriber gets each event once, in the order of publishing, from its own queue in its own task; what is
    published before the start waits there.
    """

    def __init__(
        self,
        node_id: str,
        boot_id: str,
        wall: Callable[[], float],
        settings: RouterSettings | None = None,
        *,
        trace: bool = False,
    ) -> None:
        """`boot_id` is another one in each life of the node, `wall` gives unix s, `trace` logs every step."""
        self._node_id = node_id
        self._boot_id = boot_id
        self._wall = wall
        self._settings = settings or RouterSettings()
        self._trace = trace
        self._numbers = count(1)
        self._entries: dict[Handler, _Entry] = {}
        self._history: deque[Event] = deque(maxlen=self._settings.history_max)
        self._replicated: deque[Event] = deque()
        self._forgotten_seq = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._letters: deque[DeadLetter] = deque(maxlen=self._settings.dead_letters_max)
        self._by_type: Counter[str] = Counter()
        self._watchers: list[Callable[[Event], None]] = []
        self._duplicates = self._gone_delivered = self._gone_failures = self._gone_dropped = 0
        self._inbox: deque[Event] = deque()
        self._inbox_lock = threading.Lock()  # held for a moment only
        self._inbox_announced = False
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()  # of those that unsubscribed too, until they end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        await self._group.__aenter__()
        for entry in self._entries.values():
            self._start(entry)
        self._take_inbox()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._drain()
        except asyncio.CancelledError as again:
            error = again
            raise
        finally:
            self._closed = True
            for task in self._tasks:
                task.cancel()
            await leave(self._group, error)

    def _subscribed(self, kind: EventName, handler: Handler, name: str | None) -> Subscription:
        topic = _topic(kind)
        entry = self._entries.get(handler) or self._enter(handler, name)
        entry.topics.add(topic)
        return Subscription(lambda: self._leave(handler, topic))

    def unsubscribe(self, handler: Handler) -> None:
        """End all subscriptions of a handler."""
        for topic in tuple(self._entries[handler].topics) if handler in self._entries else ():
            self._leave(handler, topic)

    def publish(
        self, event: Event | EventName, payload: Mapping[str, object] | None = None, source: str | None = None
    ) -> Published:
        """Publish an event, or one made of a name, a payload and a source (default: the node); from any thread.

        Never waits for a handler. RulesError naming what is wrong with it, or when a handler publishes too much.
        """
        if not isinstance(event, Event):
            name = event if isinstance(event, str) else event.type
            event = make_event(name, payload or {}, source or self._node_id, self._wall())
        elif payload is not None or source is not None:
            raise RulesError("an event has its payload and source in itself")
        if not event.event_id:
            name = f"{self._node_id}/{self._boot_id}/{next(self._numbers)}"
            event = event.model_copy(update={"event_id": name})
        publisher = handling.get()
        if publisher is not None and self._loop is not None:
            publisher.charge(self._loop.time())
        if threading.get_ident() == self._thread:
            self._accept(event)
        else:
            self._hand_over(event)
        return Published(event)

    def watch(self, watcher: Callable[[Event], None]) -> None:
        """Call it with every event that is published, on the loop's thread and before any subscriber has it.

        It must be quick and must not raise. RulesError for more watchers than there may be.
        """
        if len(self._watchers) >= WATCHERS_MAX:
            raise RulesError(f"a router has at most {WATCHERS_MAX} watchers")
        self._watchers.append(watcher)

    def get_recent_events(self, limit: int = 100) -> list[Event]:
        """The last events published here, oldest first."""
        return list(self._history)[-limit:] if limit > 0 else []

    def since(self, seq: int, limit: int = 100) -> list[Event]:
        """The first events of later transitions than `seq`, oldest first: `limit`, and the rest of the last transition.

        So the last one's seq is where to go on. RulesError when some of them are forgotten.
        """
        if seq < self._forgotten_seq:
            raise RulesError(f"events up to {self._forgotten_seq} are forgotten; read the state, then go on from there")
        found: list[Event] = []
        for event in self._replicated:
            if event.seq is None or event.seq <= seq:
                continue
            if len(found) >= limit and (not found or found[-1].seq != event.seq):
                break
            found.append(event)
        return found

    def dead_letters(self) -> list[DeadLetter]:
        """The last events that handlers failed on, oldest first."""
        return list(self._letters)

    def subscribers(self) -> list[SubscriberStatus]:
        """Every subscriber as it stands."""
        return [entry.subscriber.status() for entry in list(self._entries.values())]

    def coordinator_stats(self) -> CoordinatorStats:
        """Counts of everything since the router was made."""
        statuses = self.subscribers()
        return CoordinatorStats(
            published=self._by_type.total(),
            duplicates=self._duplicates,
            delivered=self._gone_delivered + sum(status.delivered for status in statuses),
            failures=self._gone_failures + sum(status.failures for status in statuses),
            dropped=self._gone_dropped + sum(status.dropped for status in statuses),
            dead_letters=len(self._letters),
            subscribers=len(statuses),
            failing=tuple(status.name for status in statuses if status.failing),
            by_type=dict(self._by_type),
        )

    def _accept(self, event: Event) -> None:
        """Take an event on the loop's thread: remember it, and put it into the queues of those who want it."""
        if event.event_id in self._seen:
            self._duplicates += 1
            return
        self._seen[event.event_id] = None
        if len(self._seen) > self._settings.seen_max:
            self._seen.popitem(last=False)
        self._history.append(event)
        if event.seq is not None:
            self._replicated.append(event)
            if len(self._replicated) > self._settings.history_max:
                self._forgotten_seq = max(self._forgotten_seq, self._replicated.popleft().seq or 0)
        self._by_type[event.type.value] += 1
        if self._trace:
            logger.info("event %s %s from %s: %s", event.type, event.event_id, event.source, event.payload)
        for watcher in self._watchers:
            watcher(event)
        if not self._closed:
            for entry in self._entries.values():
                if event.type in entry.topics or EVERYTHING in entry.topics:
                    entry.subscriber.put(event)

    def _hand_over(self, event: Event) -> None:
        """Leave an event for the loop's thread."""
        with self._inbox_lock:
            self._inbox.append(event)
            if len(self._inbox) > self._settings.inbox_max:
                self._inbox.popleft()
                self._gone_dropped += 1
            announce, self._inbox_announced = not self._inbox_announced, True
        if announce and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
                self._loop.call_soon_threadsafe(self._take_inbox)

    def _take_inbox(self) -> None:
        with self._inbox_lock:
            events, self._inbox = self._inbox, deque()
            self._inbox_announced = False
        for event in events:
            self._accept(event)

    def _enter(self, handler: Handler, name: str | None) -> "_Entry":
        """A new subscriber."""
        if threading.get_ident() != self._thread:
            raise RulesError("subscribe on the thread that runs the router")
        if len(self._entries) >= self._settings.subscribers_max:
            raise RulesError(
                f"a router has at most {self._settings.subscribers_max} subscribers; subscribers_max says so"
            )
        threads = sum(entry.subscriber.in_thread for entry in self._entries.values())
        name = (
            name or f"{getattr(handler, '__module__', '')}.{getattr(handler, '__qualname__', type(handler).__name__)}"
        )
        subscriber = Subscriber(name, handler, self._settings.subscriber, self._bury, trace=self._trace)
        if subscriber.in_thread and threads >= self._settings.threads_max:
            raise RulesError(
                f"a router has at most {self._settings.threads_max} plain functions; make {name} a coroutine"
            )
        entry = self._entries[handler] = _Entry(subscriber)
        if self._loop is not None and not self._closed:
            self._start(entry)
        return entry

    def _start(self, entry: "_Entry") -> None:
        task = self._group.create_task(entry.subscriber.run(), name=f"subscriber {entry.subscriber.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave(self, handler: Handler, topic: str) -> None:
        """End a subscription, and the subscriber with its last one."""
        entry = self._entries.get(handler)
        if entry is None:
            return
        entry.topics.discard(topic)
        if not entry.topics:
            del self._entries[handler]
            status = entry.subscriber.status()
            self._gone_delivered += status.delivered
            self._gone_failures += status.failures
            self._gone_dropped += status.dropped
            entry.subscriber.close()

    def _bury(self, event: Event, name: str, error: str) -> None:
        self._letters.append(DeadLetter(event, name, error, self._wall()))

    async def _drain(self) -> None:
        """Let the handlers finish what is queued, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_s):
                while busy := [each for each in self._entries.values() if not each.subscriber.rested.is_set()]:
                    await busy[0].subscriber.rested.wait()


@dataclass(slots=True)
class _Entry:
    """A subscriber and what it wants."""

    subscriber: Subscriber
    topics: set[str] = field(default_factory=set)


def _topic(kind: EventName) -> str:
    """A name of what to subscribe to, as the one name that stands for it."""
    if isinstance(kind, str):
        return kind if kind == EVERYTHING else DataEventType.of(kind)
    return EVERYTHING if kind is Event else kind.type
