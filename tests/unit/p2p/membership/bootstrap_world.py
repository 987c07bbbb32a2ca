"""Nodes that bootstrap, their disks, and a network that loses: one step after the other, by a generator."""

from dataclasses import dataclass, field

import numpy as np

from p2p.membership.bootstrap import (
    Adoption,
    Answer,
    Ask,
    Asked,
    Bootstrap,
    BootstrapTiming,
    Card,
    Effect,
    Enter,
    Entry,
    EntryKind,
    Event,
    Heard,
    Keep,
    Kept,
    Missed,
    Tick,
    Wish,
)

TIMING = BootstrapTiming()


@dataclass
class World:
    """Every node has a list of nodes (addresses are names), how many it expects, and a disk."""

    lists: dict[str, tuple[str, ...]]
    expect: dict[str, int]
    rng: np.random.Generator
    loss: float = 0.0
    now: float = 0.0
    disks: dict[str, Adoption] = field(default_factory=dict)
    lives: dict[str, Bootstrap] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)  # nodes in a cluster
    founded: dict[str, str] = field(default_factory=dict)  # by whom, by id
    founders_list: dict[str, set[str]] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)  # ids that a node has answered
    parts: list[set[str]] = field(default_factory=list)  # who reaches whom; none: all do
    crash: float = 0.0  # chance at each Keep, before and after the disk has it

    def start(self, name: str) -> None:
        """A new life."""
        wish = Wish(
            node=name,
            life=self.rng.bytes(8).hex(),
            peers=tuple(f"{peer}:1" for peer in self.lists[name]),
            expect=self.expect[name],
            new_id=self.rng.bytes(16).hex(),
            chance=float(self.rng.random()),
        )
        self.lives[name] = Bootstrap(wish, self.disks.get(name), TIMING)

    def reach(self, one: str, other: str) -> bool:
        """Whether a message comes through now."""
        apart = self.parts and not any({one, other} <= part for part in self.parts)
        return not apart and self.rng.random() >= self.loss

    def step(self, name: str, event: Event) -> None:
        """Give an event to a node and do what it says."""
        if name in self.lives:
            self.do(name, self.lives[name].step(self.now, event))

    def do(self, name: str, effects: list[Effect]) -> None:
        life = self.lives[name]
        for effect in effects:
            if self.lives.get(name) is not life:
                return  # it has crashed meanwhile
            match effect:
                case Keep(adoption):
                    if self.rng.random() < self.crash:
                        del self.lives[name]
                        return
                    self.disks[name] = adoption
                    if self.rng.random() < self.crash:
                        del self.lives[name]
                        return
                    self.step(name, Kept(adoption))
                case Ask(address, adoption):
                    self.ask(name, address, adoption)
                case Answer(ticket, card):
                    self.answers[ticket] = card
                case Enter(entry):
                    self.enter(name, entry)

    answers: dict[int, Card] = field(default_factory=dict)
    tickets: int = 0

    def ask(self, name: str, at: str, adoption: Adoption | None) -> None:
        address = at.removesuffix(":1")
        card = self.card(address, adoption) if address != name and self.reach(name, address) else None
        if address == name:
            card = self.lives[name].card
        if card is not None and address != name:
            ids = (card.cluster_id, card.adopted and card.adopted.cluster_id)
            self.told.setdefault(address, set()).update(it for it in ids if it)
        if card is None or not (address == name or self.reach(address, name)):
            self.step(name, Missed(at, "silent"))
        else:
            self.step(name, Heard(at, card))

    def card(self, address: str, adoption: Adoption | None) -> Card | None:
        """What the node at an address answers."""
        if address in self.members:
            return Card(node=address, life="0" * 16, cluster_id=self.members[address], adopted=self.disks.get(address))
        if address not in self.lives:
            return None
        if adoption is None:
            return self.lives[address].card
        self.tickets += 1
        ticket = self.tickets
        self.step(address, Asked(adoption, ticket))
        return self.answers.pop(ticket, None)

    def enter(self, name: str, entry: Entry) -> None:
        del self.lives[name]
        if entry.kind is EntryKind.FOUNDER:
            if self.rng.random() < self.crash:
                return  # before its log was written
            assert self.founded.setdefault(entry.cluster_id, name) == name, "founded by two"
            adopters = {node for node, it in self.disks.items() if it.cluster_id == entry.cluster_id}
            assert len(adopters & {name, *self.lists[name]}) >= self.expect[name], "founded by too few"
        else:
            assert entry.cluster_id in self.founded
            assert self.disks[name].cluster_id == entry.cluster_id
            assert entry.contacts
        self.members[name] = entry.cluster_id

    def run(self, rounds: int, *, restarts: float = 0.3) -> None:
        """Time passes."""
        for _ in range(rounds):
            self.now += 1.0
            for name in self.rng.permutation(sorted(self.lists)).tolist():
                if name in self.members:
                    continue
                if name not in self.lives and self.rng.random() < restarts:
                    self.start(name)
                self.step(name, Tick())

    def check(self) -> None:
        """What must hold, whatever was lost."""
        for node, ids in self.told.items():
            assert len(ids & self.founded.keys()) <= 1, f"{node} has answered {ids}"
        for name, peers in self.lists.items():
            nodes, expect = {name, *peers}, self.expect[name]
            if 2 * expect > len(nodes):
                agreed = [
                    cluster for cluster in self.founded
                    if sum(self.disks[it].cluster_id == cluster for it in nodes & self.disks.keys()) >= expect
                ]  # fmt: skip
                assert len(agreed) <= 1, f"two clusters of the list of {name}"
