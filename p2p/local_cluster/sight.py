"""What is seen of a local cluster at one moment, and what follows from it; pure.

Facts about the cluster come from the node that leads, or from any that answers; facts about a node, from itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from managers.outcomes import short
from managers.status_records import JobStatusRow, Status
from p2p.local_cluster.plan import NodePlan

GAMES_LINE = re.compile(r'ringrift_games_synced_total\{host="([^"\\]*)"\} ([0-9.eE+]+)')


@dataclass(frozen=True, slots=True)
class NodeSight:
    """A node."""

    plan: NodePlan
    process: str  # how its process stands: starting, running, starts again, ...
    pid: int | None
    restarts: int
    status: Status | None  # what it says; None: it does not answer
    silence: str = ""  # why not
    games_per_h: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterSight:
    """All of them."""

    nodes: tuple[NodeSight, ...]
    games: tuple[str, ...]  # that are learned
    uptime_s: float
    aim: str = ""  # what ends it
    kernels: str = ""  # what is compiled beside the games

    @property
    def leading(self) -> Status | None:
        """What the node says that leads; where none does, any that answers."""
        said = [node.status for node in self.nodes if node.status is not None]
        return max(said, key=lambda it: (it.role == "leader", it.epoch), default=None)

    @property
    def clusters(self) -> tuple[str, ...]:
        """The ids of the clusters that the nodes belong to: one, once they have found each other."""
        ids = (node.status.cluster_id for node in self.nodes if node.status is not None)
        return tuple(dict.fromkeys(it for it in ids if it))

    @property
    def games_per_s(self) -> float | None:
        """Of all nodes together; None: not measured yet."""
        rates = [node.games_per_h for node in self.nodes if node.games_per_h is not None]
        return sum(rates) / 3600 if rates else None


def not_yet(sight: ClusterSight) -> Iterator[str]:
    """What is missing until every game has a champion that every node has installed."""
    leading = sight.leading
    if leading is None:
        yield "no node answers yet"
        return
    for game in sight.games:
        champion = leading.champions.get(game)
        if champion is None:
            yield f"{game} has no champion yet"
            continue
        late = [node.plan.name for node in sight.nodes if installed(node, game) != champion.sha256]
        if late:
            yield f"the champion {short(champion.sha256)} of {game} is not installed on {', '.join(late)}"


def installed(node: NodeSight, game: str) -> str | None:
    """The digest of the champion that a node has installed, as it says itself; None: of none, or an older one."""
    status = node.status
    champion = None if status is None else status.champions.get(game)
    if status is None or champion is None:
        return None
    where = status.model_distribution.get(champion.sha256)
    return champion.sha256 if where is not None and node.plan.name in where.nodes else None


def own_jobs(node: NodeSight) -> Sequence[JobStatusRow]:
    """The jobs that run on a node, as it says itself: nobody else knows how far they are."""
    status = node.status
    return () if status is None else [it for it in status.jobs if it.node == node.plan.name and it.status == "running"]


def games_of(metrics: str, node: str) -> int | None:
    """The games that a node has made, out of its metrics; None where it does not say so."""
    for line in metrics.splitlines():
        found = GAMES_LINE.fullmatch(line.strip())
        if found is not None and found[1] == node:
            return int(float(found[2]))
    return None
