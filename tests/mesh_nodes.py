"""Nodes that call each other over loopback: real keys, the real guard, one state in memory."""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from managers.circuit_breaker import CircuitBreaker
from managers.state.cluster_state import ClusterState
from managers.state.commands import Found, Join
from p2p.http.guard import Gate
from p2p.http.json_answer import Handlers
from p2p.http.node_api import node_app
from p2p.http.node_calls import Caller, NodeCalls
from p2p.http.refusal_log import RefusalLog
from p2p.http.request_metrics import RequestMetrics
from p2p.identity.credentials import Credentials
from p2p.identity.envelope import Verifier
from p2p.identity.member_keys import MemberKeys
from p2p.identity.node_key import NodeKey
from p2p.identity.sessions import Sessions
from tests.commanded import Commanded

CLUSTER = "c" * 32
WALL = 1_700_000_000.0


def key_of(name: str) -> NodeKey:
    """The key of a node of the tests."""
    return NodeKey(hashlib.sha256(name.encode()).digest())


@dataclass
class Mesh:
    """What the nodes have in common, and where they answer."""

    cluster: Commanded = field(default_factory=Commanded)
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ahead_s: dict[str, float] = field(default_factory=dict)  # of a node's clock
    epoch: int = 0

    def __post_init__(self) -> None:
        self.cluster.do(Found(cluster_id=CLUSTER))

    @property
    def state(self) -> ClusterState:
        """The state that they share."""
        return self.cluster.state

    def join(self, *names: str, spot: bool = False) -> None:
        """New members."""
        for name in names:
            key = key_of(name).text
            self.cluster.do(Join(node=name, session=1, cores=1, public_key=key, spot=spot, addresses=(f"{name}:8770",)))

    def wall(self, name: str) -> float:
        """Unix seconds by the clock of a node."""
        return WALL + self.ahead_s.get(name, 0.0)

    def gate(self, name: str) -> Gate:
        """The real gate of a node."""
        keys = MemberKeys(lambda: self.state, name)
        return Gate(
            credentials=Credentials(None, None),
            sessions=Sessions(),
            refusals=RefusalLog(time.monotonic),
            names=frozenset({name}),
            wall=lambda: self.wall(name),
            monotonic=time.monotonic,
            verifier=Verifier(CLUSTER, name, keys, since=0.0),
            epoch=lambda: self.epoch,
        )

    @asynccontextmanager
    async def serving(self, name: str, handlers: Handlers) -> AsyncIterator[TestServer]:
        """A member that answers until the block ends, and is known by its address for good."""
        metrics = RequestMetrics({})
        async with self.raw(name, node_app(handlers, self.gate(name), metrics)) as server:
            yield server

    @asynccontextmanager
    async def raw(self, name: str, app: web.Application) -> AsyncIterator[TestServer]:
        """A server of one's own in the place of a member."""
        server = TestServer(app)
        async with server:
            self.addresses[name] = (f"127.0.0.1:{server.port}",)
            yield server

    @asynccontextmanager
    async def calls(self, name: str, breaker: CircuitBreaker | None = None) -> AsyncIterator[NodeCalls]:
        """The calls of a member."""
        caller = Caller(name, lambda: CLUSTER, key_of(name), lambda: self.epoch, lambda: self.wall(name))
        async with NodeCalls(caller, lambda node: self.addresses.get(node, ()), breaker or CircuitBreaker()) as calls:
            yield calls
