"""One voter: PySyncObj behind a seam without I/O, one thread."""

from collections.abc import Collection
from dataclasses import dataclass

from p2p.consensus.effects import Effect
from p2p.consensus.store import RaftStore


@dataclass(frozen=True, slots=True)
class RaftTiming:
    """Seconds; `LAN` and `WAN` are the two that are used."""

    period_s: float = 0.1
    timeout_min_s: float = 0.6
    timeout_max_s: float = 1.2
    fallback_s: float = 1.5


LAN = RaftTiming()
WAN = RaftTiming(period_s=0.25, timeout_min_s=1.5, timeout_max_s=3.0, fallback_s=3.0)


class Raft:
    """One voter. Whatever is called, nothing leaves before the next `tick` has made it durable."""

    def __init__(self, node: str, voters: Collection[str], store: RaftStore, timing: RaftTiming = LAN) -> None:
        """`store` is open; `voters` are those of the group, itself included, ignored where the store knows them."""

    def connected(self, peer: str) -> None:
        """A connection to a peer is there."""

    def disconnected(self, peer: str) -> None:
        """The connection to a peer has gone."""

    def receive(self, peer: str, frame: bytes) -> None:
        """A frame of a connected peer; WireError for what is no message: drop the connection."""

    def propose(self, number: int, body: bytes) -> None:
        """Ask for a body to be agreed on; RulesError for one of more than BODY_BYTES_MAX bytes."""

    def add_voter(self, node: str) -> None:
        """Let a connected node vote; RulesError where that cannot be now: not the leader, another change under way."""

    def remove_voter(self, node: str) -> None:
        """Let a node vote no more; RulesError as in `add_voter`."""

    def transfer(self, node: str | None) -> None:
        """Ask a voter, or the one that is closest, to lead; RulesError where that cannot be now."""

    def dumped(self, version: int, content: bytes) -> None:
        """The answer to DumpWanted; anything else is ignored."""

    def retell(self) -> list[Effect]:
        """Installed and Applied that lead from nothing to what is applied, and DumpWanted where one is awaited."""
        raise NotImplementedError

    def tick(self) -> list[Effect]:
        """Let time pass and do what is to be done; StorageError when the disk refuses: the voter must be opened anew."""
        raise NotImplementedError
