"""Bootstrap: which cluster a node without one comes into, or founds. Pure: events in, effects out.

A node adopts one cluster id at a time and has it on its disk before it tells anybody. Whoever proposes an id adopts it
first, and founds the cluster when as many nodes of its list as it expects, itself included, have adopted it. Nobody
else founds that id. So two ids can never both have a majority of one list, whatever is lost, late or restarted.

A proposer that has not founded may give its id up, for that of a cluster that there is or of a proposer with a smaller
name: from then on nobody founds it. Whoever had adopted it hears of that from the proposer and is free again. The
price that is left: where the proposer is gone for good before it founded, a person has to clear the id.

Of the nodes that reach each other the one with the smallest name proposes, at once if all peers have answered, else
after a while; the others later, one after the other. Where a peer is in a cluster, that one is joined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from config.sections import NODE_NAME, PEERS_MAX
from managers.state.record import Address, ClusterId, Record

NodeName = Annotated[str, Field(pattern=f"^{NODE_NAME}$")]
CONTACTS_MAX = 64


class Contact(Record):
    """A node and where it is reached."""

    node: NodeName
    address: Address


class Adoption(Record):
    """The one id that a node has adopted."""

    cluster_id: ClusterId
    proposer: NodeName


class Card(Record):
    """Who a node is and where it stands."""

    node: NodeName
    life: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]  # random: two nodes of one name are told apart
    cluster_id: ClusterId | None = None  # that it is in
    adopted: Adoption | None = None  # that it waits for
    contacts: Annotated[tuple[Contact, ...], Field(max_length=CONTACTS_MAX)] = ()  # of that cluster's voters


class EntryKind(StrEnum):
    """As what a node comes in."""

    FOUNDER = "founder"
    FOLLOWER = "follower"


@dataclass(frozen=True, slots=True)
class Entry:
    """How a node comes into a cluster."""

    kind: EntryKind
    cluster_id: str
    contacts: tuple[Contact, ...] = ()
    session: int = 0  # in which it was admitted; 0: it was not yet


# ---- events ----


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer has answered."""

    address: str
    card: Card


@dataclass(frozen=True, slots=True)
class Missed:
    """A peer has not answered; `why` names it."""

    address: str
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody proposes an id; `ticket` leads the answer back."""

    adoption: Adoption
    ticket: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What `Keep` asked for is on the disk."""

    adoption: Adoption


Event = Tick | Heard | Missed | Asked | Kept


# ---- effects ----


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a peer who it is; with an adoption: whether it adopts that, too."""

    address: str
    adoption: Adoption | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """Bring it onto the disk, then say `Kept`."""

    adoption: Adoption


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell who asked how this node stands now."""

    ticket: int
    card: Card


@dataclass(frozen=True, slots=True)
class Enter:
    """The end: come in."""

    entry: Entry


Effect = Ask | Keep | Answer | Enter


@dataclass(frozen=True, slots=True)
class BootstrapTiming:
    """Seconds."""

    round_s: float = 1.0  # between two questions to a peer
    fresh_s: float = 5.0  # as long as an answer counts
    turn_s: float = 5.0  # between the turns of two nodes to propose


@dataclass(frozen=True, slots=True)
class Wish:
    """What a node is to come into."""

    node: str
    life: str
    peers: tuple[str, ...]  # addresses; its own may be among them
    expect: int  # nodes that must adopt an id before it is founded, itself included
    new_id: str  # random: what it would propose
    chance: float  # from 0 to 1, drawn once: keeps turns apart


def expected(peers: int, said: int | None) -> int:
    """How many nodes must adopt an id: what is said, else a majority of the other nodes of the list and this one."""
    return (peers + 1) // 2 + 1 if said is None else said


@dataclass(slots=True)
class _Peer:
    """What is known of an address."""

    asked_s: float | None = None
    heard_s: float | None = None
    card: Card | None = None
    missed: str = ""


@dataclass(slots=True)
class _Turn:
    """Since when enough nodes reach each other."""

    since_s: float | None = None


