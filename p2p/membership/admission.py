"""Admission: a member lets a node into the cluster, by a record that the node has signed with its key.

The signature is over the member that is asked, the time, a nonce and the record, so that it is good once, here, now.
Who may ask at all is the guard's business (the cluster token); whose name it is, the state's: a name keeps its key.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Join
from managers.state.members import LEADER, MEMBERS_MAX, Member
from managers.state.record import Address, ClusterId, Count, PublicKey, Record, Text
from managers.versions import PROTOCOL, PROTOCOL_OLDEST
from p2p.http.peer import site_of
from p2p.http.refusal_log import Bucket
from p2p.identity.envelope import NONCE_BYTES, TIMESTAMP
from p2p.identity.node_key import NodeKey, base64_text, bytes_of, verify
from p2p.identity.refusal import Refusal
from p2p.membership.bootstrap import CONTACTS_MAX, Card, Contact, NodeName
from ringrift_core.errors import RingriftError
from ringrift_core.game.rules_digest import RULES_DIGEST

DOMAIN = b"ringrift-join/1"  # no signature for anything else is one for a wish to join
SKEW_S = 60.0
NONCES_MAX = 4096  # that are remembered for as long as they are good
RECORD_CHARS_MAX = 8192
SITE_BURST, SITE_PER_S = 20.0, 0.5  # wishes of one peer
ALL_BURST, ALL_PER_S = 200.0, 5.0
SITES_MAX = 1024
MEMBERS_TOLD_MAX = 256
TEMPORARY = frozenset({"clock_off", "too_many_wishes", "too_many_members", "not_voter", "busy", "unavailable"})


class JoinForm(Record):
    """A node's wish to be a member."""

    record: Annotated[str, Field(max_length=RECORD_CHARS_MAX)]  # a `join` as JSON, as it is signed
    audience: NodeName
    timestamp: Annotated[str, Field(pattern=f"^{TIMESTAMP}$")]
    nonce: Annotated[str, Field(max_length=16)]
    signature: Annotated[str, Field(max_length=86)]


class MemberCard(Record):
    """A member, as others call it."""

    node: NodeName
    addresses: Annotated[tuple[Address, ...], Field(max_length=8)]
    public_key: PublicKey
    voter: bool


class Admitted(Record):
    """A node is a member: what it needs to begin."""

    node: NodeName  # who says so
    cluster_id: ClusterId
    epoch: Count
    version: Count
    session: Count
    voters: tuple[NodeName, ...]
    members: Annotated[tuple[MemberCard, ...], Field(max_length=MEMBERS_TOLD_MAX)]  # voters first; not all of many
    wall: float
    remarks: tuple[Text, ...] = ()


class AdmissionRefused(RingriftError):  # noqa: N818 - the literature's word
    """A node is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def sealed(record: Join, audience: str, key: NodeKey, *, now: float, nonce: bytes) -> JoinForm:
    """A wish at unix time `now`; `nonce` is 12 random bytes, never used twice."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    open_one = JoinForm(
        record=record.model_dump_json(),
        audience=audience,
        timestamp=f"{now:.6f}",
        nonce=base64_text(nonce),
        signature="",
    )
    return open_one.model_copy(update={"signature": base64_text(key.sign(_signed(open_one)))})


@dataclass(frozen=True, slots=True)
class Host:
    """The member that lets others in."""

    node: str
    life: str  # random, as on its card
    state: Callable[[], ClusterState]
    version: Callable[[], int]
    propose: Callable[[Body], Awaitable[Result]]  # by its own consensus, as a client of its own
    admits: Callable[[], bool]  # whether it may bring somebody else's record into the log: a voter
    wall: Callable[[], float]  # unix seconds
    monotonic: Callable[[], float]


