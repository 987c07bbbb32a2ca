"""Addresses of a node: what it may be called in a list of peers, and what others are told."""

from collections.abc import Iterable

from config.sections import NodeSettings, host_name

ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - every address of the machine; nothing listens here
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def own_addresses(node: NodeSettings) -> frozenset[str]:
    """What this node may be called in a list of peers.

    A node at 127.0.0.2 is not the one at 127.0.0.1: several may have equal ports on one machine.
    """
    hosts = {_bracketed(node.host), node.node_id}
    if node.host in ANY or _bracketed(node.host) in LOOPBACK:
        hosts.update(LOOPBACK)
    if not _bracketed(node.host).startswith("127."):
        hosts.add(host_name())
    return frozenset({f"{name}:{node.port}" for name in hosts} | {str(node.advertise)})


def strangers(peers: Iterable[str], own: frozenset[str]) -> list[str]:
    """The peers that are not this node itself."""
    return [peer for peer in peers if peer not in own]


def advertised(node: NodeSettings, port: int, shift: int = 0) -> str:
    """HOST:PORT that others are told, or of a port that is `shift` further on.

    A node that listens at every address is told by the name of its machine.
    """
    host, _, said = (node.advertise or "").rpartition(":")
    if host:
        return f"{host}:{int(said) + shift}"
    name = host_name() if node.host in ANY else _bracketed(node.host)
    return f"{name}:{port + shift}"


def raft_port(node: NodeSettings) -> int:
    """Where the raft process of a voter listens: one above the node; 0 where the node has no port of its own."""
    return node.port + 1 if node.port else 0


def raft_address(node: NodeSettings) -> str:
    """HOST:PORT for other voters, "" where this node cannot be one.

    A port that is advertised under another number is mapped by somebody, who has mapped no other one.
    """
    if not (node.raft_enabled and node.port):
        return ""
    mapped = node.advertise is not None and int(node.advertise.rpartition(":")[2]) != node.port
    return "" if mapped else advertised(node, node.port, 1)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
