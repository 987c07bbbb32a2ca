"""The connections of one voter: it listens, dials every other voter, and keeps at most one connection to each.

Either side may dial. Where both did, the connection that the smaller node id dialled stays. Whoever is told of a peer
hears `connected` and `disconnected` in turn, and frames only in between, each of the connection that was told last.
All on the event loop's thread; nothing here waits for a disk.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from p2p.consensus.channel import Channel, ChannelError, Party, RandomBytes
from p2p.consensus.pipe import Peer
from p2p.http.refusal_log import Bucket

HANDSHAKES_MAX = 32  # of connections that others have dialled, at once
LOOK_S = 0.25  # between two looks at who is silent
WRITE_BYTES_MAX = (
    256 << 20
)  # that wait for a peer: the largest dump, which is sent at once, and a whole tail, with room
STALL_S = 1.0  # between two looks: it is us who were stopped
LINES_BURST = 20.0  # of the log, at once
LINES_PER_S = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Seconds."""

    handshake_s: float = 3.0  # from the connection to the proof
    idle_s: float = 2.0  # nothing heard for so long: the connection is dead; whoever refuses a write names its peer
    keep_alive_s: float = 0.5  # nothing sent for so long: an empty frame
    pause_min_s: float = 0.2  # between two attempts, doubling, with jitter
    pause_max_s: float = 2.0
    larger_waits_s: float = 0.3  # the larger node id lets the smaller one dial first


LAN_LINKS = LinkTiming()
WAN_LINKS = LinkTiming(handshake_s=6.0, idle_s=8.0, keep_alive_s=2.0)


class LinkEvents(Protocol):
    """Who is told."""

    def connected(self, peer: str) -> None:
        """A connection stands, a new one if there was one before."""

    def disconnected(self, peer: str) -> None:
        """It has gone."""

    def received(self, peer: str, frame: bytes) -> None:
        """A frame came."""


class Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, links: "Links", dialled: str | None) -> None:
        self.dialled = dialled
        self.live = False  # announced, and not taken back
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the handshake is done
        self.heard_s = self.sent_s = links.now()
        self._links = links
        self._channel = links.channel(dialled)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._address = ""

    @property
    def peer(self) -> str | None:
        """The other node, once it has proven itself."""
        return self._channel.peer

    @property
    def dialler(self) -> str | None:
        """The node that dialled."""
        return self._links.node if self.dialled is not None else self.peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._address = str((transport.get_extra_info("peername") or ("?",))[0])
        if not self._links.may_greet(self):
            self.drop("")
            return
        self._deadline = asyncio.get_running_loop().call_later(
            self._links.timing.handshake_s, self.drop, "does not finish the handshake"
        )
        transport.write(self._channel.begin())

    def data_received(self, data: bytes) -> None:
        """Bytes came; whatever is wrong with them ends the connection."""
        if self._transport is None or self._transport.is_closing():
            return
        self.heard_s = self._links.now()
        try:
            received = self._channel.receive(data)
        except ChannelError as error:
            self.drop(str(error))
            return
        if received.reply:
            self._transport.write(received.reply)
        if self.peer is not None and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.settled.set_result(None)
            self._links.established(self)
        for frame in received.frames:
            if frame and self.live:
                self._links.received(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        """The end of it."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._transport = None
        self._links.lost(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, frame: bytes) -> bool:
        """Send a frame; False where the connection is at its end, or the peer does not read."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > WRITE_BYTES_MAX:
            self.drop("does not read what it is sent")
            return False
        self.sent_s = self._links.now()
        self._transport.write(self._channel.seal(frame))
        return True

    def drop(self, reason: str) -> None:
        """End it now, with a line in the log where there is a reason."""
        if self._transport is not None and not self._transport.is_closing():
            if reason:
                self._links.tell(f"{self.peer or self.dialled or self._address}: connection ended: {reason}")
            self._transport.abort()
        self._links.lost(self)


class Links:
    """All connections; `async with` ends them."""

    def __init__(
        self, me: Party, events: LinkEvents, random_bytes: RandomBytes, timing: LinkTiming | None = None
    ) -> None:
        self.node = me.node
        self.timing = timing or LAN_LINKS
        self._me = me
        self._events = events
        self._random_bytes = random_bytes
        self._peers: dict[str, Peer] = {}
        self._live: dict[str, Link] = {}
        self._greeting: set[Link] = set()  # in the handshake
        self._dials: dict[str, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()
        self._server: asyncio.Server | None = None
        self._lines = Bucket(LINES_BURST, LINES_PER_S, LINES_BURST, 0.0)
        self._unwritten = 0

    @property
    def connected(self) -> tuple[str, ...]:
        """The peers that are connected, sorted."""
        return tuple(sorted(self._live))

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._looking = self._tasks.create_task(self._look(), name="links")
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End everything; nobody is told."""
        if self._server is not None:
            self._server.close()
        for link in self._live.values():
            link.live = False
        for link in (*self._live.values(), *self._greeting):
            link.drop("")
        for task in (self._looking, *self._dials.values()):
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def listen(self, host: str, port: int) -> int:
        """Listen; the port, a free one for 0. OSError when that is not possible."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self, None), host, port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def set_peers(self, peers: Iterable[Peer]) -> None:
        """Know these and no others; a connection under a key that is no longer that of the peer ends."""
        before, self._peers = self._peers, {it.node: it for it in peers if it.node != self.node}
        for node, link in list(self._live.items()):
            if self.key_of(node) != before[node].public_key:
                link.drop("it is no voter any more, or has another key")
        for node in before.keys() - self._peers.keys():
            self._dials.pop(node).cancel()
        for node in self._peers.keys() - before.keys():
            self._dials[node] = self._tasks.create_task(self._keep_dialling(node), name=f"dial {node}")

    def send(self, peer: str, frame: bytes) -> bool:
        """Send a frame to a peer; False where it is not connected."""
        link = self._live.get(peer)
        return link is not None and link.send(frame)

    def drop(self, peer: str, reason: str) -> None:
        """End the connection to a peer, for a reason."""
        if (link := self._live.get(peer)) is not None:
            link.drop(reason)

    # ---- what a link asks and tells ----

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    def key_of(self, node: str) -> bytes | None:
        """The public key of a peer."""
        peer = self._peers.get(node)
        return None if peer is None else peer.public_key

    def channel(self, dialled: str | None) -> Channel:
        """A channel for a new connection."""
        return Channel(self._me, self.key_of, self._random_bytes, dialled=dialled)

    def may_greet(self, link: Link) -> bool:
        """Whether one more handshake may begin."""
        if link.dialled is None and sum(it.dialled is None for it in self._greeting) >= HANDSHAKES_MAX:
            self.tell(f"{HANDSHAKES_MAX} connections are in the handshake already; the next one was closed")
            return False
        self._greeting.add(link)
        return True

    def established(self, link: Link) -> None:
        """The other side has proven who it is."""
        self._greeting.discard(link)
        peer = link.peer
        assert peer is not None
        old = self._live.get(peer)
        if old is not None:
            # who dials again has lost its old connection; of one each the smaller id's stays, on both sides
            if link.dialler != old.dialler and link.dialler != min(self.node, peer):
                link.drop("")
                return
            old.drop("")
        self._live[peer] = link
        link.live = True
        self._events.connected(peer)

    def received(self, link: Link, frame: bytes) -> None:
        """A frame of a live link."""
        assert link.peer is not None
        self._events.received(link.peer, frame)

    def lost(self, link: Link) -> None:
        """A link is at its end; may be told more than once."""
        self._greeting.discard(link)
        if link.live:
            assert link.peer is not None
            link.live = False
            del self._live[link.peer]
            self._events.disconnected(link.peer)

    def tell(self, text: str) -> None:
        """A line for the log, unless there are too many already."""
        if not self._lines.take(self.now()):
            self._unwritten += 1
            return
        more = f" ({self._unwritten} lines before it not written)" if self._unwritten else ""
        logger.warning("%s%s", text, more)
        self._unwritten = 0

    # ---- tasks ----

    async def _keep_dialling(self, node: str) -> None:
        """See to it that there is a connection to a peer, for ever."""
        timing = self.timing
        pause_s = timing.pause_min_s
        while True:
            if self.node > node:
                await asyncio.sleep(timing.larger_waits_s)
            if (link := self._live.get(node) or await self._dialled(node)) is not None:
                await asyncio.wait([link.closed])
                pause_s = timing.pause_min_s
            await asyncio.sleep(pause_s * (0.5 + self._random_bytes(1)[0] / 256))
            pause_s = min(2 * pause_s, timing.pause_max_s)

    async def _dialled(self, node: str) -> Link | None:
        """Dial a peer once; the link when the handshake was done, whatever came of it then."""
        peer = self._peers[node]
        connecting = asyncio.get_running_loop().create_connection(lambda: Link(self, node), peer.host, peer.port)
        try:
            async with asyncio.timeout(self.timing.handshake_s):
                _, link = await connecting
        except OSError:  # TimeoutError is one; nobody listens there now
            return None
        await asyncio.wait([link.closed, link.settled], return_when=asyncio.FIRST_COMPLETED)
        return link if link.settled.done() else None

    async def _look(self) -> None:
        """End connections that are silent, and be silent on none."""
        looked = self.now()
        while True:
            await asyncio.sleep(LOOK_S)
            now = self.now()
            stalled, looked = now - looked > STALL_S, now
            for link in list(self._live.values()):
                if stalled:  # it is this node that did not listen
                    link.heard_s = now
                if now - link.heard_s > self.timing.idle_s:
                    link.drop(f"nothing was heard for {self.timing.idle_s:g} s")
                elif now - link.sent_s >= self.timing.keep_alive_s:
                    link.send(b"")
