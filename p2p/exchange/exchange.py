"""Exchange: the parts that bring files from node to node, put together for one node.

async with NodeCalls(...) as calls:
    exchange = Exchange(surroundings_of(pipeline), calls)
    exchange.serve(pipeline)      # before the first job starts
    ... exchange.handlers, exchange.services
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from config.schema import Settings
from managers.net_intake import NetIntake
from managers.node_folder import NodeFolder
from managers.pipeline import Pipeline
from managers.runtime.service import Service
from managers.state.cluster_state import ClusterState
from p2p.exchange.arrivals import Admit, Arrivals
from p2p.exchange.catalogue import Catalogue
from p2p.exchange.fetcher import Fetcher
from p2p.exchange.job_inputs import ExchangeInputs
from p2p.exchange.model_keeper import ModelKeeper
from p2p.exchange.part_keeper import PartKeeper
from p2p.exchange.peer_manifests import PeerManifests
from p2p.exchange.replicas import Alive
from p2p.exchange.shard_keeper import ShardKeeper
from p2p.http.blob_api import blob_handlers
from p2p.http.json_answer import Handlers
from p2p.http.node_calls import NodeCalls


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the exchange needs of its node."""

    node: str
    settings: Settings
    folder: NodeFolder
    state: Callable[[], ClusterState]
    silent: Callable[[], Collection[str]]  # members that are not alive
    champions: Callable[[], Mapping[str, str]]  # digests of the canonical files here, by configuration
    reading: Callable[[], bool]  # whether a job reads shards
    admit: Admit

    def alive(self) -> Alive:
        """The members that can be asked, and this node."""
        members, silent = self.state().members, frozenset(self.silent())
        nodes = frozenset(it.node for it in members.values() if it.addresses and it.node not in silent) | {self.node}
        return Alive(self.node, nodes, frozenset(node for node in nodes if node in members and members[node].spot))

    def others(self) -> frozenset[str]:
        """The same without this node."""
        return self.alive().nodes - {self.node}


class Exchange:
    """One node's exchange."""

    def __init__(self, around: Surroundings, calls: NodeCalls, monotonic: Callable[[], float] = time.monotonic) -> None:
        folder, state = around.folder, around.state
        self.calls = calls
        self.catalogue = Catalogue(folder, monotonic)
        self.peers = PeerManifests(calls, around.others)
        self.fetcher = Fetcher(calls, folder, Arrivals(folder, around.admit))
        self.shards = ShardKeeper(
            around.settings,
            folder,
            self.catalogue,
            self.peers,
            self.fetcher,
            around.alive,
            lambda: state().members,
            around.reading,
        )
        self.models = ModelKeeper(folder, self.peers, self.fetcher, state, around.others)
        self.parts = PartKeeper(around.node, folder, self.fetcher, state, around.others)
        self.inputs = ExchangeInputs(folder, self.catalogue, self.peers, self.fetcher, state, around.others)
        self.others = around.others  # the nodes that can be asked now
        self._champions = around.champions

    @property
    def handlers(self) -> Handlers:
        """What other nodes ask."""
        return blob_handlers(self.catalogue, self._champions)

    @property
    def keepers(self) -> tuple[ShardKeeper | ModelKeeper, ...]:
        """Who brings what should be here."""
        return self.shards, self.models

    @property
    def services(self) -> tuple[Service, ...]:
        """What runs as long as the node."""
        return self.shards.service, self.models.service, self.parts.service

    @property
    def root(self) -> str:
        """The digest over all that this node holds, as of the last look; for heartbeats."""
        return self.catalogue.latest.root

    def serve(self, pipeline: Pipeline) -> None:
        """Let the jobs of a pipeline wait for their inputs, and its counter for the copies of its shards."""
        pipeline.jobs.inputs = self.inputs
        pipeline.data.announced = self.shards.announced
        pipeline.data.missing = lambda: self.shards.missing
        pipeline.installer.elsewhere = lambda: self.peers.champions


def surroundings_of(pipeline: Pipeline) -> Surroundings:
    """A pipeline as the exchange sees it."""
    return Surroundings(
        node=pipeline.identity.node,
        settings=pipeline.settings,
        folder=pipeline.folder,
        state=lambda: pipeline.consensus.state,
        silent=lambda: pipeline.silent,
        champions=lambda: pipeline.installer.verified,
        reading=lambda: any(running.job.kind == "training" for running in pipeline.jobs.running.values()),
        admit=NetIntake(pipeline.folder, pipeline.clock).admit,
    )
