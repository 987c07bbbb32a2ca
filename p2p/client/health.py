"""HealthCheckOrchestrator under the documents' name: how a node is."""

import asyncio
from typing import Literal

from managers.health import Health, health_of
from managers.line import Line
from managers.state.record import Record
from p2p.client.attached import Attached, attached
from p2p.client.node_http import Answer, NodeHttp, node_http
from ringrift_core.errors import RulesError


class NodeHealth(Record):
    """How a node is, and why it is not well."""

    node: str
    status: Literal["healthy", "degraded", "unhealthy", "unknown"]
    reasons: tuple[Line, ...] = ()


class HealthAnswer(Answer):
    """The answer of GET /health."""

    node_id: str
    status: Literal["ok", "halted", "failing"]
    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class MemberAnswer(Answer):
    """A node, as another one knows it."""

    node_id: str
    alive: bool


class NodesAnswer(Answer):
    """The answer of GET /nodes."""

    nodes: tuple[MemberAnswer, ...]


class HealthCheckOrchestrator:
    """Asks how nodes are."""

    async def check_node_health(self, node_id: str) -> NodeHealth:
        """How a node is; RulesError for one that is no member. Of another node than the one asked: whether it lives."""
        here = attached()
        if here is not None:
            return await here.do(lambda: _own(here, node_id))
        return await asyncio.to_thread(_asked, node_http(), node_id)


def get_health_check_orchestrator() -> HealthCheckOrchestrator:
    """Health checks of the cluster that the node is in."""
    return HealthCheckOrchestrator()


def judged(node: str, health: Health | HealthAnswer) -> NodeHealth:
    """What a node says of itself, in the words of health checks."""
    if health.status == "failing":
        return NodeHealth(node=node, status="unhealthy", reasons=(*health.reasons, *health.degraded))
    halted = ("halted: no job is started",) if health.status == "halted" else ()
    reasons = (*halted, *health.degraded)
    return NodeHealth(node=node, status="degraded" if reasons else "healthy", reasons=reasons)


async def _own(here: Attached, node_id: str) -> NodeHealth:
    node = here.node
    if node_id != node.identity.node:
        raise RulesError(f"{node_id[:100]!r} is no node of this cluster; it has {node.identity.node}")
    services = node.supervisor.status().values()
    halted = node.consensus.state.halt is not None
    return judged(node_id, health_of(services, node.standing.unwritable, halted=halted))


def _asked(http: NodeHttp, node_id: str) -> NodeHealth:
    own = http.get("/health", HealthAnswer, fine=(503,))
    if own.node_id == node_id:
        return judged(node_id, own)
    members = {member.node_id: member for member in http.get("/nodes", NodesAnswer).nodes}
    if node_id not in members:
        raise RulesError(f"{node_id[:100]!r} is no node of this cluster; it has {', '.join(sorted(members))}")
    if members[node_id].alive:
        return NodeHealth(node=node_id, status="unknown", reasons=("alive; ask it itself how it is",))
    return NodeHealth(node=node_id, status="unhealthy", reasons=("not alive",))
