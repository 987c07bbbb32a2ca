"""Whether the loop is well: quick to say, because whoever asks may be about to restart it."""

from collections.abc import Iterable
from typing import Literal

from managers.line import Line
from managers.runtime.service import ServiceStatus, State
from managers.state.record import Record

WELL = frozenset({State.RUNNING, State.STARTING, State.DONE})


class Health(Record):
    """The answer of `/health`."""

    status: Literal["ok", "halted", "failing"]
    reasons: tuple[Line, ...] = ()  # why it fails
    degraded: tuple[Line, ...] = ()  # services that are down and that the loop can do without for a while


def health_of(services: Iterable[ServiceStatus], trouble: str, *, halted: bool) -> Health:
    """Failing: a critical service is down or stalled, or the state cannot be written (`trouble`)."""
    down = [it for it in services if it.state not in WELL or it.stalled]
    reasons = [f"{it.name} {_how(it)}" for it in down if it.critical]
    if trouble:
        reasons.append(f"the state cannot be written: {trouble}")
    return Health(
        status="failing" if reasons else "halted" if halted else "ok",
        reasons=tuple(reasons),
        degraded=tuple(f"{it.name} {_how(it)}" for it in down if not it.critical),
    )


def _how(service: ServiceStatus) -> str:
    how = "is stalled" if service.stalled else f"is {service.state.value}"
    return f"{how}: {service.last_error}" if service.last_error else how
