"""What the managers need from the floor above, as small Protocols; `p2p` and `managers.state` implement them."""

from typing import Protocol, TypeVar

from ringrift_core.errors import RingriftError

S_co = TypeVar("S_co", covariant=True)  # the replicated state, an immutable value
R_co = TypeVar("R_co", covariant=True)  # what applying one body gives to its proposer


class BusyError(RingriftError):
    """Too many proposals wait already; nothing of this one was kept, so it may be tried again."""


class Consensus(Protocol[S_co, R_co]):
    """One replicated state, changed by bodies of bytes that everybody applies in the same order."""

    @property
    def state(self) -> S_co:
        """The latest state that was applied here."""

    @property
    def version(self) -> int:
        """How many bodies have been applied to make `state`, since the log began."""

    async def propose(self, body: bytes, timeout_s: float) -> R_co:
        """Bring a body into the log; its result, once it is durable and applied here.

        RulesError for a body that is too large, BusyError when too many wait, StorageError when it could not be made
        durable. After a TimeoutError, a cancellation or a StorageError it may still come to be applied, or not.
        """

    async def changed(self, version: int, timeout_s: float) -> int:
        """Wait until the version is past the given one, at most so long; the version then, past it or not."""
