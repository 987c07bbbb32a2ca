"""The journal and the dump of one voter in one durable log."""

import secrets
from collections.abc import Callable, Collection

from managers.state.log_files import LogFiles


class RaftStore:
    """What one voter must not forget; the constructor touches nothing, `open` reads, `close` closes."""

    def __init__(self, files: LogFiles, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        raise NotImplementedError

    def open(self) -> None:
        """Lock the folder and read it back; StorageError, InUseError."""

    def close(self) -> None:
        """Close the log. Idempotent."""

    @property
    def blank(self) -> bool:
        """Whether there is no base: the node has never belonged to the group."""
        raise NotImplementedError

    def found(self, version: int, dump: bytes, voters: Collection[str]) -> None:
        """Begin a group from a base, durably; RulesError where the store is not blank."""

    def sync(self) -> None:
        """Make everything since the last call durable."""
