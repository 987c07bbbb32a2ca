"""Two voters and the channel between them, without a network."""

import random
from collections.abc import Mapping

from p2p.consensus.channel import Channel, Party
from p2p.identity.node_key import NodeKey
from tests.guarded_node import CLUSTER, key_of

A, B = "voter-a", "voter-b"
KEYS = {node: key_of(node).public for node in (A, B)}


def party(node: str, *, cluster: str = CLUSTER, key: NodeKey | None = None) -> Party:
    """A voter, with its own key where none is given."""
    return Party(cluster, node, key or key_of(node))


def dialler(me: Party | None = None, to: str = B, *, keys: Mapping[str, bytes] = KEYS, seed: int = 1) -> Channel:
    """The side of A, which dials."""
    return Channel(me or party(A), keys.get, random.Random(seed).randbytes, dialled=to)


def acceptor(me: Party | None = None, *, keys: Mapping[str, bytes] = KEYS, seed: int = 2) -> Channel:
    """The side of B, which is dialled."""
    return Channel(me or party(B), keys.get, random.Random(seed).randbytes)


def meet(one: Channel, other: Channel) -> list[bytes]:
    """The whole handshake; what the two sent, in turn. ChannelError where one refuses the other."""
    sent = [one.begin()]
    sides = (other, one)
    while sent[-1]:
        received = sides[(len(sent) - 1) % 2].receive(sent[-1])
        assert received.frames == ()
        sent.append(received.reply)
    return sent[:-1]


def met(seed: int = 1) -> tuple[Channel, Channel]:
    """Both sides of a channel that stands."""
    one, other = dialler(seed=seed), acceptor(seed=seed + 1)
    meet(one, other)
    assert (one.peer, other.peer) == (B, A)
    return one, other
