"""Asking before voting: a voter that cannot win an election does not begin one, and raises nobody's term.

Raft dissertation 9.6. Pure: time is an argument. A round is won by a majority that has not heard of a leader for a
while and whose logs reach no further than the asker's. An answer promises nothing, so nothing of it has to be durable.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from p2p.consensus.wire import PreVote, PreVoteAnswer


@dataclass(frozen=True, slots=True)
class LogEnd:
    """How far a log reaches; the longer one is the one with the later last term, then the higher last index."""

    term: int
    index: int

    def reaches(self, other: "LogEnd") -> bool:
        """Whether it is at least as long."""
        return (self.term, self.index) >= (other.term, other.index)


@dataclass(slots=True)
class _Round:
    number: int
    granted: set[str] = field(default_factory=set)
    term: int = 0  # the highest of those who would vote


class PreElection:
    """The rounds of one voter."""

    def __init__(self, node: str, first_round: int, now: float, patience_s: float) -> None:
        """`first_round` is random: answers to an earlier life of the node count for nothing.

        After `patience_s` without a leader the node would vote for another one; a start counts as having heard.
        """
        self._node = node
        self._number = first_round
        self._heard = now
        self._patience_s = patience_s
        self._round: _Round | None = None

    def heard(self, now: float) -> None:
        """The leader is there."""
        self._heard = now
        self._round = None

    def ask(self, end: LogEnd) -> PreVote:
        """Begin a round; what all others are to be asked."""
        self._number += 1
        self._round = _Round(self._number, {self._node})
        return PreVote(self._number, end.index, end.term)

    def answer(self, asked: PreVote, end: LogEnd, term: int, *, leads: bool, now: float) -> PreVoteAnswer:
        """What another voter is told by a node whose log ends so."""
        patient = leads or now - self._heard < self._patience_s
        granted = not patient and LogEnd(asked.last_term, asked.last_index).reaches(end)
        return PreVoteAnswer(asked.round, term, granted)

    def take(self, peer: str, answer: PreVoteAnswer) -> None:
        """The answer of another voter; ignored when it is not to the present round."""
        if self._round is not None and answer.round == self._round.number and answer.granted:
            self._round.granted.add(peer)
            self._round.term = max(self._round.term, answer.term)

    def won(self, voters: Collection[str]) -> int | None:
        """The highest term of a majority that would vote for the node, once; None while there is none."""
        found = self._round
        if found is None or len(found.granted & set(voters)) <= len(voters) / 2:
            return None
        self._round = None
        return found.term
