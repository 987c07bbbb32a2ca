"""TLS of the node: its context from files, and the warning where there is none but should be. Touches the disk.

TLS 1.2 and newer. The key is not encrypted, and not readable by everybody.
"""

import ipaddress
import ssl
import stat
from pathlib import Path

from config.environment import ConfigError

EVERYBODY_READS = 0o004


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """The context of a server that shows `cert`; ConfigError says which file is wrong and what to do."""
    for name, path in (("node.tls_cert", cert), ("node.tls_key", key)):
        try:
            with path.open("rb") as file:
                file.read(1)
            mode = path.stat().st_mode
        except OSError as error:
            raise ConfigError(f"{name}: {path} cannot be read ({error.strerror})") from error
        if path == key and stat.S_IMODE(mode) & EVERYBODY_READS:
            raise ConfigError(f"{name}: everybody can read {path}; make a new key, or chmod 600 it if nobody has")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"node.tls_key: {key} is not the key of {cert}") from error
        raise ConfigError(
            f"node.tls_cert, node.tls_key: {cert} and {key} are no certificate and key in PEM ({error.reason})"
        ) from error
    except ValueError as error:
        raise ConfigError(f"node.tls_key: {key} is encrypted; write it without a password") from error
    return context


def warning_for(host: str, *, tls: bool, token: bool) -> str | None:
    """What to say of a node that listens at `host`, with a token or without; None where all is well."""
    if tls or not token or _is_loopback(host):
        return None
    return (
        f"tokens go over plain HTTP to {host}: whoever is on the way can read them and use them; "
        "set node.tls_cert and node.tls_key, or listen on 127.0.0.1 and use a tunnel"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _no_password() -> str:
    raise ValueError("encrypted")
