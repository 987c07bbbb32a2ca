"""The key of a node: Ed25519, made at the first start in `<data_dir>/identity/node.key`, never overwritten.

The file is three lines: what it is, the private key, the public key (base64url without padding); only its user can read
it. The public key in it tells a damaged file from another key. Without it the node has no name in its cluster.
"""

import base64
import binascii
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from p2p.identity.private_file import make_private_folder, read_private, write_new_private
from ringrift_core.errors import StorageError

FOLDER = "identity"
NAME = "node.key"
HEAD = "ringrift node key 1"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
FILE_BYTES_MAX = 1024


class NodeKey:
    """A private key that signs and never shows itself."""

    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, content: bytes) -> bytes:
        """The 64 bytes of a signature."""
        return self._private.sign(content)

    @property
    def text(self) -> str:
        """The public key as text."""
        return base64_text(self.public)

    def __repr__(self) -> str:
        return f"NodeKey({self.text})"

    def __reduce__(self) -> str:
        raise TypeError("a key stays in its process")


def verify(public: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the holder of a public key has signed this; False for keys and signatures that are none."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def node_key(data_dir: Path) -> NodeKey:
    """The key of the node of a data folder, made where there is none; StorageError says what to do.

    Two processes that start at once get the same one.
    """
    folder = data_dir / FOLDER
    make_private_folder(folder)
    path = folder / NAME
    if not path.exists():
        write_new_private(path, encode_key(secrets.token_bytes(KEY_BYTES)))
    try:
        return decode_key(read_private(path, FILE_BYTES_MAX))
    except ValueError:
        raise StorageError(
            f"{path}: is damaged; bring it back from a copy, or move it away: the node then gets a new key, "
            "and its cluster must admit it anew"
        ) from None


def encode_key(private: bytes) -> bytes:
    """The content of a key file."""
    return "\n".join((HEAD, base64_text(private), NodeKey(private).text, "")).encode()


def decode_key(content: bytes) -> NodeKey:
    """The key in the content of a file; ValueError when it is none."""
    head, private, public, end = content.decode("ascii").split("\n")
    if head != HEAD or end:
        raise ValueError("no key file")
    key = NodeKey(bytes_of(private))
    if key.text != public:
        raise ValueError("the two keys do not belong together")
    return key


def base64_text(content: bytes) -> str:
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """The reverse, strictly: one text for each content; ValueError otherwise."""
    try:
        content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("no base64url") from error
    if base64_text(content) != text:
        raise ValueError("no canonical base64url")
    return content