class Admission:
    """Lets nodes in, one wish at a time from each peer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._nonces: OrderedDict[str, float] = OrderedDict()
        self._all = Bucket(ALL_BURST, ALL_PER_S, ALL_BURST, host.monotonic())
        self._sites: OrderedDict[str, Bucket] = OrderedDict()

    def card(self) -> Card:
        """Who this node is, and whom else of its cluster one may ask."""
        state = self._host.state()
        told = (self._member(node) for node in _asked_first(state))
        contacts = tuple(
            Contact(node=it.node, address=it.addresses[0]) for it in told if it is not None and it.addresses
        )
        return Card(
            node=self._host.node,
            life=self._host.life,
            cluster_id=state.cluster_id or None,
            contacts=contacts[:CONTACTS_MAX],
        )

    async def admit(self, form: JoinForm, address: str) -> Admitted:
        """Let a node in that asks from an address; AdmissionRefused says why not."""
        host = self._host
        if (refusal := self._checked(form, address)) is not None:
            raise AdmissionRefused(refusal)
        record = Join.model_validate_json(form.record)
        result = await host.propose(record)
        if not result.accepted:
            raise AdmissionRefused(self._against(record) or Refusal("refused", 409, result.reason))
        state = host.state()
        return Admitted(
            node=host.node,
            cluster_id=state.cluster_id or "",
            epoch=state.epoch,
            version=host.version(),
            session=record.session,
            voters=state.voters,
            members=tuple(_cards(state)),
            wall=host.wall(),
            remarks=() if record.rules == RULES_DIGEST else (f"{record.node} plays by other rules: it gets no jobs",),
        )

    # ---- checks ----

    def _checked(self, form: JoinForm, address: str) -> Refusal | None:
        host = self._host
        if not self._in_time(site_of(address)):
            return Refusal("too_many_wishes", 503, "too many wishes to join; try again later")
        if not host.admits():
            return Refusal("not_voter", 409, f"{host.node} does not vote: ask one of the contacts on its card")
        try:
            record = Join.model_validate_json(form.record)
            signature, key = bytes_of(form.signature), bytes_of(record.public_key)
            nonce = bytes_of(form.nonce)
        except (ValidationError, ValueError):
            return Refusal("bad_record", 400, "the wish holds no record of a member, or no signature")
        if not key or len(nonce) != NONCE_BYTES or not verify(key, _signed(form), signature):
            return Refusal("bad_signature", 401, f"the record of {record.node} is not signed with its key")
        if form.audience != host.node:
            return Refusal("other_audience", 401, f"this node is {host.node}, the wish is for {form.audience}")
        return self._late(form) or _protocol(record) or self._against(record)

    def _in_time(self, site: str) -> bool:
        now = self._host.monotonic()
        if site not in self._sites:
            while len(self._sites) >= SITES_MAX:
                self._sites.popitem(last=False)
            self._sites[site] = Bucket(SITE_BURST, SITE_PER_S, SITE_BURST, now)
        self._sites.move_to_end(site)
        return self._sites[site].take(now) and self._all.take(now)

    def _late(self, form: JoinForm) -> Refusal | None:
        now, at = self._host.wall(), float(form.timestamp)
        while self._nonces and next(iter(self._nonces.values())) < now - SKEW_S:
            self._nonces.popitem(last=False)
        if abs(at - now) > SKEW_S:
            text = f"the clocks are {at - now:+.0f} s apart; set the one that is wrong"
            return Refusal("clock_off", 401, text, {"server_time": now})
        if form.nonce in self._nonces:
            return Refusal("replayed", 401, "this wish was heard already")
        if len(self._nonces) >= NONCES_MAX:
            return Refusal("too_many_wishes", 503, "too many wishes to join; try again later")
        self._nonces[form.nonce] = at + SKEW_S  # by the sender's clock it is good for so long
        return None

    def _against(self, record: Join) -> Refusal | None:
        """What in the state speaks against a record."""
        state = self._host.state()
        known = state.members.get(record.node)
        if known is None:
            if len(state.members) >= MEMBERS_MAX:
                return Refusal("too_many_members", 503, f"there are {MEMBERS_MAX} members already")
            return None
        if known.public_key not in {"", record.public_key}:
            text = (
                f"another node is called {record.node}: choose another name (--node-id), or bring back its "
                "identity/node.key"
            )
            return Refusal("other_key", 409, text)
        if known.session >= record.session:
            text = f"{record.node} has begun session {known.session}"
            return Refusal("old_session", 409, text, {"session": float(known.session)})
        return None

    def _member(self, node: str) -> Member | None:
        return self._host.state().members.get(node)


def _protocol(record: Join) -> Refusal | None:
    if record.protocol < PROTOCOL_OLDEST:
        text = f"{record.node} speaks protocol {record.protocol}, {PROTOCOL_OLDEST} is the oldest here: update it"
        return Refusal("protocol_too_old", 409, text)
    if record.protocol > PROTOCOL:
        text = f"{record.node} speaks protocol {record.protocol}, this cluster {PROTOCOL}: update the cluster first"
        return Refusal("protocol_too_new", 409, text)
    return None


def _asked_first(state: ClusterState) -> tuple[str, ...]:
    """The voters; without any the leader; without one all members."""
    office = state.roles.get(LEADER)
    return state.voters or (tuple(state.members) if office is None else (office.node,))


def _cards(state: ClusterState) -> list[MemberCard]:
    first = _asked_first(state)
    names = [*first, *(node for node in state.members if node not in first)][:MEMBERS_TOLD_MAX]
    members: Mapping[str, Member] = state.members
    return [
        MemberCard(
            node=node, addresses=members[node].addresses, public_key=members[node].public_key, voter=node in first
        )
        for node in names
        if node in members
    ]


def _signed(form: JoinForm) -> bytes:
    """The domain and every field, each after its length in four bytes."""
    texts = (form.audience, form.timestamp, form.nonce)
    fields = (DOMAIN, hashlib.sha256(form.record.encode()).digest(), *(text.encode() for text in texts))
    return b"".join(struct.pack(">I", len(it)) + it for it in fields)
