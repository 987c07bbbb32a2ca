"""What of PySyncObj is replaced, process-wide."""

from collections.abc import Callable
from typing import Protocol


class Chance(Protocol):
    """Where elections get their random timeouts from; `secrets.SystemRandom()` in a process, seeded in tests."""

    def random(self) -> float:
        """A number in [0, 1)."""


def install(clock: Callable[[], float], chance: Chance) -> None:
    """Replace what must be replaced in pysyncobj, for the whole process; `clock` is monotonic, in seconds."""
    raise NotImplementedError
