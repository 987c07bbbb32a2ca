"""Which nodes keep a shard, and which shards a node can afford. Pure.

A shard lies on `replicas` nodes: its maker and those that stand first in an order that everybody computes alike from
the digest and the names of the nodes that are alive (rendezvous hashing), so that nobody has to be told and the death
of a node moves only what it held. Where there are nodes that are not taken away at any time, one of them is among them.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2p.exchange.refs import Ref

REPLICAS = 2


@dataclass(frozen=True, slots=True)
class Alive:
    """The nodes that are alive, this one included, and those of them that may be taken away at any time."""

    me: str
    nodes: frozenset[str]
    spot: frozenset[str] = frozenset()

    @property
    def replicas(self) -> int:
        """On how many nodes a shard should lie."""
        return min(REPLICAS, len(self.nodes))

    def enough(self, holders: Collection[str]) -> bool:
        """Whether these nodes are enough of those that are alive."""
        there = self.nodes & frozenset(holders)
        return len(there) >= self.replicas and self._steady(there)

    def _steady(self, chosen: frozenset[str]) -> bool:
        return bool(chosen - self.spot) or not self.nodes - self.spot


def keepers(sha256: str, makers: Collection[str], alive: Alive) -> tuple[str, ...]:
    """The nodes that should hold a shard: makers that are alive, and others in the order of the digest."""
    chosen = sorted(alive.nodes & frozenset(makers))[: alive.replicas]
    others = sorted(alive.nodes - set(chosen), key=lambda node: _weight(sha256, node), reverse=True)
    for node in others:
        if len(chosen) >= alive.replicas:
            break
        chosen.append(node)
    steady = [node for node in others if node not in alive.spot]
    if len(chosen) > len(alive.nodes & frozenset(makers)) and steady and not set(chosen) - alive.spot:
        chosen[-1] = steady[0]
    return tuple(chosen)


def wanted_here(known: Mapping[str, Sequence[tuple[str, Ref]]], mine: Collection[str], alive: Alive) -> list[Ref]:
    """The shards that this node should hold and does not, the newest first.

    `known`: who holds what, by digest, other nodes that are alive only; `mine`: what is here.
    """
    found = []
    for sha256, places in known.items():
        holders = [node for node, _ in places]
        if sha256 in mine or alive.enough(holders):
            continue
        makers = [node for node, ref in places if ref.own]
        if alive.me in keepers(sha256, makers, alive):
            found.append(places[0][1])
    return sorted(found, key=lambda ref: ref.order)


def affordable(held: Iterable[Ref], wanted: Iterable[Ref], quota_bytes: int) -> tuple[list[Ref], list[Ref]]:
    """Of fetched shards and those wanted, the newest that fit: which to fetch, and which to give up for them."""
    held = list(held)
    here = {ref.sha256 for ref in held}
    left, fetch, drop = quota_bytes, [], []
    for ref in sorted([*held, *wanted], key=lambda ref: ref.order):
        left -= ref.size_bytes
        if left >= 0 and ref.sha256 not in here:
            fetch.append(ref)
        elif left < 0 and ref.sha256 in here:
            drop.append(ref)
    return fetch, drop


def _weight(sha256: str, node: str) -> bytes:
    return hashlib.sha256(f"{sha256} {node}".encode()).digest()
