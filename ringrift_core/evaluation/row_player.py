"""RowPlayer: the chunks of one row in their order, whoever has played them.

Chunks that others play are left to them while there are others to play; for the one that is needed next they get twice
the time that this process takes for such a chunk, then it is played here after all. So a row ends with the same chunks
looked at in the same order as without help, and helpers that vanish or lie cost time, never a verdict.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.parts import Chunk, NoParts, Parts
from ringrift_core.evaluation.series import Series

AHEAD_MAX = 16  # chunks that are told to come; more helpers than half of them are never asked
PATIENCE = 2.0  # times as long as this process takes for a chunk
UNMEASURED_S = 60.0  # the wait for a chunk of another process where this one has not played any
PAUSE_S = 0.2  # between two looks at what others have done

NO_PARTS = NoParts()


@dataclass(frozen=True, slots=True)
class Begun:
    """A chunk that this process begins to play, and those that are missing behind the row's sound beginning."""

    row: int
    chunk: Chunk
    ahead: tuple[Chunk, ...]  # in their order, without `chunk`; AHEAD_MAX at most


@dataclass(frozen=True, slots=True)
class Helpers:
    """Who plays beside this process, and how it is told what comes."""

    parts: Parts = NO_PARTS
    begun: Callable[[Begun], None] = lambda _: None
    taken: Callable[[], None] = lambda: None  # a part has taken the place of a chunk
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], None] = sleep


ALONE = Helpers()


def next_chunk(missing: Sequence[int], claimed: Collection[int], *, overdue: bool) -> int | None:
    """Which of the missing chunks, in their order, is played now; None: wait for others.

    `claimed` ones are played by others; `overdue` says that the first missing one was waited for long enough.
    """
    if overdue or missing[0] not in claimed:
        return missing[0]
    return next((number for number in missing if number not in claimed), None)


class RowPlayer:
    """Plays one row; iterating gives the games chunk by chunk and may end at any of them."""

    def __init__(self, row: int, series: Series, chunks: Sequence[Chunk], helpers: Helpers) -> None:
        self._row = row
        self._series = series
        self._chunks = chunks
        self._helpers = helpers
        self._known = {number: list(games) for number, chunk in enumerate(chunks) if (games := series.recalled(*chunk))}
        self._block_s: float | None = None  # that this process takes for a block

    def __iter__(self) -> Iterator[list[MatchGame]]:
        for number in range(len(self._chunks)):
            yield self._games(number)

    def _games(self, number: int) -> list[MatchGame]:
        """The games of a chunk; all before it are known."""
        since = self._helpers.clock()
        while number not in self._known:
            claimed = self._take()
            if number in self._known:
                break
            overdue = self._helpers.clock() - since >= self._patience_s(number)
            missing = [it for it in range(number, len(self._chunks)) if it not in self._known]
            choice = next_chunk(missing, claimed, overdue=overdue)
            if choice is None:
                self._series.watch.beat()
                self._helpers.sleep(PAUSE_S)
            else:
                self._play(choice, missing)
        return self._known[number]

    def _take(self) -> Collection[int]:
        """Take what others have finished; the chunks that they play now."""
        claimed = []
        offered = self._helpers.parts.look(self._row)
        for number, chunk in enumerate(self._chunks):
            if number in self._known or chunk not in offered:
                continue
            path = offered[chunk]
            if path is None:
                claimed.append(number)
            elif games := self._helpers.parts.games(path, self._series, chunk):
                self._series.watch.memory.keep(self._series.name, chunk[0], games)
                self._known[number] = list(games)
                self._helpers.taken()
        return claimed

    def _play(self, number: int, missing: Sequence[int]) -> None:
        chunk = self._chunks[number]
        ahead = tuple(self._chunks[it] for it in missing if it != number)[:AHEAD_MAX]
        self._helpers.begun(Begun(self._row, chunk, ahead))
        began = self._helpers.clock()
        self._known[number] = self._series.play(*chunk)
        self._block_s = (self._helpers.clock() - began) / (chunk[1] - chunk[0])

    def _patience_s(self, number: int) -> float:
        """How long others may take for a chunk once it is needed."""
        if self._block_s is None:
            return UNMEASURED_S
        first, last = self._chunks[number]
        return PATIENCE * self._block_s * (last - first)
