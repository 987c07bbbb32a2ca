"""Calls from node to node: signed envelopes that are good once, here, and now. Pure: time and chance are arguments.

One header carries who calls whom, in which cluster and epoch, when, a nonce, and a signature over all of it and over
the method, the path with its query, and the SHA-256 of the body, which the receiver takes from the request itself.
Every signed field is prefixed with its length, so that no two calls have the same bytes. docs/design/identity.md has
the refusals.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from config.sections import NODE_NAME
from p2p.identity.node_key import SIGNATURE_BYTES, NodeKey, base64_text, bytes_of, verify
from p2p.identity.principals import Principal
from p2p.identity.refusal import Refusal

HEADER = "X-RingRift-Envelope"
HEADER_CHARS_MAX = 1024
DOMAIN = b"ringrift-envelope/1"  # no signature for anything else is one for an envelope
SKEW_S = 60.0  # between the clocks of two nodes
KEPT_S = 2 * SKEW_S  # how long a nonce is remembered
NONCE_BYTES = 12
NONCES_PER_SENDER_MAX = 4096  # in KEPT_S: 34 calls per second
SENDERS_MAX = 2048
NONCES_OWN = 128  # of each sender, whatever others do: one call per second
SWEEP_S = 1.0  # between two looks at all senders for room
NONCES_SHARED_MAX = 1 << 18  # beyond their own, of all together: with those at most 2^19, some 130 MB
CLUSTER_NAME = "[A-Za-z0-9._-]{1,64}"
TIMESTAMP = r"[0-9]{1,12}\.[0-9]{6}"
EPOCH_MAX = (1 << 63) - 1


class Known(NamedTuple):
    """What a node is known by."""

    public: bytes  # 32, its Ed25519 key
    principal: Principal


class KnownKeys(Protocol):
    """The members of the cluster."""

    def known(self, node_id: str) -> Known | None:
        """A member; None for anybody else."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it is on the wire."""

    method: str
    target: str  # path with query, exactly as it is sent
    body_sha256: bytes

    @classmethod
    def of(cls, method: str, target: str, body: bytes) -> "Call":
        """A request with its body."""
        return cls(method, target, hashlib.sha256(body).digest())


@dataclass(frozen=True, slots=True)
class Address:
    """To whom a call goes, and what the caller takes to be so."""

    audience: str  # node id
    cluster_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Sender:
    """Who has sent a call."""

    node_id: str
    principal: Principal


class Envelope(BaseModel):
    """What the header holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sender: str = Field(pattern=f"^{NODE_NAME}$")
    audience: str = Field(pattern=f"^{NODE_NAME}$")
    cluster: str = Field(pattern=f"^{CLUSTER_NAME}$")
    epoch: int = Field(ge=0, le=EPOCH_MAX)
    timestamp: str = Field(pattern=f"^{TIMESTAMP}$")  # unix seconds; text, so that it is signed as it is read
    nonce: str = Field(max_length=16)
    signature: str = Field(max_length=86)


def seal(call: Call, sender: str, address: Address, key: NodeKey, *, now: float, nonce: bytes) -> str:
    """The header of a call at unix time `now`; `nonce` is 12 random bytes, never used twice."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    open_one = Envelope(
        sender=sender,
        audience=address.audience,
        cluster=address.cluster_id,
        epoch=address.epoch,
        timestamp=f"{now:.6f}",
        nonce=base64_text(nonce),
        signature="",
    )
    signature = key.sign(signed_bytes(call, open_one))
    envelope = open_one.model_copy(update={"signature": base64_text(signature)})
    return base64_text(envelope.model_dump_json().encode())


def open_header(header: str) -> Envelope | None:
    """The envelope in a header, not yet believed; None for what is none. Never raises."""
    if len(header) > HEADER_CHARS_MAX:
        return None
    try:
        envelope = Envelope.model_validate_json(bytes_of(header))
        if len(bytes_of(envelope.nonce)) != NONCE_BYTES or len(bytes_of(envelope.signature)) != SIGNATURE_BYTES:
            return None
    except ValueError:
        return None
    return envelope


def signed_bytes(call: Call, envelope: Envelope) -> bytes:
    """What is signed: the domain and every field, each after its length in four bytes."""
    texts = (call.method, call.target, envelope.sender, envelope.audience, envelope.cluster, str(envelope.epoch),
             envelope.timestamp, envelope.nonce)  # fmt: skip
    fields = (DOMAIN, call.body_sha256, *(text.encode("utf-8", "surrogatepass") for text in texts))
    return b"".join(struct.pack(">I", len(it)) + it for it in fields)


@dataclass(frozen=True, slots=True)
class Room:
    """How many calls are remembered."""

    senders: int = SENDERS_MAX
    each: int = NONCES_PER_SENDER_MAX
    own: int = NONCES_OWN
    shared: int = NONCES_SHARED_MAX

    @property
    def nonces_max(self) -> int:
        """Of all senders together."""
        return self.senders * self.own + self.shared


