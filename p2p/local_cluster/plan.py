"""The plan of a local cluster: which nodes there are, where each listens and works, what it is told; pure.

Nothing secret stands in it: arguments are seen by everybody on the machine, tokens are files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.environment import PORT_MAX, ConfigError
from config.sections import NodeSettings

NODES_MAX = 64
PORT_STEP = 10  # between the ports of two nodes that share an address
RAFT_OFFSET = 1  # the port after that of a node belongs to its consensus
TOKEN_NAME = "cluster.token"  # noqa: S105 - the name of the file
LOG_NAME = "node.log"
OWN = (  # settings that the plan makes, with the option to say instead; "": there is none
    ("node.node_id", ""),
    ("node.peers", "--nodes"),
    ("node.host", ""),
    ("node.port", "--port"),
    ("node.advertise", ""),
    ("node.data_dir", "--data-dir"),
    ("node.cluster_token_file", ""),
    ("node.admin_token_file", ""),
)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node of the cluster."""

    name: str
    host: str
    port: int
    cores: int  # that its jobs may use; 0: it starts none
    folder: Path
    peers: tuple[str, ...]  # addresses of all nodes, its own too
    token_file: Path
    metrics_port: int  # 0: none, as is the next one
    health_port: int

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"{self.host}:{self.port}"

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """What must be free before it starts; its other ports are no loss to it."""
        return (self.host, self.port), (self.host, self.port + RAFT_OFFSET)

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "logs" / LOG_NAME


@dataclass(frozen=True, slots=True)
class Told:
    """What every node is told alike, as it was said to `up`."""

    profile: str | None = None
    config: Path | None = None
    games: tuple[str, ...] | None = None
    assignments: Mapping[str, str] | None = None  # by path: the text of the value


def plan_of(node: NodeSettings, nodes: int, cores: int, *, many_hosts: bool) -> tuple[NodePlan, ...]:
    """The nodes of a cluster in the folder `node.data_dir`, with `cores` among them, at `node.port` or from it on.

    `many_hosts`: all of 127.0.0.0/8 is this machine, so that equal ports fit. ConfigError for a port that is too high.
    """
    folder = node.data_dir.absolute()
    places = [
        (f"127.0.0.{it + 1}", node.port) if many_hosts else ("127.0.0.1", node.port + PORT_STEP * it)
        for it in range(nodes)
    ]
    if node.port < 1 or places[-1][1] > PORT_MAX:
        raise ConfigError(
            f"port {node.port} leaves no room for {nodes} nodes; write --port from 1 to {PORT_MAX - PORT_STEP * nodes}"
        )
    peers = tuple(f"{host}:{port}" for host, port in places)
    share, more = divmod(cores, nodes)
    return tuple(
        NodePlan(
            name=f"node-{number + 1}",
            host=host,
            port=port,
            cores=share + (number < more),
            folder=folder / f"node-{number + 1}",
            peers=peers,
            token_file=folder / TOKEN_NAME,
            metrics_port=0 if number else node.metrics_port,
            health_port=0 if number else node.health_port,
        )
        for number, (host, port) in enumerate(places)
    )


def arguments_of(plan: NodePlan, told: Told) -> list[str]:
    """The arguments of `ringrift-p2p` for a node."""
    options = {
        "--node-id": plan.name,
        "--peers": ",".join(plan.peers),
        "--host": plan.host,
        "--port": str(plan.port),
        "--data-dir": str(plan.folder),
        "--profile": told.profile,
        "--config": None if told.config is None else str(told.config.absolute()),
        "--game": None if told.games is None else ",".join(told.games),
    }
    own = {
        "node.cluster_token_file": json.dumps(str(plan.token_file)),  # a text of JSON is one of YAML
        "node.metrics_port": str(plan.metrics_port),
        "node.health_port": str(plan.health_port),
        **({"node.cores": str(plan.cores)} if plan.cores else {"node.disable_local_tasks": "true"}),
    }
    sets = {**(told.assignments or {}), **own}
    if not plan.cores:
        sets.pop("node.cores", None)
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    return words + [word for path, value in sets.items() for word in ("--set", f"{path}={value}")]


def assigned(texts: Sequence[str]) -> dict[str, str]:
    """`--set` by path; ConfigError for settings that the plan makes."""
    found = {}
    for text in texts:
        path, _, value = text.partition("=")
        found[path.strip()] = value
    for path, option in OWN:
        if path in found:
            raise ConfigError(f"{path} is made for each node; {f'say {option}' if option else 'leave it out'}")
    return found
