"""RowPlayer: the chunks of one row in their order, whoever has played them.

Chunks that others play are left to them while there are others to play. The one that is needed next is played here
after all when somebody has had it for twice the time that it takes here; after a wait in vain others are waited for
half as long, until a part comes. So a row ends with the same chunks looked at in the same order as without help, and
helpers that are slow, vanish or lie cost some time, never a verdict.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.parts import Chunk, NoParts, Parts
from ringrift_core.evaluation.series import Series

AHEAD_MAX = 16  # chunks that are told to come; more helpers than half of them are never asked
PATIENCE = 2.0  # that others have for a chunk since they were seen at it, in times that it takes here
GRACE = 0.5  # the least that they have once it is needed, the same
UNMEASURED_S = 30.0  # what a chunk is taken to take where none was played here yet
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


class Pace:
    """How fast this process plays, and how far others are waited for; through all rows of a gauntlet."""

    def __init__(self) -> None:
        self.trust = 1.0  # halved by each wait in vain, whole again with each part that comes
        self._block_s: float | None = None

    def played(self, blocks: int, took_s: float) -> None:
        """This process has played so many blocks."""
        self._block_s = took_s / blocks

    def own_s(self, blocks: int) -> float:
        """What so many blocks take here."""
        return UNMEASURED_S if self._block_s is None else self._block_s * blocks


def next_chunk(missing: Sequence[int], claimed: Collection[int], *, overdue: bool) -> int | None:
    """Which of the missing chunks, in their order, is played now; None: wait for others.

    `claimed` ones are played by others; `overdue` says that the first missing one was waited for long enough.
    """
    if overdue or missing[0] not in claimed:
        return missing[0]
    return next((number for number in missing if number not in claimed), None)


class RowPlayer:
    """Plays one row; iterating gives the games chunk by chunk and may end at any of them."""

    def __init__(self, row: int, series: Series, chunks: Sequence[Chunk], helpers: Helpers, pace: Pace) -> None:
        self._row = row
        self._series = series
        self._chunks = chunks
        self._helpers = helpers
        self._pace = pace
        self._known = {number: list(games) for number, chunk in enumerate(chunks) if (games := series.recalled(*chunk))}
        self._claimed_at: dict[int, float] = {}  # when others were first seen at a chunk

    def __iter__(self) -> Iterator[list[MatchGame]]:
        for number in range(len(self._chunks)):
            yield self._games(number)

    def _games(self, number: int) -> list[MatchGame]:
        """The games of a chunk; all before it are known."""
        needed_at = self._helpers.clock()
        while number not in self._known:
            claimed = self._take()
            if number in self._known:
                break
            missing = [it for it in range(number, len(self._chunks)) if it not in self._known]
            choice = next_chunk(missing, claimed, overdue=self._is_overdue(number, needed_at))
            if choice is None:
                self._series.watch.beat()
                self._helpers.sleep(PAUSE_S)
                continue
            if choice in claimed:
                self._pace.trust /= 2
            self._play(choice, missing)
        return self._known[number]

    def _is_overdue(self, number: int, needed_at: float) -> bool:
        """Whether others have had a chunk for long enough."""
        first, last = self._chunks[number]
        now, own_s = self._helpers.clock(), self._pace.own_s(last - first) * self._pace.trust
        return now - self._claimed_at.get(number, now) >= PATIENCE * own_s and now - needed_at >= GRACE * own_s

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
                self._claimed_at.setdefault(number, self._helpers.clock())
            elif games := self._helpers.parts.games(path, self._series, chunk):
                self._series.watch.memory.keep(self._series.name, chunk[0], games)
                self._known[number] = list(games)
                self._pace.trust = 1.0
                self._helpers.taken()
        return claimed

    def _play(self, number: int, missing: Sequence[int]) -> None:
        chunk = self._chunks[number]
        ahead = tuple(self._chunks[it] for it in missing if it != number)[:AHEAD_MAX]
        self._helpers.begun(Begun(self._row, chunk, ahead))
        began = self._helpers.clock()
        self._known[number] = self._series.play(*chunk)
        self._pace.played(chunk[1] - chunk[0], self._helpers.clock() - began)