class Verifier:
    """Opens envelopes for one node, and takes each only once.

    Nothing older than `since`, the start of this process, is taken: what was taken before is not remembered. The same
    holds for what has been forgotten, however the clock jumps.
    """

    def __init__(
        self,
        cluster_id: str,
        node_id: str,
        keys: KnownKeys,
        *,
        since: float,
        room: "Room | None" = None,
    ) -> None:
        self._cluster_id = cluster_id
        self._node_id = node_id
        self._keys = keys
        self.room = room or Room()
        self._seen = _Seen(since, self.room)

    def check(self, call: Call, header: str, *, now: float, epoch: int) -> Sender | Refusal:
        """Who has sent a call that comes at unix time `now` while this node is in `epoch`, or why it is refused."""
        envelope = open_header(header)
        if envelope is None:
            return Refusal("malformed_envelope", 400, f"{HEADER} holds no envelope")
        known = self._keys.known(envelope.sender)
        if known is None:
            return Refusal("unknown_sender", 401, f"{envelope.sender} is no member of this cluster")
        if not verify(known.public, signed_bytes(call, envelope), bytes_of(envelope.signature)):
            return Refusal("bad_signature", 401, "the signature is not that of this call by its sender")
        refusal = self._misdirected(envelope, epoch) or self._seen.take(envelope, now)
        return refusal or Sender(envelope.sender, known.principal)

    def _misdirected(self, envelope: Envelope, epoch: int) -> Refusal | None:
        if envelope.cluster != self._cluster_id:
            return Refusal("other_cluster", 401, f"this node belongs to the cluster {self._cluster_id}")
        if envelope.audience != self._node_id:
            return Refusal("other_audience", 401, f"this node is {self._node_id}, the call is for another one")
        if envelope.epoch < epoch:
            return Refusal("old_epoch", 409, f"the epoch is {epoch}", {"epoch": epoch})
        return None


@dataclass(slots=True)
class _Calls:
    """The nonces of one sender that may still be replayed, and the time up to which all others are forgotten."""

    nonces: OrderedDict[str, float] = field(default_factory=OrderedDict)  # timestamps, in the order of arrival
    forgotten: float = 0.0

    def forget(self, before: float, own: int) -> int:
        """Forget what is too old; how many more than `own` are fewer now.

        Timestamps come nearly in order: one that is kept keeps those behind it a little longer.
        """
        beyond = max(0, len(self.nonces) - own)
        while self.nonces:
            nonce, timestamp = next(iter(self.nonces.items()))
            if timestamp >= before:
                break
            del self.nonces[nonce]
            self.forgotten = max(self.forgotten, timestamp)
        return beyond - max(0, len(self.nonces) - own)


class _Seen:
    """Which calls were taken. A live nonce is never forgotten: what does not fit is refused."""

    def __init__(self, since: float, room: Room) -> None:
        self._since = since
        self._room = room
        self._shared = 0  # nonces that senders have beyond their own room
        self._swept = 0.0
        self._calls: OrderedDict[str, _Calls] = OrderedDict()  # the sender that was heard last at the end

    def take(self, envelope: Envelope, now: float) -> Refusal | None:
        """Remember a call that is signed and fresh; a refusal for any other."""
        timestamp = float(envelope.timestamp)
        calls = self._calls.get(envelope.sender)
        if calls is not None:
            self._forget(calls, now)
        forgotten = max(self._since, 0.0 if calls is None else calls.forgotten)
        if abs(timestamp - now) > SKEW_S or timestamp <= forgotten:
            return Refusal("clock_off", 401, "the clocks are too far apart, or the call too old", {"server_time": now})
        if calls is None:
            calls = self._place(envelope.sender, now)
            if calls is None:
                return Refusal("too_many_senders", 503, "too many nodes have called in the last two minutes; try again")
        if envelope.nonce in calls.nonces:
            return Refusal("replayed", 401, "this call was taken already")
        if len(calls.nonces) >= self._room.each or not self._fits(calls, now):
            return Refusal("too_many_calls", 503, "too many calls in the last two minutes; try again later")
        self._shared += len(calls.nonces) >= self._room.own
        calls.nonces[envelope.nonce] = timestamp
        self._calls.move_to_end(envelope.sender)
        return None

    def _place(self, sender: str, now: float) -> _Calls | None:
        """Room for one more sender: that of one whose calls are all too old to be replayed."""
        if len(self._calls) >= self._room.senders:
            quiet = next(self._quiet(now), None)
            if quiet is None:
                return None
            self._since = max(self._since, self._calls.pop(quiet).forgotten)
        calls = self._calls[sender] = _Calls()
        return calls

    def _quiet(self, now: float) -> Iterator[str]:
        for sender, calls in self._calls.items():
            self._forget(calls, now)
            if not calls.nonces:
                yield sender

    def _forget(self, calls: _Calls, now: float) -> None:
        self._shared -= calls.forget(now - KEPT_S, self._room.own)

    def _fits(self, calls: _Calls, now: float) -> bool:
        """Whether a sender has room for one more: its own, or of what all share.

        Those who have stopped calling give theirs back when it is looked for, once a second.
        """
        if len(calls.nonces) < self._room.own or self._shared < self._room.shared:
            return True
        if abs(now - self._swept) >= SWEEP_S:
            self._swept = now
            for each in self._calls.values():
                self._forget(each, now)
        return self._shared < self._room.shared
