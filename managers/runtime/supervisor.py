"""The Supervisor: one task group for all that runs long; restarts with backoff, budgets, escalation, an orderly end.

Time is that of the running loop (a test gives a loop whose time is virtual). States and guarantees:
docs/design/runtime.md.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from managers.runtime.every import every
from managers.runtime.service import (
    STALLED_AFTER,
    Restart,
    Service,
    ServiceStatus,
    State,
    layers,
)
from managers.runtime.task_group import leave
from ringrift_core.errors import RingriftError, RulesError

ERROR_LETTERS_MAX = 500  # of an error's text in a status
ALIVE = {State.STARTING, State.RUNNING}
READY = {State.RUNNING, State.DONE}
DOWN = {State.STOPPED, State.ABANDONED}

logger = logging.getLogger(__name__)

Observer = Callable[[ServiceStatus], None]


class ServiceFailedError(RingriftError):
    """A critical service was given up; the message names it and its last error."""


class Supervisor:
    """Runs services in the order of their dependencies. `async with` starts them and stops them in reverse.

    `on_change` is told of every new state and of stalls, `on_escalation` of services that are given up; both are called
    on the loop and must be quick. One that raises is logged.
    """

    def __init__(
        self,
        services: Sequence[Service],
        rng: np.random.Generator,
        *,
        on_change: Observer | None = None,
        on_escalation: Observer | None = None,
    ) -> None:
        """RulesError for names that are used twice, unknown, or in a circle."""
        self._layers = layers(services)
        self._units = {service.name: _Unit(service) for service in services}
        self._rng = rng
        self._on_change = on_change
        self._on_escalation = on_escalation
        self._group = asyncio.TaskGroup()
        self._changed = asyncio.Event()  # replaced at every change, so that each waiter sees each one
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._fatal: ServiceStatus | None = None
        self._closer: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._closer = self._group.create_task(self._close(), name="closer of the supervisor")
        if watched := [unit.service.progress_s for unit in self._units.values() if unit.service.progress_s]:
            looks = every(min(watched), self._look, timeout_s=min(watched))
            self._watch = self._group.create_task(looks, name="watch over progress")
        for layer in self._layers:
            for name in layer:
                self._launch(self._units[name])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        try:
            assert self._closer is not None
            await asyncio.wait({self._closer})  # bounded: each service has its stop_timeout_s
        except asyncio.CancelledError as again:
            error = again
            raise
        finally:
            await leave(self._group, error)
        if error is None:
            self._raise_fatal()

    def request_stop(self) -> None:
        """Begin to stop everything; `ended` says when that is done."""
        self._ending.set()

    async def ended(self) -> None:
        """Wait until everything has stopped. ServiceFailedError when a critical service was given up."""
        await self._ended.wait()
        self._raise_fatal()

    def beat(self, name: str) -> None:
        """Say that a service made progress; the same as calling what its run was given."""
        self._beat(self._unit(name))

    def status(self) -> dict[str, ServiceStatus]:
        """Every service as it stands, in the order of starting."""
        return {name: self._status(self._units[name]) for layer in self._layers for name in layer}

    async def stop(self, name: str) -> None:
        """Stop a service and first those that depend on it; they stay down until they are started."""
        self._unit(name)
        await self._stop(self._with_dependents(name))

    def start(self, name: str) -> None:
        """Start a service that is down, done or failed, with a fresh budget, and first what it needs; others go on."""
        unit = self._unit(name)
        if self._ending.is_set():
            raise RulesError(f"{name} cannot be started: everything is being stopped")
        for dependency in unit.service.depends_on:
            if self._units[dependency].state in DOWN:
                self.start(dependency)
        if unit.keeper is None or unit.keeper.done():
            if unit.task is not None and not unit.task.done():
                raise RulesError(f"{name} still runs although it was stopped; restart the node")
            self._launch(unit)
        elif unit.state is State.FAILED:
            unit.retry.set()

    def _launch(self, unit: "_Unit") -> None:
        unit.restarted_at.clear()
        self._enter(unit, State.WAITING)
        unit.keeper = self._group.create_task(self._keep(unit), name=f"keeper of {unit.service.name}")

    async def _keep(self, unit: "_Unit") -> None:
        """The life of one service: wait for what it needs, run, wait, again."""
        try:
            while True:
                await self._dependencies_ready(unit)
                failed = await self._attempt(unit)
                if not failed and unit.service.restart is not Restart.ALWAYS:
                    self._enter(unit, State.DONE)
                    return
                if not await self._pause(unit):
                    return
                unit.restarts += 1
        except asyncio.CancelledError:
            if unit.state is not State.ABANDONED:
                self._enter(unit, State.STOPPED)
            raise

    async def _dependencies_ready(self, unit: "_Unit") -> None:
        while self._waits_for(unit):
            if unit.state is not State.WAITING:
                self._enter(unit, State.WAITING)
            await self._changed.wait()

    async def _attempt(self, unit: "_Unit") -> bool:
        """One run from start to end; whether it failed."""
        service = unit.service
        unit.last_beat, unit.began = None, self._now()
        unit.task = task = asyncio.create_task(self._run(unit), name=service.name)
        self._enter(unit, State.STARTING if service.ready_on_beat else State.RUNNING)
        try:
            await asyncio.wait({task}, timeout=service.start_timeout_s if service.ready_on_beat else None)
            slow = not task.done() and unit.state is State.STARTING
            if slow:
                await self._cancel(unit, task)
            await asyncio.wait({task})  # an abandoned run too: two at once would share what they own
        except asyncio.CancelledError:
            if unit.state is not State.ABANDONED:
                self._enter(unit, State.STOPPING)
                await self._cancel(unit, task)
            raise
        failed = _note_end(unit, task)
        if slow:
            unit.last_error = f"not ready {service.start_timeout_s:g} s after its start"
        return failed or slow

    async def _run(self, unit: "_Unit") -> None:
        """The service itself; a coroutine of our own, so that a factory that raises is a service that fails."""
        await unit.service.run(lambda: self._beat(unit))

    async def _cancel(self, unit: "_Unit", task: asyncio.Task[None]) -> None:
        """Cancel a run and wait for its end; one that goes on after the bound is abandoned."""
        task.cancel()
        await asyncio.wait({task}, timeout=unit.service.stop_timeout_s)
        if task.done():
            _note_end(unit, task)
        else:
            unit.last_error = f"went on {unit.service.stop_timeout_s:g} s after it was cancelled"
            self._enter(unit, State.ABANDONED)
            self._escalate(unit)

    async def _pause(self, unit: "_Unit") -> bool:
        """Wait before the next attempt; False when there will be none."""
        budget, now = unit.service.budget, self._now()
        unit.restarted_at = budget.recent(unit.restarted_at, now)
        restarts = len(unit.restarted_at)
        if unit.service.restart is not Restart.NEVER and restarts < budget.restarts_max:
            unit.restarted_at.append(now)
            self._enter(unit, State.BACKOFF)
            await asyncio.sleep(budget.delay_s(restarts, float(self._rng.random())))
            return True
        unit.retry.clear()
        self._enter(unit, State.FAILED)
        self._escalate(unit)
        if unit.service.restart is Restart.NEVER:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(budget.cooldown_s):
                await unit.retry.wait()
        unit.restarted_at.clear()
        return True

    def _escalate(self, unit: "_Unit") -> None:
        """A service was given up: tell, and end everything when it was critical."""
        status = self._status(unit)
        logger.error("service %s is given up (%s): %s", status.name, status.state, status.last_error)
        if status.critical and not self._ending.is_set():
            self._fatal = status
            self._ending.set()
        self._tell(self._on_escalation, status)

    async def _close(self) -> None:
        """Wait for the end, then stop everything in order."""
        await self._ending.wait()
        if self._watch is not None:
            self._watch.cancel()
        await self._stop(set(self._units))
        self._ended.set()

    async def _stop(self, names: set[str]) -> None:
        """Stop these services, those first that need others."""
        for layer in reversed(self._layers):
            keepers = [self._units[name].keeper for name in layer if name in names]
            alive = [keeper for keeper in keepers if keeper is not None and not keeper.done()]
            for keeper in alive:
                keeper.cancel()
            if alive:
                await asyncio.wait(alive)  # each ends within its stop_timeout_s

    async def _look(self) -> None:
        """Tell of services that stalled, or go on again, since the last look."""
        for unit in self._units.values():
            status = self._status(unit)
            if status.stalled is not unit.stalled:
                unit.stalled = status.stalled
                logger.warning("service %s %s", status.name, "is stalled" if status.stalled else "goes on again")
                self._tell(self._on_change, status)

    def _enter(self, unit: "_Unit", state: State) -> None:
        """Another state, told to whoever waits or watches."""
        unit.state, unit.since, unit.stalled = state, self._now(), False
        self._changed.set()
        self._changed = asyncio.Event()
        self._tell(self._on_change, self._status(unit))

    def _tell(self, observer: Observer | None, status: ServiceStatus) -> None:
        if observer is None:
            return
        try:
            observer(status)
        except Exception:  # the Supervisor outlives whoever watches it
            logger.exception("an observer of the supervisor failed at %s", status.name)

    def _beat(self, unit: "_Unit") -> None:
        unit.last_beat = self._now()
        if unit.state is State.STARTING:
            self._enter(unit, State.RUNNING)

    def _status(self, unit: "_Unit") -> ServiceStatus:
        now, every_s = self._now(), unit.service.progress_s
        quiet_s = now - (unit.began if unit.last_beat is None else unit.last_beat)
        return ServiceStatus(
            name=unit.service.name,
            state=unit.state,
            critical=unit.service.critical,
            restarts=unit.restarts,
            last_error=unit.last_error,
            state_age_s=now - unit.since,
            progress_age_s=None if unit.last_beat is None else now - unit.last_beat,
            stalled=unit.state is State.RUNNING and every_s is not None and quiet_s > STALLED_AFTER * every_s,
            waits_for=self._waits_for(unit) if unit.state is State.WAITING else (),
        )

    def _waits_for(self, unit: "_Unit") -> tuple[str, ...]:
        return tuple(name for name in unit.service.depends_on if self._units[name].state not in READY)

    def _with_dependents(self, name: str) -> set[str]:
        """A service and all that need it, directly or not."""
        found = {name}
        for layer in self._layers:  # what needs others comes after them
            found |= {other for other in layer if found & set(self._units[other].service.depends_on)}
        return found

    def _unit(self, name: str) -> "_Unit":
        if name not in self._units:
            raise RulesError(f"there is no service {name!r}; there are {', '.join(self._units)}")
        return self._units[name]

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise ServiceFailedError(f"{self._fatal.name} was given up: {self._fatal.last_error}")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Unit:
    """What the Supervisor keeps of one service; times are those of the loop."""

    service: Service
    state: State = State.STOPPED
    since: float = 0.0
    began: float = 0.0
    last_beat: float | None = None
    last_error: str | None = None
    restarts: int = 0
    stalled: bool = False
    restarted_at: list[float] = field(default_factory=list)
    retry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None  # the present or last run
    keeper: asyncio.Task[None] | None = None


def _note_end(unit: _Unit, task: asyncio.Task[None]) -> bool:
    """Whether a run that ended did so with an error, which is kept and logged once."""
    if task.cancelled():
        if unit.state in ALIVE:
            unit.last_error = "was cancelled from inside"
        return True
    error = task.exception()
    if error is not None:
        unit.last_error = f"{type(error).__name__}: {error}"[:ERROR_LETTERS_MAX]
        logger.error("service %s failed", unit.service.name, exc_info=error)
    return error is not None
