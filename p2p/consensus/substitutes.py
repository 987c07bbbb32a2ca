"""What of PySyncObj is replaced, and why. Process-wide, since the library looks these names up in its module.

| name in pysyncobj.syncobj | replaced by | because |
|---|---|---|
| pickle | `codec.dumps`, `codec.loads` | pickle runs code; what the library encodes is a change of the membership |
| createJournal | returns the journal that it is given | its own is a file without checks that is never flushed |
| Serializer | returns the dump object that it is given | its own forks, never syncs, and replaces what is newer |
| monotonicTime | a clock from outside | so that a test has one of its own |
| random | chance from outside | so that a seed replays a run |
| PIPE_NOTIFIER_ENABLED | False | a pipe that wakes a thread which does not exist here |

`Core` (core.py) replaces what is replaced per object.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol

from pysyncobj import syncobj

from p2p.consensus import codec
from ringrift_core.errors import InvariantError


class Chance(Protocol):
    """Where elections get their random timeouts from; `secrets.SystemRandom()` in a process, seeded in tests."""

    def random(self) -> float:
        """A number in [0, 1)."""


def install(clock: Callable[[], float], chance: Chance) -> None:
    """Replace what must be replaced, for the whole process; `clock` is monotonic, in seconds."""
    syncobj.pickle = SimpleNamespace(dumps=codec.dumps, loads=codec.loads)
    syncobj.createJournal = _journal
    syncobj.Serializer = _serializer
    syncobj.monotonicTime = clock
    syncobj.random = chance
    syncobj.PIPE_NOTIFIER_ENABLED = False


def check_installed() -> None:
    """InvariantError unless `install` was called."""
    if syncobj.createJournal is not _journal:
        raise InvariantError("call p2p.consensus.substitutes.install before a voter is made")


def now() -> float:
    """The clock that was installed."""
    return float(syncobj.monotonicTime())


def chance() -> float:
    """A number in [0, 1) of the chance that was installed."""
    return float(syncobj.random.random())


def _journal(journal: object) -> object:
    return journal


def _serializer(_file: object, _batch: object, _fork: object, dumps: object, *_rest: object) -> object:
    return dumps
