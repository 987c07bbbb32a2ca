"""The secure channel between two voters, without I/O: bytes in, frames and bytes out.

    dialler                                   acceptor
    hello (cluster, node, versions, X25519) ->
                                           <- hello, proof
    proof                                  ->
    frames                                <->  frames

A proof is an Ed25519 signature, by the node's key, over both hellos and the signer's side; it travels sealed. Every
sealed part is ChaCha20-Poly1305 under one key per direction (X25519, HKDF-SHA256 over both hellos) and a counter, its
length sealed before it, so that nothing forged, replayed, reordered or of another connection is ever taken: the
connection ends with a `ChannelError`, at once. What is cut off at the end is a frame that never came.
docs/design/consensus_processes.md.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2p.identity.node_key import KEY_BYTES, SIGNATURE_BYTES, NodeKey, verify
from ringrift_core.errors import RingriftError

VERSIONS = (1, 1)  # oldest and newest form of what travels that this node speaks
HELLO_DOMAIN = "ringrift-raft/1"  # nothing else begins so
PROOF_DOMAIN = b"ringrift-raft-proof/1"  # no signature for anything else is one for a channel
KEYS_DOMAIN = b"ringrift-raft-keys/1"
NONCE_BYTES = 16
TAG_BYTES = 16
NAME_CHARS_MAX = 64
HELLO_BYTES_MAX = 4 << 10
FRAME_BYTES_MAX = 68 << 20  # a leader may send its whole tail in one message
LENGTH = struct.Struct(">I")
COUNTER = struct.Struct(">4xQ")  # the nonce of a sealed part
LENGTH_SEALED_BYTES = LENGTH.size + TAG_BYTES

PublicKeys = Callable[[str], bytes | None]  # of a voter; None for anybody else
RandomBytes = Callable[[int], bytes]


class ChannelError(RingriftError):
    """The other side of a connection is not who or what it should be, or somebody in between has touched the bytes."""


class Side(StrEnum):
    """Who has dialled."""

    DIALLER = "dialler"
    ACCEPTOR = "acceptor"


@dataclass(frozen=True, slots=True)
class Hello:
    """What each side says first, in the open."""

    side: str
    oldest: int
    newest: int
    cluster_id: str
    node: str
    ephemeral: bytes  # X25519
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Party:
    """Who this node is."""

    cluster_id: str
    node: str
    key: NodeKey


@dataclass(frozen=True, slots=True)
class Received:
    """What came of some bytes."""

    frames: tuple[bytes, ...] = ()
    reply: bytes = b""  # to be sent


class Sealer:
    """One direction of a channel; the counter never repeats under one key."""

    __slots__ = ("_cipher", "_count")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._count = 0

    def seal(self, content: bytes) -> bytes:
        """The next part, sealed."""
        return self._cipher.encrypt(self._next(), content, None)

    def open(self, sealed: bytes) -> bytes:
        """The content of the next part; ChannelError when it is not that."""
        try:
            return self._cipher.decrypt(self._next(), sealed, None)
        except InvalidTag:
            raise ChannelError("what came was not sealed by the other side, or not as the next") from None

    def _next(self) -> bytes:
        self._count += 1
        return COUNTER.pack(self._count)


class Channel:
    """One side of one connection. After a ChannelError it is of no use and the connection must be closed."""

    def __init__(self, me: Party, keys: PublicKeys, random_bytes: RandomBytes, *, dialled: str | None = None) -> None:
        """`dialled` is the node that this one has dialled; None where it was dialled."""
        self.peer: str | None = None  # the other node, once it has proven that it is that
        self.version = 0  # agreed on, once there is a peer
        self._me = me
        self._keys = keys
        self._dialled = dialled
        self._side = Side.ACCEPTOR if dialled is None else Side.DIALLER
        self._private = X25519PrivateKey.from_private_bytes(random_bytes(KEY_BYTES))
        public = self._private.public_key().public_bytes_raw()
        self._hello = Hello(self._side.value, *VERSIONS, me.cluster_id, me.node, public, random_bytes(NONCE_BYTES))
        self._claimed = ""  # who the other side says it is
        self._transcript = b""
        self._out: Sealer | None = None
        self._in: Sealer | None = None
        self._buffer = bytearray()
        self._wanted: int | None = None  # sealed bytes of the part whose length has come

    def begin(self) -> bytes:
        """What is sent first; nothing where the other side begins."""
        return _framed(encode_hello(self._hello)) if self._side is Side.DIALLER else b""

    def seal(self, frame: bytes) -> bytes:
        """A frame as bytes for the other side; only once there is a peer."""
        assert self.peer is not None
        if len(frame) > FRAME_BYTES_MAX:
            raise ChannelError(f"a frame of {len(frame)} bytes; {FRAME_BYTES_MAX} are the most")
        return self._sealed(frame)

    def receive(self, content: bytes) -> Received:
        """Take bytes as they come; ChannelError ends the connection, and nothing that came with them is delivered."""
        self._buffer += content
        frames: list[bytes] = []
        reply = b""
        while True:
            if self._in is None:
                if (hello := self._take_hello()) is None:
                    break
                reply += self._meet(decode_hello(hello), hello)
            elif (part := self._take_part(self._in)) is None:
                break
            elif self.peer is None:
                reply += self._accept_proof(part)
            else:
                frames.append(part)
        return Received(tuple(frames), reply)

    def _take_hello(self) -> bytes | None:
        if len(self._buffer) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._buffer)
        if size > HELLO_BYTES_MAX:
            raise ChannelError("does not begin like a voter")
        if len(self._buffer) < LENGTH.size + size:
            return None
        hello = bytes(self._buffer[LENGTH.size : LENGTH.size + size])
        del self._buffer[: LENGTH.size + size]
        return hello

    def _take_part(self, sealer: Sealer) -> bytes | None:
        """The next sealed part as soon as all of it is there."""
        if self._wanted is None:
            if len(self._buffer) < LENGTH_SEALED_BYTES:
                return None
            (size,) = LENGTH.unpack(sealer.open(bytes(self._buffer[:LENGTH_SEALED_BYTES])))
            if size > (SIGNATURE_BYTES if self.peer is None else FRAME_BYTES_MAX):
                raise ChannelError(f"a part of {size} bytes is too large")
            del self._buffer[:LENGTH_SEALED_BYTES]
            self._wanted = size + TAG_BYTES
        if len(self._buffer) < self._wanted:
            return None
        part = sealer.open(bytes(self._buffer[: self._wanted]))
        del self._buffer[: self._wanted]
        self._wanted = None
        return part

    def _meet(self, theirs: Hello, content: bytes) -> bytes:
        """Look at the other hello and make the keys; what is sent then."""
        self._check(theirs)
        mine = encode_hello(self._hello)
        first, second = (mine, content) if self._side is Side.DIALLER else (content, mine)
        self._transcript = hashlib.sha256(_framed(first) + _framed(second)).digest()
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(theirs.ephemeral))
        except ValueError:
            raise ChannelError(f"{theirs.node}: its key cannot be used") from None
        keys = HKDF(SHA256(), 2 * KEY_BYTES, self._transcript, KEYS_DOMAIN).derive(shared)
        sealers = Sealer(keys[:KEY_BYTES]), Sealer(keys[KEY_BYTES:])  # of the dialler, of the acceptor
        self._out, self._in = sealers if self._side is Side.DIALLER else sealers[::-1]
        self._claimed = theirs.node
        self.version = min(self._hello.newest, theirs.newest)
        return b"" if self._side is Side.DIALLER else _framed(mine) + self._proof()

    def _check(self, theirs: Hello) -> None:
        mine = self._hello
        name = ascii(theirs.node)
        if theirs.side == mine.side or theirs.node == mine.node or theirs.ephemeral == mine.ephemeral:
            raise ChannelError(f"{name}: sends back what this node sent, or has its name")
        if theirs.cluster_id != mine.cluster_id:
            raise ChannelError(f"{name} is of the cluster {theirs.cluster_id!a}, this node of {mine.cluster_id}")
        if self._dialled not in {None, theirs.node}:
            raise ChannelError(f"{name} answers where {self._dialled} should be")
        if max(theirs.oldest, mine.oldest) > min(theirs.newest, mine.newest):
            spoken = f"{theirs.oldest} to {theirs.newest}, this node {mine.oldest} to {mine.newest}"
            raise ChannelError(f"{name} speaks the versions {spoken}; bring both to one release")
        if self._keys(theirs.node) is None:
            raise ChannelError(f"{name} is no voter that this node knows")

    def _proof(self) -> bytes:
        return self._sealed(self._me.key.sign(_signed(self._side, self._transcript)))

    def _accept_proof(self, part: bytes) -> bytes:
        """The other side is who it says; the dialler then proves the same of itself."""
        other = Side.DIALLER if self._side is Side.ACCEPTOR else Side.ACCEPTOR
        public = self._keys(self._claimed)
        if public is None or not verify(public, _signed(other, self._transcript), part):
            raise ChannelError(f"{self._claimed}: does not have the key that its member record names")
        self.peer = self._claimed
        return self._proof() if self._side is Side.DIALLER else b""

    def _sealed(self, content: bytes) -> bytes:
        assert self._out is not None
        return self._out.seal(LENGTH.pack(len(content))) + self._out.seal(content)


def encode_hello(hello: Hello) -> bytes:
    """The bytes of a hello."""
    fields = (hello.side, hello.oldest, hello.newest, hello.cluster_id, hello.node, hello.ephemeral, hello.nonce)
    packed: bytes = msgpack.packb((HELLO_DOMAIN, *fields))
    return packed


def decode_hello(content: bytes) -> Hello:
    """The hello in some bytes; ChannelError when they are none, or not the ones that `encode_hello` makes."""
    try:
        found: object = msgpack.unpackb(content, use_list=False, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        found = None
    match found:
        case (
            str() as domain,
            str() as side,
            int() as oldest,
            int() as newest,
            str() as cluster_id,
            str() as node,
            bytes() as ephemeral,
            bytes() as nonce,
        ):
            hello = Hello(side, oldest, newest, cluster_id, node, ephemeral, nonce)
            named = all(0 < len(it) <= NAME_CHARS_MAX for it in (cluster_id, node))
            sized = len(ephemeral) == KEY_BYTES and len(nonce) == NONCE_BYTES
            numbered = type(oldest) is type(newest) is int and 1 <= oldest <= newest
            if (
                domain == HELLO_DOMAIN
                and side in set(Side)
                and named
                and sized
                and numbered
                and encode_hello(hello) == content
            ):
                return hello
    raise ChannelError("does not begin like a voter")


def _signed(side: Side, transcript: bytes) -> bytes:
    return PROOF_DOMAIN + b"/" + side.encode() + b"/" + transcript


def _framed(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content
