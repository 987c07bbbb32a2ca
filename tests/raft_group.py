"""Voters with real raft processes on loopback, all control sides in one event loop."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from managers.state.replica import Listener
from p2p.consensus.pipe import Peer
from p2p.consensus.raft_consensus import RaftConsensus, Voter
from p2p.identity.node_key import NodeKey, encode_key

State = tuple[bytes, ...]
WAIT_S = 30.0
CLUSTER = "c-1"


class History:
    """The state is every body; the result is how many came before."""

    def initial(self) -> State:
        """Nothing."""
        return ()

    def apply(self, state: State, body: bytes) -> tuple[State, int]:
        """One more."""
        return (*state, body), len(state)

    def dump(self, state: State) -> bytes:
        """All of them."""
        return b"\n".join(state)

    def load(self, content: bytes) -> State:
        """The reverse."""
        return tuple(content.split(b"\n")) if content else ()


Consensus = RaftConsensus[State, int]


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


class Group:
    """The voters of a test; they outlive their control sides only on the disk."""

    def __init__(self, folder: Path, nodes: Iterable[str]) -> None:
        self.folder = folder
        self.nodes = tuple(nodes)
        self.ports = dict(zip(self.nodes, free_ports(len(self.nodes)), strict=True))
        self.dialled = dict(self.ports)  # where others dial; a relay may stand there
        self.keys = {node: os.urandom(32) for node in self.nodes}
        self.served: dict[str, Consensus] = {}
        for node, private in self.keys.items():
            path = self.key_path(node)
            path.write_bytes(encode_key(private))
            path.chmod(0o600)

    def key_path(self, node: str) -> Path:
        """Where a node's key is."""
        return self.folder / f"{node}.key"

    @contextmanager
    def other_key(self, node: str) -> Iterator[None]:
        """A node comes with another key than the one that the others know."""
        path = self.key_path(node)
        right = path.read_bytes()
        path.write_bytes(encode_key(os.urandom(32)))
        yield
        path.write_bytes(right)

    def peers(self) -> tuple[Peer, ...]:
        """All of them, for each other."""
        return tuple(
            Peer(node, "127.0.0.1", self.dialled[node], NodeKey(private).public) for node, private in self.keys.items()
        )

    def consensus(
        self,
        node: str,
        voters: Iterable[str],
        base: tuple[int, bytes] | None = None,
        read_back: Listener[State, int] | None = None,
    ) -> Consensus:
        """One voter's control side, not entered yet."""
        store, key = self.folder / node / "raft", self.key_path(node)
        voter = Voter(CLUSTER, node, key, store, "127.0.0.1", self.ports[node], tuple(voters))
        made = None if base is None else (base[0], partial(bytes, base[1]))
        served = RaftConsensus(History(), voter, base=made, read_back=read_back)
        served.peers(self.peers())
        self.served[node] = served
        return served

    async def leader(self, among: Iterable[str] | None = None) -> str:
        """The voter that all of some nodes follow, in one term."""
        names = sorted(self.served if among is None else among)

        def followed() -> set[tuple[str | None, int]]:
            stands = [self.served[node].standing for node in names]
            return {("", 0) if it is None else (it.leader, it.term) for it in stands}

        await until(lambda: len(followed()) == 1 and all(leader for leader, _ in followed()))
        return str(followed().pop()[0])

    def pid(self, node: str) -> int:
        """Of its raft process."""
        pid = self.served[node].pid
        assert pid is not None
        return pid

    def kill(self, node: str) -> None:
        """End its raft process as a power cut would, but for the disk."""
        os.kill(self.pid(node), signal.SIGKILL)


@asynccontextmanager
async def running(group: Group, *, base: tuple[int, bytes] | None = (0, b"")) -> AsyncIterator[Group]:
    """All nodes of a group as its voters."""
    group.served.clear()
    async with AsyncExitStack() as stack:
        await asyncio.gather(
            *(stack.enter_async_context(group.consensus(node, group.nodes, base)) for node in group.nodes)
        )
        yield group


async def until(what: Callable[[], object]) -> None:
    """Look until it is so."""
    async with asyncio.timeout(WAIT_S):
        while not what():  # noqa: ASYNC110 - there is no event for what is looked at
            await asyncio.sleep(0.01)


async def same(group: Group, nodes: Iterable[str] | None = None) -> State:
    """The state of all of them, once it is the same."""
    names = list(group.served if nodes is None else nodes)
    await until(lambda: len({group.served[node].version for node in names}) == 1)
    states = {group.served[node].state for node in names}
    assert len(states) == 1, states
    return states.pop()
