"""One subscriber of a router: its own queue, its own task, and for a plain function its own thread.

So one that blocks, raises or floods hurts nobody else. This is the event dispatcher: what a handler raises ends here,
as a dead letter.
"""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from managers.runtime.bounded_queue import BoundedQueue, Overflow
from managers.runtime.event import Event
from ringrift_core.errors import RulesError

FAILURES_LOGGED_MAX = 5  # in a row; further ones are dead letters and counted, without a traceback in the log
ERROR_LETTERS_MAX = 500

Handler = Callable[[Any], object]  # takes an event; a coroutine function, or a plain one that runs in a thread

logger = logging.getLogger(__name__)
handling: ContextVar["Subscriber | None"] = ContextVar("handling", default=None)  # whose handler runs


@dataclass(frozen=True, slots=True)
class SubscriberSettings:
    """Bounds of one subscriber."""

    queue_max: int = 1000  # events; the oldest is dropped
    handler_timeout_s: float = 30.0
    cancel_grace_s: float = 1.0  # for a handler to end after its timeout
    publishes_max: int = 1000  # events that its handler may publish in publishes_window_s
    publishes_window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a handler failed on."""

    event: Event
    handler: str
    error: str
    at: float  # unix s


@dataclass(frozen=True, slots=True)
class SubscriberStatus:
    """What is known of one subscriber."""

    name: str
    delivered: int  # handled without an error
    failures: int
    failures_in_a_row: int
    dropped: int  # events lost because its queue was full
    queued: int
    disabled: str | None  # why it gets nothing now: its handler goes on after its timeout; ends when that ends

    @property
    def failing(self) -> bool:
        """Whether it failed so often in a row that somebody should look; it stays subscribed."""
        return self.disabled is not None or self.failures_in_a_row >= FAILURES_LOGGED_MAX


class Subscriber:
    """Hands events to one handler, one after another, in the order of publishing."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        settings: SubscriberSettings,
        bury: Callable[[Event, str, str], None],
        *,
        trace: bool = False,
    ) -> None:
        """`bury` takes (event, name, error) of each failure."""
        self.name = name
        self.in_thread = not _is_coroutine_function(handler)
        self._handler = handler
        self._settings = settings
        self._bury = bury
        self._trace = trace
        self._queue: BoundedQueue[Event | None] = BoundedQueue(settings.queue_max, Overflow.DROP_OLDEST)
        self._thread: _HandlerThread | None = None
        self._closed = False
        self.rested = asyncio.Event()  # set while nothing is left that it could handle now
        self.rested.set()
        self._delivered = self._failures = self._in_a_row = 0
        self._disabled: str | None = None
        self._window_began, self._published = float("-inf"), 0

    def put(self, event: Event) -> None:
        """Add an event to the queue; never waits."""
        self._queue.put(event)
        if self._disabled is None:
            self.rested.clear()

    def close(self) -> None:
        """End `run` after the event that it is at, which may be one whose handler closes."""
        self._closed = True
        self._queue.put(None)

    async def run(self) -> None:
        """Handle events until closed or cancelled."""
        try:
            while (event := await self._queue.get()) is not None and not self._closed:
                await self._handle(event)
                if not len(self._queue):
                    self.rested.set()
        finally:
            if self._thread is not None:
                self._thread.close()

    def status(self) -> SubscriberStatus:
        """What is known of it now."""
        return SubscriberStatus(
            name=self.name,
            delivered=self._delivered,
            failures=self._failures,
            failures_in_a_row=self._in_a_row,
            dropped=self._queue.dropped,
            queued=len(self._queue),
            disabled=self._disabled,
        )

    def charge(self, now: float) -> None:
        """Count an event that the handler publishes; RulesError when those are too many."""
        if now - self._window_began >= self._settings.publishes_window_s:
            self._window_began, self._published = now, 0
        if self._published >= self._settings.publishes_max:
            raise RulesError(
                f"{self.name} publishes more than {self._settings.publishes_max} events in "
                f"{self._settings.publishes_window_s:g} s; a handler that publishes what it subscribes to never ends"
            )
        self._published += 1

    async def _handle(self, event: Event) -> None:
        """One event: handled, failed, or too slow."""
        settings = self._settings
        call = asyncio.create_task(self._call(event), name=f"{self.name} handles {event.type}")
        try:
            await asyncio.wait({call}, timeout=settings.handler_timeout_s)
            if call.done():
                self._note(event, call.result())
                return
            self._note(event, TimeoutError(f"not done after {settings.handler_timeout_s:g} s"))
            if not self.in_thread:  # a thread cannot be interrupted
                call.cancel()
                await asyncio.wait({call}, timeout=settings.cancel_grace_s)
            if not call.done():
                self._disabled = f"its handler still runs, {settings.handler_timeout_s:g} s and more after it began"
                logger.error("subscriber %s gets no events: %s", self.name, self._disabled)
                self.rested.set()
                await asyncio.wait({call})
                self._disabled = None
                self.rested.clear()
                logger.warning("subscriber %s gets events again", self.name)
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call}, timeout=settings.cancel_grace_s)
            raise

    async def _call(self, event: Event) -> BaseException | None:
        """Run the handler; what it raised."""
        handling.set(self)
        try:
            if not self.in_thread:
                result = self._handler(event)
            else:
                self._thread = self._thread or _HandlerThread(self.name)
                result = await self._thread.call(self._handler, event)
                if isinstance(result, _Raised):
                    return result.error
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError("it was cancelled from inside")
        except Exception as error:  # noqa: BLE001  the dispatcher: a handler's error is its own
            return error
        return None

    def _note(self, event: Event, error: BaseException | None) -> None:
        if self._trace:
            logger.info("event %s %s at %s: %s", event.type, event.event_id, self.name, error or "handled")
        if error is None:
            self._delivered += 1
            self._in_a_row = 0
            return
        self._failures += 1
        self._in_a_row += 1
        text = f"{type(error).__name__}: {error}"[:ERROR_LETTERS_MAX]
        if self._in_a_row <= FAILURES_LOGGED_MAX:
            logger.error("%s failed at %s", self.name, event.type, exc_info=error)
        if self._in_a_row == FAILURES_LOGGED_MAX:
            logger.error("%s failed %d times in a row; not logged again until it works", self.name, self._in_a_row)
        self._bury(event, self.name, text)


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a handler raised in its thread."""

    error: BaseException


class _HandlerThread:
    """A thread that runs one call after another. It keeps no process from ending, so a call may never return."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # bounded: one caller, who waits
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, handler: Handler, event: Event) -> object:
        """What the handler returns, or _Raised."""
        done: asyncio.Future[object] = self._loop.create_future()
        context: Context = copy_context()
        self._calls.put(lambda: self._answer(done, context.run(_outcome, handler, event)))
        return await done

    def close(self) -> None:
        """End the thread after the call that it is in."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _answer(self, done: asyncio.Future[object], outcome: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, done, outcome)


def _settle(done: asyncio.Future[object], outcome: object) -> None:
    if not done.done():
        done.set_result(outcome)


def _outcome(handler: Handler, event: Event) -> object:
    try:
        return handler(event)
    except BaseException as error:  # noqa: BLE001  the dispatcher; SystemExit too would end only the thread
        return _Raised(error)


def _is_coroutine_function(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
