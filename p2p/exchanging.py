"""The exchange of a running node: its signed calls to the others, and what brings files here, put together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from managers.circuit_breaker import CircuitBreaker
from managers.pipeline import Pipeline
from p2p.exchange.exchange import Exchange, surroundings_of
from p2p.http.node_calls import Caller, NodeCalls
from p2p.identity.node_key import node_key

FAILURES = 3
REST_S = 20.0  # that a node is left alone which does not answer: one that comes back is needed at once


@asynccontextmanager
async def exchanging(pipeline: Pipeline, wall: Callable[[], float]) -> AsyncIterator[Exchange]:
    """Let the jobs of a pipeline have what other nodes hold, until the block ends; `wall` gives unix seconds."""
    consensus = pipeline.consensus

    def addresses_of(node: str) -> Sequence[str]:
        member = consensus.state.members.get(node)
        return () if member is None else member.addresses

    caller = Caller(
        node=pipeline.identity.node,
        cluster_id=consensus.state.cluster_id,
        key=await asyncio.to_thread(node_key, pipeline.folder.root),
        epoch=lambda: consensus.state.epoch,
        wall=wall,
    )
    breaker = CircuitBreaker(failure_threshold=FAILURES, reset_timeout_seconds=REST_S)
    async with NodeCalls(caller, addresses_of, breaker) as calls:
        exchange = Exchange(surroundings_of(pipeline), calls)
        exchange.serve(pipeline)
        yield exchange
