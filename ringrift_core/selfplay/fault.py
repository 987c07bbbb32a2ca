"""What can be wrong with a shard."""

from enum import Enum

from ringrift_core.errors import StorageError


class Fault(Enum):
    """Kinds of faults, in the order in which a shard is tested for them."""

    MANIFEST = "manifest"  # missing, unreadable, or not one of a shard
    MISSING = "missing"  # a manifest without its arrays
    TRUNCATED = "truncated"
    DAMAGED = "damaged"  # the content is not the one that the manifest names
    FORMAT = "format"  # the arrays are not those of the format, or not as many as the manifest says
    FOREIGN_RULES = "foreign rules"
    REPLAY = "replay"  # a game does not lead where it says
    COUNTS = "counts"  # the manifest counts what is not there
    DUPLICATE = "duplicate"  # every game of it is in other shards
    NAME = "name"  # not named by its content


class ShardError(StorageError):
    """A shard that cannot be used; `fault` is the kind, the message says what and where."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
