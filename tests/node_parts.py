"""The parts of a node around a pipeline over any consensus; nothing of it calls or listens."""

from dataclasses import dataclass

from managers.circuit_breaker import CircuitBreaker
from managers.pipeline import Pipeline
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from p2p.consensus.seat import Seat
from p2p.exchange.exchange import Exchange, surroundings_of
from p2p.http.node_calls import Caller, NodeCalls
from p2p.identity.node_key import NodeKey
from p2p.mesh import Mesh


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What the shell of a node needs of it (p2p/orchestrator.py: Node)."""

    pipeline: Pipeline
    mesh: Mesh


def parts_of(pipeline: Pipeline, consensus: LocalConsensus[ClusterState, Result]) -> NodeParts:
    """Those of a node alone."""
    caller = Caller(
        pipeline.identity.node, lambda: consensus.state.cluster_id, NodeKey(b"k" * 32), lambda: 0, pipeline.clock
    )
    calls = NodeCalls(caller, lambda _node: (), CircuitBreaker())
    exchange = Exchange(surroundings_of(pipeline), calls)
    return NodeParts(pipeline, Mesh(pipeline, Seat(consensus), exchange, calls))
