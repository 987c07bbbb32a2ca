"""Who is at the other end of a connection: the Unix socket, this machine, or anybody.

Only what the kernel says of the connection counts. A header that says that the request was forwarded takes away the
trust that a local connection has: a tunnel or proxy on this machine makes no stranger local.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

FORWARDING = frozenset({
    "forwarded", "via", "x-real-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "cf-connecting-ip",
    "cf-ray", "client-ip",
})  # fmt: skip
FORWARDING_PREFIX = "x-forwarded-"
IPV6_SITE_BITS = 64  # whoever has one address of these has them all


class Door(StrEnum):
    """Where a request comes in."""

    SOCKET = "socket"  # the Unix socket, which only its user can reach
    LOOPBACK = "loopback"  # a program on this machine, not on behalf of another
    OUTSIDE = "outside"  # anything else


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, and this one."""

    address: str  # of the other end; "socket" for the Unix socket
    door: Door
    own_address: str  # that the connection has come to; "" for the Unix socket
    own_port: int


def peer_of(transport: asyncio.BaseTransport | None, header_names: Iterable[str]) -> Peer:
    """The peer of a request on a connection."""
    forwarded = any(_forwards(name.lower()) for name in header_names)
    connection = None if transport is None else transport.get_extra_info("socket")
    if transport is None or connection is None:
        return Peer("nobody", Door.OUTSIDE, "", 0)
    if connection.family == socket.AF_UNIX:
        return Peer("socket", Door.OUTSIDE if forwarded else Door.SOCKET, "", 0)
    address, own = plain_address(transport, "peername"), transport.get_extra_info("sockname")
    local = is_loopback(address) and not forwarded
    return Peer(address, Door.LOOPBACK if local else Door.OUTSIDE, plain_address(transport, "sockname"), own[1])


def plain_address(transport: asyncio.BaseTransport, end: str) -> str:
    """The address of one end without port and zone."""
    found = transport.get_extra_info(end)
    return unmapped(str(found[0])) if isinstance(found, tuple) and found else "nobody"


def unmapped(address: str) -> str:
    """An IPv4 address in the clothes of IPv6 as what it is; any other without its zone."""
    plain = address.partition("%")[0]
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return plain
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def site_of(address: str) -> str:
    """What is counted as one peer: an IPv4 address, the first 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(unmapped(address))
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback:
        return str(found)
    return str(ipaddress.ip_network((found, IPV6_SITE_BITS), strict=False))


def _forwards(name: str) -> bool:
    return name in FORWARDING or name.startswith(FORWARDING_PREFIX)
