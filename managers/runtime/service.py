"""What a Supervisor runs: services, how often they may fail, what is known of each (docs/design/runtime.md)."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ringrift_core.errors import RulesError

STALLED_AFTER = 3  # intervals without a beat

Beat = Callable[[], None]  # says that progress was made; the first one, that the service is ready


class Restart(StrEnum):
    """When a service that ended is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on failure"
    NEVER = "never"


class State(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"  # for services that it depends on
    STARTING = "starting"  # running, not ready yet
    RUNNING = "running"
    BACKOFF = "backoff"  # ended, will be started again
    DONE = "done"  # returned, and is not to be started again
    FAILED = "failed"  # given up for the cooldown
    STOPPING = "stopping"
    STOPPED = "stopped"
    ABANDONED = "abandoned"  # did not end within its bound when it was cancelled


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """How often a service may be restarted before it is given up, and how long to wait before each restart."""

    restarts_max: int = 5  # in window_s
    window_s: float = 300.0
    first_s: float = 0.5  # the wait doubles with each restart in the window
    delay_max_s: float = 60.0
    jitter: float = 0.5  # share of the wait that chance takes away
    cooldown_s: float = 600.0  # a service that was given up is tried again after this

    def __post_init__(self) -> None:
        sound = self.restarts_max >= 0 and self.window_s > 0 and 0 <= self.jitter <= 1 and self.cooldown_s > 0
        if not (sound and 0 < self.first_s <= self.delay_max_s):
            raise RulesError(f"no restart budget: {self}; times are above 0, jitter is a share")

    def recent(self, restarts: Sequence[float], now: float) -> list[float]:
        """The moments of restarts that still count."""
        return [at for at in restarts if now - at < self.window_s]

    def delay_s(self, restarts: int, chance: float) -> float:
        """The wait before a restart, `restarts` others being in the window; `chance` is drawn from [0, 1)."""
        doubled: float = self.first_s * 2.0 ** min(restarts, 64)
        return min(doubled, self.delay_max_s) * (1 - self.jitter * chance)


@dataclass(frozen=True, slots=True)
class Service:
    """One long-running part, under its public name such as JOB_REAPER."""

    name: str
    run: Callable[[Beat], Coroutine[Any, Any, None]]
    restart: Restart = Restart.ALWAYS
    depends_on: tuple[str, ...] = ()  # each must be ready, or done, before every start of this one
    critical: bool = False  # given up, it ends the supervisor
    ready_on_beat: bool = False  # ready at its first beat; otherwise as soon as it runs
    start_timeout_s: float = 30.0  # for that first beat
    progress_s: float | None = None  # a beat is expected this often; None: progress is not watched
    stop_timeout_s: float = 5.0
    budget: RestartBudget = field(default_factory=RestartBudget)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What is known of a service at one moment."""

    name: str
    state: State
    critical: bool
    restarts: int  # since it was first started
    last_error: str | None
    state_age_s: float  # in this state
    progress_age_s: float | None  # since the last beat of this start
    stalled: bool  # running without a beat for STALLED_AFTER intervals
    waits_for: tuple[str, ...]


def layers(services: Sequence[Service]) -> list[list[str]]:
    """Names in the order of starting: each layer needs only earlier ones. RulesError for names that do not fit."""
    known = {service.name for service in services}
    if len(known) < len(services):
        raise RulesError("two services have the same name")
    for service in services:
        if missing := set(service.depends_on) - known:
            raise RulesError(f"{service.name} depends on {', '.join(sorted(missing))}, which is no service here")
    sorter = TopologicalSorter({service.name: service.depends_on for service in services})
    try:
        sorter.prepare()
    except CycleError as error:
        raise RulesError(f"services depend on each other in a circle: {' -> '.join(error.args[1])}") from None
    found = []
    while sorter.is_active():
        ready = sorter.get_ready()
        found.append(list(ready))
        sorter.done(*ready)
    return found
