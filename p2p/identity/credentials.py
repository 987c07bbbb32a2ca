"""The tokens of people and of the cluster, from a file or from the environment; they never show themselves.

A token is at least 16 characters. It is compared by the SHA-256 of it, in constant time.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path

from config.environment import ConfigError, secret_of
from config.sections import NodeSettings
from p2p.identity.principals import Principal
from p2p.identity.private_file import read_private
from ringrift_core.errors import StorageError

ADMIN_VARIABLE = "RINGRIFT_ADMIN_TOKEN"
CLUSTER_VARIABLE = "RINGRIFT_CLUSTER_AUTH_TOKEN"
CHARS_MIN = 16
CHARS_MAX = 512
CHARACTERS = re.compile("[A-Za-z0-9._~+/=-]+")  # what the header of a request can carry
FILE_BYTES_MAX = 4096
BEARER = re.compile("(?i:bearer) +([A-Za-z0-9._~+/=-]{1,512})")
ADVICE = "make one with: (umask 077; head -c 24 /dev/urandom | base64 > admin.token)"


class Token:
    """A secret text."""

    __slots__ = ("_digest", "_text")

    def __init__(self, text: str, source: str) -> None:
        """ConfigError, which names the source and not the text, for one that is too short or cannot be sent."""
        if len(text) < CHARS_MIN:
            raise ConfigError(f"{source}: a token has at least {CHARS_MIN} characters; {ADVICE}")
        if len(text) > CHARS_MAX or not CHARACTERS.fullmatch(text):
            raise ConfigError(
                f"{source}: a token is one line of at most {CHARS_MAX} letters, digits and -._~+/=; {ADVICE}"
            )
        self._text = text
        self._digest = _digest(text)

    def matches(self, text: str) -> bool:
        """Whether this is the token; takes the same time for every other one."""
        return hmac.compare_digest(self._digest, _digest(text))

    def reveal(self) -> str:
        """The text, for the one header that shows it to another node."""
        return self._text

    def __repr__(self) -> str:
        return "Token(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a token stays in its process")


class Credentials:
    """The tokens that a node takes."""

    __slots__ = ("admin", "cluster")

    def __init__(self, admin: Token | None = None, cluster: Token | None = None) -> None:
        """ConfigError when both are the same: it would make an admin of every node."""
        if admin is not None and cluster is not None and admin.matches(cluster.reveal()):
            raise ConfigError("the admin token and the cluster token are the same; make two")
        self.admin = admin
        self.cluster = cluster

    def principal_of(self, text: str) -> Principal | None:
        """As whom somebody is taken who shows this token; None for one that is none."""
        is_admin = self.admin is not None and self.admin.matches(text)
        is_cluster = self.cluster is not None and self.cluster.matches(text)
        if is_admin:
            return Principal.ADMIN
        return Principal.OBSERVER if is_cluster else None

    def revealed(self) -> tuple[str, ...]:
        """The texts, for what keeps them out of the logs."""
        return tuple(token.reveal() for token in (self.admin, self.cluster) if token is not None)

    def __repr__(self) -> str:
        return f"Credentials(admin={self.admin}, cluster={self.cluster})"


def bearer_of(header: str) -> str | None:
    """The token in an `Authorization` header; None when there is none in it."""
    found = BEARER.fullmatch(header.strip(" \t")) if len(header) <= 2 * CHARS_MAX else None
    return found and found[1]


def load_credentials(node: NodeSettings, environment: Mapping[str, str]) -> Credentials:
    """The tokens of a node; a variable goes before a file. ConfigError says what to do. Touches the disk."""
    return Credentials(
        _load(ADMIN_VARIABLE, "node.admin_token_file", node.admin_token_file, environment),
        _load(CLUSTER_VARIABLE, "node.cluster_token_file", node.cluster_token_file, environment),
    )


def _load(variable: str, setting: str, path: Path | None, environment: Mapping[str, str]) -> Token | None:
    said = secret_of(variable, environment)
    if said is not None:
        return Token(said.strip(), variable)
    if path is None:
        return None
    try:
        content = read_private(path, FILE_BYTES_MAX)
    except StorageError as error:
        raise ConfigError(f"{setting}: {error}; {ADVICE}") from error
    return Token(content.decode("ascii", "replace").strip(), f"{setting}: {path}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
