"""Who may reach a node, and where it listens: tokens, TLS, names, made from the settings. Touches the disk."""

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.environment import ConfigError
from config.sections import NodeSettings, host_name
from p2p.http.guard import Gate
from p2p.http.peer import unmapped
from p2p.http.refusal_log import RefusalLog
from p2p.http.tls import server_context, warning_for
from p2p.identity.credentials import ADMIN_VARIABLE, Credentials, load_credentials
from p2p.identity.envelope import Verifier
from p2p.identity.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Access:
    """What stands between the network and the handlers."""

    credentials: Credentials
    tls: ssl.SSLContext | None
    names: frozenset[str]  # of this node, as a request may call it
    warning: str | None  # for people

    def gate(
        self,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        verifier: Verifier | None = None,
        epoch: Callable[[], int] = lambda: 0,
    ) -> Gate:
        """A gate with these; `wall` gives unix seconds. Without a verifier no other node may call."""
        return Gate(
            credentials=self.credentials,
            sessions=Sessions(),
            refusals=RefusalLog(monotonic),
            names=self.names,
            wall=wall,
            monotonic=monotonic,
            verifier=verifier,
            epoch=epoch,
        )


def access_of(node: NodeSettings, environment: Mapping[str, str]) -> Access:
    """The access of a node; ConfigError says what is wrong, as a node for others that anybody could order about."""
    credentials = load_credentials(node, environment)
    if credentials.admin is None and not is_loopback(node.host):
        raise ConfigError(
            f"node.host is {node.host}, where others reach it, and there is no admin token: set {ADMIN_VARIABLE} (or "
            "node.admin_token_file), or listen at 127.0.0.1"
        )
    tls = None
    if node.tls_cert is not None and node.tls_key is not None:
        tls = server_context(node.tls_cert, node.tls_key)
    warning = warning_for(node.host, tls=tls is not None, token=credentials.admin is not None)
    return Access(credentials, tls, names_of(node), warning)


def names_of(node: NodeSettings) -> frozenset[str]:
    """What a request may call this node, beside loopback and the address that it comes to."""
    names = {node.node_id, host_name(), node.host.strip("[]")}
    if node.advertise is not None:
        names.add(node.advertise.rpartition(":")[0].strip("[]"))
    return frozenset(unmapped(name.lower()) for name in names)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
