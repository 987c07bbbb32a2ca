"""A series: one agent against copies of another, from openings of the book, a chunk at a time.

A chunk has players and generators of its own, made from the seed and its place. So it is the same whether the chunks
before it were played by this process or remembered from one that was killed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from ringrift_core.evaluation.match import MatchGame, MatchResult, play_match, stored
from ringrift_core.evaluation.openings import Book, Opening
from ringrift_core.evaluation.stored_match import MatchAgent, StoredMatch
from ringrift_core.players.roster import Agent


class Memory(Protocol):
    """Chunks that were played before, by the name of their series and the number of their first block."""

    def recall(self, series: str, first: int) -> Sequence[MatchGame]:
        """The games of a chunk, none where it is not known."""

    def keep(self, series: str, first: int, games: Sequence[MatchGame]) -> None:
        """Remember a chunk."""


class NoMemory:
    """Remembers nothing."""

    def recall(self, _series: str, _first: int) -> Sequence[MatchGame]:
        """Never anything."""
        return ()

    def keep(self, _series: str, _first: int, _games: Sequence[MatchGame]) -> None:
        """Forget."""


NO_MEMORY = NoMemory()


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on while games are played."""

    memory: Memory = NO_MEMORY
    beat: Callable[[], None] = lambda: None  # called after every decision of the games; what it raises ends them


UNWATCHED = Watch()


@dataclass(frozen=True, slots=True)
class Series:
    """Who plays from where; agents of the same name, seed and openings are a series played before."""

    name: str
    one: Agent
    other: Agent  # on all the other seats
    book: Book
    openings: tuple[Opening, ...]  # one block each
    seed: Sequence[int]
    watch: Watch = UNWATCHED

    @property
    def identities(self) -> list[MatchAgent]:
        """Who plays, by player."""
        return [self.one.identity, *[self.other.identity] * (self.book.key.players - 1)]

    def play(self, first: int, last: int) -> list[MatchGame]:
        """The games of the blocks first .. last - 1: one chunk, remembered or played."""
        openings = self.openings[first:last]
        if known := self.recalled(first, last):
            return known
        seeds = np.random.SeedSequence([*self.seed, first]).spawn(2)
        mine, theirs = map(np.random.default_rng, seeds)
        players = [self.one.player(mine), *[self.other.player(theirs)] * (self.book.key.players - 1)]
        games = play_match(self.book.key, players, openings, self.watch.beat).games
        self.watch.memory.keep(self.name, first, games)
        return list(games)

    def recalled(self, first: int, last: int) -> list[MatchGame]:
        """The games of the same blocks as far as they are remembered: all of them or none."""
        known = self.watch.memory.recall(self.name, first)
        return list(known) if is_chunk(known, self.openings[first:last], self.book.key.players) else []

    def play_all(self, chunk_games: int) -> list[MatchGame]:
        """The games from all openings, so many at a time."""
        size = max(1, chunk_games // self.book.key.players)
        firsts = range(0, len(self.openings), size)
        return [game for first in firsts for game in self.play(first, min(first + size, len(self.openings)))]

    def result(self, games: Sequence[MatchGame]) -> MatchResult:
        """The match that the games make so far."""
        return MatchResult(str(self.book.key), tuple(agent.name for agent in self.identities), tuple(games))

    def match(self, games: Sequence[MatchGame], *, seed: int, purpose: str, now: datetime) -> StoredMatch:
        """The match as it is kept."""
        return stored(self.result(games), self.identities, book=self.book, seed=seed, purpose=purpose, now=now)


def is_chunk(games: Sequence[MatchGame], openings: Sequence[Opening], players: int) -> bool:
    """True when these are the games of a chunk: each opening in every rotation."""
    places = [(opening.number, rotation) for opening in openings for rotation in range(players)]
    return [(game.opening, game.rotation) for game in games] == places