@dataclass(slots=True)
class Bootstrap:
    """One life of a node without a cluster; `now` is monotonic seconds."""

    wish: Wish
    adopted: Adoption | None  # that an earlier life has kept
    timing: BootstrapTiming = field(default_factory=BootstrapTiming)
    waits_for: str = "for its peers to answer"
    entered: Entry | None = None
    _peers: dict[str, _Peer] = field(default_factory=dict)
    _keeping: Adoption | None = None
    _tickets: list[int] = field(default_factory=list)  # who is answered when what is being kept is kept
    _turn: _Turn = field(default_factory=_Turn)

    def __post_init__(self) -> None:
        if len(self.wish.peers) > PEERS_MAX:
            raise ValueError(f"{PEERS_MAX} peers are the most")
        self._peers = {address: _Peer() for address in self.wish.peers}

    @property
    def card(self) -> Card:
        """How this node stands, as it may be told: nothing of what is not on the disk yet."""
        return Card(node=self.wish.node, life=self.wish.life, adopted=self.adopted)

    def step(self, now: float, event: Event) -> list[Effect]:
        """What follows from an event."""
        effects: list[Effect] = []
        match event:
            case Heard(address, card) if (peer := self._peers.get(address)) is not None:
                peer.card, peer.heard_s, peer.missed = card, now, ""
            case Missed(address, why) if (peer := self._peers.get(address)) is not None:
                peer.missed = why
            case Asked(adoption, ticket):
                effects += self._asked(adoption, ticket)
            case Kept(adoption) if adoption == self._keeping:
                self.adopted, self._keeping = adoption, None
                effects += [Answer(ticket, self.card) for ticket in self._tickets]
                self._tickets = []
            case _:
                pass
        if self.entered is None and self._keeping is None:
            effects += self._decide(now)
        return effects

    def _asked(self, adoption: Adoption, ticket: int) -> list[Effect]:
        """Adopt what is proposed if nothing is adopted yet, and answer once that is kept."""
        if self._keeping is not None:
            self._tickets.append(ticket)
            return []
        if self.adopted is not None or self.entered is not None:
            return [Answer(ticket, self.card)]
        self._tickets.append(ticket)
        return self._keep(adoption)

    def _keep(self, adoption: Adoption) -> list[Effect]:
        self._keeping = adoption
        return [Keep(adoption)]

    # ---- what to do ----

    def _decide(self, now: float) -> list[Effect]:
        cards = self._others(now)
        clusters = {card.cluster_id for card in cards.values() if card.cluster_id is not None}
        if clusters:
            return self._join(clusters, cards, now) or self._questions(now, None)
        if self.adopted is not None and self.adopted.proposer == self.wish.node:
            return self._found(self.adopted) or self._give_up(cards) or self._questions(now, self.adopted)
        if self.adopted is not None and self._given_up(self.adopted, cards):
            theirs = cards[self.adopted.proposer].adopted
            return self._questions(now, None) if theirs is None else self._keep(theirs)
        if self.adopted is not None:
            self.waits_for = (
                f"for {self.adopted.proposer} to found the cluster {self.adopted.cluster_id}, which this node has "
                "adopted; if it never will: ringrift-p2p voters forget-id"
            )
        elif self._may_propose(cards, now):
            return self._keep(Adoption(cluster_id=self.wish.new_id, proposer=self.wish.node))
        return self._questions(now, None)

    def _others(self, now: float) -> Mapping[str, Card]:
        """The latest cards of other nodes, by name."""
        found: dict[str, tuple[float, Card]] = {}
        for peer in self._peers.values():
            if peer.card is None or peer.heard_s is None or now - peer.heard_s > self.timing.fresh_s:
                continue
            known = found.get(peer.card.node)
            if peer.card.node != self.wish.node and (known is None or known[0] < peer.heard_s):
                found[peer.card.node] = peer.heard_s, peer.card
        return {node: card for node, (_, card) in found.items()}

    @property
    def namesake(self) -> str | None:
        """The address of another node that is called as this one is."""
        return next(
            (
                address
                for address, peer in self._peers.items()
                if peer.card is not None and peer.card.node == self.wish.node and peer.card.life != self.wish.life
            ),
            None,
        )

    def _give_up(self, cards: Mapping[str, Card]) -> list[Effect]:
        """Adopt what the proposer with the smallest name proposes, where that is not this node: nobody founds ours."""
        theirs = [card.adopted for node, card in cards.items() if card.adopted and card.adopted.proposer == node]
        first = min(theirs, key=lambda it: it.proposer, default=None)
        return [] if first is None or first.proposer > self.wish.node else self._keep(first)

    def _given_up(self, adopted: Adoption, cards: Mapping[str, Card]) -> bool:
        """Whether an id will never be founded: it is ours and is not yet, or its proposer stands elsewhere by now."""
        card = cards.get(adopted.proposer)
        if adopted.proposer == self.wish.node or card is None:
            return adopted.proposer == self.wish.node
        elsewhere = {card.cluster_id, card.adopted and card.adopted.cluster_id} - {None}
        return bool(elsewhere) and adopted.cluster_id not in elsewhere

    def _join(self, clusters: set[str], cards: Mapping[str, Card], now: float) -> list[Effect]:
        """Come into the cluster of a peer, unless there are two, or this node has adopted an id that may be founded."""
        free = self.adopted is None or (self.adopted.cluster_id not in clusters and self._given_up(self.adopted, cards))
        wanted = sorted(clusters) if free or self.adopted is None else [self.adopted.cluster_id]
        if len(wanted) > 1 or wanted[0] not in clusters:
            found = ", ".join(sorted(clusters))
            why = "this one has adopted " + wanted[0] if self.adopted is not None else "they are never merged"
            self.waits_for = f"for a person: peers are in {found}; {why} (ringrift-p2p doctor)"
            return []
        if free and self._unasked:  # who has not answered yet may be in another cluster
            self.waits_for = "for its peers to answer"
            return []
        if free:
            member = next(node for node, card in cards.items() if card.cluster_id == wanted[0])
            return self._keep(Adoption(cluster_id=wanted[0], proposer=member))
        contacts: dict[str, Contact] = {}
        for address, peer in self._peers.items():
            if peer.card is not None and peer.card.cluster_id == wanted[0] and peer.heard_s is not None:
                if now - peer.heard_s <= self.timing.fresh_s and peer.card.node != self.wish.node:
                    contacts.setdefault(peer.card.node, Contact(node=peer.card.node, address=address))
                for contact in peer.card.contacts:
                    contacts.setdefault(contact.node, contact)
        return self._enter(Entry(EntryKind.FOLLOWER, wanted[0], tuple(contacts.values())[:CONTACTS_MAX]))

    def _found(self, adopted: Adoption) -> list[Effect]:
        """Found the cluster when enough nodes have adopted its id; what is adopted stays so."""
        cards = (peer.card for peer in self._peers.values() if peer.card is not None)
        adopters = {self.wish.node} | {card.node for card in cards if card.adopted == adopted}
        if len(adopters) >= self.wish.expect:
            return self._enter(Entry(EntryKind.FOUNDER, adopted.cluster_id))
        self.waits_for = (
            f"for {self.wish.expect} nodes to adopt the cluster {adopted.cluster_id}; {len(adopters)} have: "
            f"{', '.join(sorted(adopters))}{self._unreached()}"
        )
        return []

    def _may_propose(self, cards: Mapping[str, Card], now: float) -> bool:
        """Whether it is this node's turn to propose an id."""
        blank = sorted({self.wish.node} | {node for node, card in cards.items() if card.adopted is None})
        if len(blank) < self.wish.expect or self._unasked:
            self._turn.since_s = None
            self.waits_for = (
                f"for {self.wish.expect} nodes that are in no cluster; there are {len(blank)}: {', '.join(blank)}"
                f"{self._unreached()}"
            )
            return False
        if self._turn.since_s is None:
            self._turn.since_s = now
        rank = blank.index(self.wish.node)
        if any(card.adopted is not None for card in cards.values()):
            rank += 1  # somebody proposes already
        self.waits_for = f"for {blank[0]} to propose a cluster"
        rank += any(peer.heard_s is None for peer in self._peers.values())  # it may be about to come
        turn_s = 0.0 if rank == 0 else (rank + self.wish.chance / 2) * self.timing.turn_s
        return now - self._turn.since_s >= turn_s

    @property
    def _unasked(self) -> bool:
        """Whether there are peers that have neither answered nor been missed."""
        return any(peer.heard_s is None and not peer.missed for peer in self._peers.values())

    def _enter(self, entry: Entry) -> list[Effect]:
        self.entered = entry
        return [Enter(entry)]

    def _questions(self, now: float, adoption: Adoption | None) -> list[Effect]:
        """Ask every peer once per round."""
        due = [
            (address, peer) for address, peer in self._peers.items()
            if peer.asked_s is None or now - peer.asked_s >= self.timing.round_s
        ]  # fmt: skip
        for _, peer in due:
            peer.asked_s = now
        return [Ask(address, adoption) for address, _ in due]

    def _unreached(self) -> str:
        missed = [peer.missed for peer in self._peers.values() if peer.missed]
        return f"; not reached: {', '.join(missed)}" if missed else ""
