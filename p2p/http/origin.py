"""Which name a request asks for, and which page sends it. Pure.

A page elsewhere can make a browser send requests here, and can give this machine a name of its own; it can forge
neither Host, Origin nor Sec-Fetch-Site. Programs that are no browser send no Origin.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from p2p.http.peer import unmapped

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SOCKET_NAMES = frozenset({"localhost", "node"})  # nobody else has a name for a socket; clients must say one
PORTS = {"http": 80, "https": 443}
_NAME = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?"
HOST = re.compile(_NAME)
ORIGIN = re.compile(f"(https?)://{_NAME}")
OWN_SITES = frozenset({"same-origin", "none"})  # none: typed by a person


class Page(StrEnum):
    """What has sent a request."""

    NONE = "none"  # a program, as far as one can see
    OWN = "own"  # a page of this node, or a person at the address line
    FOREIGN = "foreign"  # a page of somebody else


class Host(NamedTuple):
    """A name and a port, as a client wishes to reach them."""

    name: str  # lower case, without brackets
    port: int


def host_of(headers: Sequence[str], scheme: str) -> Host | None:
    """The one `Host` header; None where there is none, several, or none that names a host."""
    found = HOST.fullmatch(headers[0]) if len(headers) == 1 else None
    return None if found is None else _host(found[1], found[2], scheme)


def page_of(origins: Sequence[str], fetch_sites: Sequence[str], host: Host, scheme: str) -> Page:
    """What has sent a request to `host`, by its `Origin` and `Sec-Fetch-Site` headers."""
    own = (scheme, host)
    if any(_origin(origin) != own for origin in origins) or any(site not in OWN_SITES for site in fetch_sites):
        return Page.FOREIGN
    return Page.OWN if origins or fetch_sites else Page.NONE


def _origin(text: str) -> tuple[str, Host] | None:
    found = ORIGIN.fullmatch(text)
    return None if found is None else (found[1], _host(found[2], found[3], found[1]))


def _host(name: str, port: str | None, scheme: str) -> Host:
    plain = name.lower()
    if plain.startswith("["):
        plain = unmapped(plain[1:-1])
    return Host(plain, PORTS[scheme] if port is None else int(port))
