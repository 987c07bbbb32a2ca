"""Bodies on their way into the log: those of one tick share an entry, and every one has an answer or is applied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pysyncobj.config import FAIL_REASON

from p2p.consensus.codec import BODY_BYTES_MAX, ENTRY_BYTES_MAX, bodies_command
from p2p.consensus.effects import Refused
from ringrift_core.errors import RulesError

WAITING_MAX = 4096  # proposals without an answer
WAITING_BYTES_MAX = 8 << 20
OVERHEAD_BYTES = 8  # of a body in a command
ENTRY_ROOM_BYTES = ENTRY_BYTES_MAX - 64
REASONS: dict[int, tuple[str, bool]] = {
    FAIL_REASON.QUEUE_FULL: ("too many commands wait at the leader; try again", False),
    FAIL_REASON.DISCARDED: ("the leader was replaced before this was agreed on; try again", False),
    FAIL_REASON.NOT_LEADER: ("the leader was replaced; try again", False),
    FAIL_REASON.LEADER_CHANGED: ("the leader went away; this may have been written or not", True),
    FAIL_REASON.UNKNOWN_OUTCOME: ("the answer came too late; this may have been written or not", True),
}
UNKNOWN = ("this may have been written or not", True)
Answer = Callable[[object, int], None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A body and the number that its proposer gave it."""

    number: int
    body: bytes


class Proposals:
    """Those of one voter."""

    def __init__(self, refused: Callable[[Refused], None], no_leader: Callable[[], str]) -> None:
        """`refused` is told of what fails; `no_leader` says why nobody leads."""
        self._refused = refused
        self._no_leader = no_leader
        self._new: list[Proposal] = []
        self._count = 0
        self._bytes = 0

    def add(self, number: int, body: bytes) -> None:
        """Take a body for the next entry; RulesError when it is too large."""
        if len(body) > BODY_BYTES_MAX:
            raise RulesError(f"a body of {len(body)} bytes; {BODY_BYTES_MAX} are the most")
        if self._count >= WAITING_MAX or self._bytes + len(body) > WAITING_BYTES_MAX:
            self._refused(Refused(number, f"{self._count} commands wait for an answer; try again", maybe=False))
            return
        self._new.append(Proposal(number, body))
        self._count += 1
        self._bytes += len(body)

    def place(self, place: Callable[[bytes, Answer], None]) -> None:
        """Give out what has come since the last call, as few commands as possible, each with who hears of it."""
        group: list[Proposal] = []
        room = ENTRY_ROOM_BYTES
        for proposal in self._new:
            size = len(proposal.body) + OVERHEAD_BYTES
            if size > room:
                place(bodies_command([it.body for it in group]), self._answer(group))
                group, room = [], ENTRY_ROOM_BYTES
            group.append(proposal)
            room -= size
        if group:
            place(bodies_command([it.body for it in group]), self._answer(group))
        self._new = []

    def refuse_new(self, reason: str) -> None:
        """Refuse what was not given out yet."""
        self._done(self._new)
        for proposal in self._new:
            self._refused(Refused(proposal.number, reason, maybe=False))
        self._new = []

    def _answer(self, group: Sequence[Proposal]) -> Answer:
        def answer(_result: object, error: int) -> None:
            self._done(group)
            if error == FAIL_REASON.SUCCESS:
                return
            reason, maybe = REASONS.get(error, UNKNOWN)
            if error == FAIL_REASON.MISSING_LEADER:
                reason, maybe = self._no_leader(), False
            for proposal in group:
                self._refused(Refused(proposal.number, reason, maybe=maybe))

        return answer

    def _done(self, group: Sequence[Proposal]) -> None:
        self._count -= len(group)
        self._bytes -= sum(len(it.body) for it in group)
