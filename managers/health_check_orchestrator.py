"""HealthCheckOrchestrator: how a node is, this one or another, in one record with its reasons.

    health = await checks.check_node_health("gpu-node-1")

This node is judged by its services, its machine and whether its state can be written. Another one is asked, within
PROBE_S; one that has not answered several times is left alone for a while (circuit_breaker.py) and unknown until then.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from managers.circuit_breaker import CircuitBreaker
from managers.health import Health
from managers.line import Line
from managers.ports import NodeProbe, ProbedHealth, ProbeError
from managers.resource_watch import Resources
from managers.state.record import Record
from ringrift_core.errors import RulesError

PROBE_S = 5.0  # for the answer of another node
PROBES_MAX = 16  # at the same time
CHECKED_MAX = 1000  # nodes of one look at all of them

HealthWord = Literal["healthy", "degraded", "unhealthy", "unknown"]
WORST_FIRST: tuple[HealthWord, ...] = ("unhealthy", "degraded", "unknown", "healthy")


class HealthCheck(Record):
    """One thing that was looked at."""

    name: str
    status: HealthWord
    reason: Line = ""
    latency_ms: float = 0.0  # until it was known


class NodeHealth(Record):
    """How a node is: as its worst check."""

    node: str
    status: HealthWord
    reasons: tuple[Line, ...]
    checks: tuple[HealthCheck, ...]
    at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class OwnSight:
    """What this node knows of itself."""

    health: Health
    resources: Resources | None  # None: not looked yet


class HealthCheckOrchestrator:
    """Looks at nodes when it is asked."""

    def __init__(
        self,
        node: str,
        own: Callable[[], OwnSight],
        members: Callable[[], Collection[str]],
        probe: NodeProbe,
        breaker: CircuitBreaker,
        clock: Callable[[], float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own` and `members` say what is known now, `clock` gives unix seconds."""
        self._node = node
        self._own = own
        self._members = members
        self._probe = probe
        self._breaker = breaker
        self._clock = clock
        self._monotonic = monotonic
        self._turns = asyncio.Semaphore(PROBES_MAX)

    async def check_node_health(self, node_id: str) -> NodeHealth:
        """How a node is now. RulesError for one that is no member."""
        if node_id == self._node:
            return self._judged(node_id, own_checks(self._own()))
        if node_id not in self._members():
            raise RulesError(f"there is no node {node_id[:100]!r}; `/status` lists the members")
        async with self._turns:
            return self._judged(node_id, (await self._asked(node_id),))

    async def check_all(self) -> tuple[NodeHealth, ...]:
        """How every member is, by name; of a very large cluster the first CHECKED_MAX."""
        names = sorted({self._node, *self._members()})[:CHECKED_MAX]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._present(name)) for name in names]
        return tuple(found for task in tasks if (found := task.result()) is not None)

    async def _present(self, name: str) -> NodeHealth | None:
        try:
            return await self.check_node_health(name)
        except RulesError:  # it has left meanwhile
            return None

    async def _asked(self, node: str) -> HealthCheck:
        if not self._breaker.can_execute(node):
            return HealthCheck(name="probe", status="unknown", reason=self._why_not(node))
        began = self._monotonic()
        try:
            async with asyncio.timeout(PROBE_S):
                said = await self._probe.health(node, PROBE_S)
        except (ProbeError, TimeoutError) as error:
            reason = str(error) or f"no answer in {PROBE_S:g} s"
            self._breaker.record_failure(node, reason)
            return HealthCheck(name="probe", status="unhealthy", reason=reason, latency_ms=self._since(began))
        self._breaker.record_success(node)
        return probed_check(said, self._since(began))

    def _why_not(self, node: str) -> str:
        found = next((it for it in self._breaker.status() if it.target == node), None)
        if found is None:
            return "not asked"
        return f"not asked for {found.retry_in_s:.0f} s: failed {found.failures} times, last: {found.reason}"

    def _since(self, began: float) -> float:
        return 1000 * (self._monotonic() - began)

    def _judged(self, node: str, checks: tuple[HealthCheck, ...]) -> NodeHealth:
        found = {check.status for check in checks}
        worst = next(word for word in WORST_FIRST if word in found)
        reasons = tuple(f"{check.name}: {check.reason}" for check in checks if check.reason)
        return NodeHealth(node=node, status=worst, reasons=reasons, checks=checks, at=self._clock())


def own_checks(own: OwnSight) -> tuple[HealthCheck, ...]:
    """What this node finds when it looks at itself."""
    health, found = own.health, own.resources
    services = said_check("services", health.status, health.reasons, health.degraded)
    if found is None:
        return (services, HealthCheck(name="machine", status="unknown", reason="not looked at yet"))
    return (
        services,
        HealthCheck(name="machine", status="degraded" if found.unfit else "healthy", reason=found.unfit),
        HealthCheck(name="gpus", status="degraded" if trouble(found) else "healthy", reason=trouble(found)),
    )


def trouble(found: Resources) -> str:
    """What is wrong with the GPUs."""
    broken = [f"GPU {gpu.index}: {gpu.trouble}" for gpu in found.gpus.devices if gpu.trouble]
    return "; ".join([found.gpus.trouble, *broken] if found.gpus.trouble else broken)


def probed_check(said: ProbedHealth, latency_ms: float) -> HealthCheck:
    """What another node has said."""
    check = said_check("probe", said.status, said.reasons, said.degraded)
    return check.model_copy(update={"latency_ms": latency_ms})


def said_check(name: str, status: str, reasons: tuple[str, ...], degraded: tuple[str, ...]) -> HealthCheck:
    """The answer of `/health` as a check; a node that is halted works, but not on jobs."""
    if status == "failing":
        return HealthCheck(name=name, status="unhealthy", reason="; ".join(reasons) or "it is failing")
    if status not in {"ok", "halted"}:
        return HealthCheck(name=name, status="unknown", reason=f"it says {status!r}")
    notes = (["halted"] if status == "halted" else []) + list(degraded)
    return HealthCheck(name=name, status="degraded" if notes else "healthy", reason="; ".join(notes))
