"""What a running node keeps for itself and how it looks at nodes, put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from managers.circuit_breaker import CircuitBreaker
from managers.health import Health
from managers.health_check_orchestrator import HealthCheckOrchestrator, OwnSight
from managers.node_keeper import KEEP_S, NodeKeeper
from managers.pipeline import Pipeline
from managers.runtime import Service
from managers.state_manager import StateManager
from p2p.http.health_probe import HttpNodeProbe, addresses_of


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is while a node runs."""

    state: StateManager
    breaker: CircuitBreaker  # of calls to other nodes
    checks: HealthCheckOrchestrator
    service: Service


@asynccontextmanager
async def keeping(pipeline: Pipeline, health: Callable[[], Health]) -> AsyncIterator[Kept]:
    """Open what the node keeps until the block ends; StorageError when its file cannot be used."""
    standing, consensus, node = pipeline.standing, pipeline.consensus, pipeline.settings.node
    breaker = CircuitBreaker()
    async with AsyncExitStack() as stack:
        state = pipeline.kept
        if state is None:
            state = await stack.enter_async_context(StateManager(pipeline.folder.node_state, pipeline.clock))
        keeper = NodeKeeper(state, pipeline.clock, lambda: consensus.state, lambda: standing.resources, breaker)
        await keeper.restore()
        checks = HealthCheckOrchestrator(
            pipeline.identity.node,
            lambda: OwnSight(health(), standing.resources),
            lambda: consensus.state.members,
            HttpNodeProbe(addresses_of(node.peers).get),
            breaker,
            pipeline.clock,
        )
        service = Service(name="STATE_MANAGER", run=keeper.run, progress_s=10 * KEEP_S)
        yield Kept(state, breaker, checks, service)
