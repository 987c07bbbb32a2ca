"""One voter whose peers are played by the test, in virtual time."""

import random

from p2p.consensus import substitutes
from p2p.consensus.codec import BODIES, Entry, pack
from p2p.consensus.effects import Applied, Effect, Installed, Refused, Role, Send, Standing
from p2p.consensus.raft import Raft, RaftLimits
from p2p.consensus.store import RaftStore
from p2p.consensus.wire import AppendEntries, Message, PreVote, PreVoteAnswer, RequestVote, Vote, decode, encode
from tests.sim.faulty_files import Disk, Faults, FaultyFiles


def entry(index: int, term: int, *bodies: bytes) -> Entry:
    return BODIES + pack(list(bodies or (b"%d" % index,))), index, term


class Hand:
    """The voter `a` of a group of `voters`, founded with version 2."""

    def __init__(self, *voters: str, blank: bool = False, limits: RaftLimits | None = None) -> None:
        self.now = 100.0
        self.limits = limits
        self.voters = voters or ("a", "b", "c")
        self.disk = Disk()
        substitutes.install(lambda: self.now, random.Random(1))
        self.effects: list[Effect] = []
        self.open(found=not blank)

    def open(self, *, found: bool = False) -> None:
        self.store = RaftStore(FaultyFiles(self.disk), random.Random(2).randbytes)
        self.store.open()
        if found:
            self.store.found(2, b"dump", self.voters)
        self.raft = Raft("a", self.voters, self.store, limits=self.limits)
        for peer in ("b", "c", "d"):
            self.raft.connected(peer)
        self.tick()

    def power_cut(self) -> None:
        """The machine goes off and on again."""
        self.disk.off = True
        self.disk.power_up(Faults())
        self.effects.clear()
        self.open()

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        self.now += seconds
        found = self.raft.tick()
        self.effects += found
        return found

    def hear(self, peer: str, *messages: Message) -> list[Message]:
        """What it sends that peer on hearing these."""
        for message in messages:
            self.raft.receive(peer, encode(message))
        return [decode(it.frame) for it in self.tick() if isinstance(it, Send) and it.peer == peer]

    def append(self, term: int, previous: tuple[int, int], *entries: Entry, commit: int = 3) -> list[Message]:
        """What it answers the leader `b`."""
        return self.hear("b", AppendEntries(term, commit, *previous, entries))

    def elect(self, *friends: str) -> int:
        """Let it win an election with the votes of these; its term."""
        self.tick(1.3)
        asked = next(it for it in self.sent() if isinstance(it, PreVote))
        for friend in friends:
            self.hear(friend, PreVoteAnswer(asked.round, 0, granted=True))
        term = max(it.term for it in self.sent() if isinstance(it, RequestVote))
        for friend in friends:
            self.hear(friend, Vote(term))
        assert self.standing().role is Role.LEADER
        return term

    def sent(self) -> list[Message]:
        """Everything so far."""
        return [decode(it.frame) for it in self.effects if isinstance(it, Send)]

    def standing(self) -> Standing:
        return [it for it in self.effects if isinstance(it, Standing)][-1]

    @property
    def applied(self) -> list[bytes]:
        """Since the latest dump."""
        bodies: list[bytes] = []
        for it in self.effects:
            if isinstance(it, Installed):
                bodies = []
            if isinstance(it, Applied):
                bodies += it.bodies
        return bodies

    @property
    def refused(self) -> list[Refused]:
        return [it for it in self.effects if isinstance(it, Refused)]
