"""PeerWatch: whether the nodes that this one is told to ask first are of its cluster.

A member stays in its cluster whatever it is told, and two clusters are never merged. So a peer of another one is a
mistake that only a person can mend; it is said as long as it lasts.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from managers.runtime.every import every
from managers.runtime.service import Beat
from p2p.membership.bootstrap import Card
from p2p.membership.peer_calls import PeerError

LOOK_S = 20.0
LOOK_TIMEOUT_S = 60.0
TOGETHER_MAX = 16  # peers that are asked at once

logger = logging.getLogger(__name__)


class Asking(Protocol):
    """Calls by address (peer_calls.py)."""

    async def who(self, address: str) -> Card:
        """Who a peer is; PeerError."""


class PeerWatch:
    """Looks at the peers of one node; `remarks` are those of the latest look."""

    def __init__(self, node: str, peers: Sequence[str], cluster_id: Callable[[], str]) -> None:
        """`peers` are addresses of others; `cluster_id` is that of this node, "" while it has none."""
        self._node = node
        self._peers = tuple(peers)
        self._cluster_id = cluster_id
        self.remarks: tuple[str, ...] = ()

    async def run(self, asking: Asking, beat: Beat) -> None:
        """Until cancelled."""

        async def look() -> None:
            await self.look(asking)

        await every(LOOK_S, look, timeout_s=LOOK_TIMEOUT_S, beat=beat)

    async def look(self, asking: Asking) -> None:
        """Ask all of them once; who does not answer is of no other cluster."""
        gate = asyncio.Semaphore(TOGETHER_MAX)

        async def one(address: str) -> str:
            async with gate:
                try:
                    return self._against(address, await asking.who(address))
                except PeerError:
                    return ""

        found = await asyncio.gather(*(one(address) for address in self._peers))
        remarks = tuple(text for text in found if text)
        for text in remarks:
            if text not in self.remarks:
                logger.error("%s", text)
        self.remarks = remarks

    def _against(self, address: str, card: Card) -> str:
        """What speaks against a peer; "" for one of this cluster, or of none yet."""
        own = self._cluster_id()
        theirs = card.cluster_id or (None if card.adopted is None else card.adopted.cluster_id)
        if not own or theirs in {None, own} or card.node == self._node:
            return ""
        return (
            f"waits for a person: the peer {address} ({card.node}) is in the cluster {theirs}, this node in {own}; two "
            "clusters are never merged: take it out of the peers (ringrift-p2p doctor)"
        )
