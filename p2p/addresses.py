"""Where others reach a node, as far as its settings say so."""

from config.sections import NodeSettings, host_name

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened at


def own_addresses(node: NodeSettings) -> tuple[str, ...]:
    """HOST:PORT for the calls of other nodes; none where the port is a free one that nobody knows yet."""
    if node.advertise is not None:
        return (node.advertise,)
    return () if node.port == 0 else (address(_host(node), node.port),)


def raft_port(node: NodeSettings) -> int:
    """Where the raft process of a voter listens: one above the node; 0 where the node has no port of its own."""
    return node.port + 1 if node.port else 0


def raft_address(node: NodeSettings) -> str:
    """HOST:PORT for other voters, "" where this node cannot be one.

    A port that is advertised under another number is mapped by somebody, who has mapped no other one.
    """
    if not (node.raft_enabled and node.port):
        return ""
    if node.advertise is None:
        return address(_host(node), raft_port(node))
    host, _, port = node.advertise.rpartition(":")
    return f"{host}:{raft_port(node)}" if int(port) == node.port else ""


def address(host: str, port: int) -> str:
    """HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(node: NodeSettings) -> str:
    return host_name() if node.host in EVERYWHERE else node.host
