"""ChunkQueue: which chunks of a file are asked of whom. Pure; no chunk is lost, whoever leaves.

Chunks that nobody brings are handed out in runs from the front. When none is left, an idle holder also gets what a busy
one has not brought yet, so that the slowest does not hold up the end; whoever comes second brings it in vain.
"""

from collections.abc import Collection


class ChunkQueue:
    """The chunks 0 .. count-1 of a file, without those that are here already."""

    def __init__(self, count: int, have: Collection[int], run_max: int) -> None:
        """`run_max` chunks at most are asked for at once."""
        self._free = [index for index in range(count) if index not in have]
        self._missing = set(self._free)
        self._run_max = run_max
        self._asked: dict[str, list[int]] = {}  # by holder: what it has not brought yet

    @property
    def finished(self) -> bool:
        """Whether every chunk is here."""
        return not self._missing

    @property
    def missing(self) -> int:
        """How many are not here."""
        return len(self._missing)

    def take(self, holder: str, holders: int) -> range | None:
        """What a holder is asked for next, one of so many; None while there is nothing for it."""
        share = max(1, min(self._run_max, -(-len(self._free) // max(1, holders))))
        run = _front(self._free, share) or self._doubled(holder)
        if run is None:
            return None
        self._free = [index for index in self._free if index not in run]
        self._asked[holder] = list(run)
        return run

    def brought(self, index: int) -> None:
        """A chunk is here and verified."""
        self._missing.discard(index)
        for asked in self._asked.values():
            if index in asked:
                asked.remove(index)

    def release(self, holder: str) -> None:
        """A holder brings nothing more of what it was asked for; others may be asked."""
        left = self._asked.pop(holder, [])
        elsewhere = {index for asked in self._asked.values() for index in asked}
        self._free = sorted({*self._free, *(index for index in left if index not in elsewhere)} & self._missing)

    def _doubled(self, holder: str) -> range | None:
        """The last part of what the busiest other holder has not brought, where nobody else is asked for it too."""
        often = [index for asked in self._asked.values() for index in asked]
        for other, asked in sorted(self._asked.items(), key=lambda it: -len(it[1])):
            once = [index for index in asked if often.count(index) == 1]
            if other != holder and once:
                return _back(once, max(1, len(once) // 2))
        return None


def _front(indices: list[int], most: int) -> range | None:
    """The first indices that follow each other, at most so many."""
    if not indices:
        return None
    stop = 1
    while stop < min(most, len(indices)) and indices[stop] == indices[0] + stop:
        stop += 1
    return range(indices[0], indices[0] + stop)


def _back(indices: list[int], most: int) -> range:
    """The last ones that follow each other."""
    start = 1
    while start < min(most, len(indices)) and indices[-1 - start] == indices[-1] - start:
        start += 1
    return range(indices[-1] - start + 1, indices[-1] + 1)
