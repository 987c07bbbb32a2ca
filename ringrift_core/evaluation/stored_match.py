"""Stored matches: who met whom, from which openings, every game replayable (docs/formats/match.md).

A match is one JSON file named by the first 16 hex digits of its SHA-256. Ratings, gates and learning curves are made
from such files alone, so a match carries what is known of its agents.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.record import (
    STEM_DIGITS,
    Digest,
    Label,
    PlayedRecord,
    Record,
    read_record,
    write_record,
)
from ringrift_core.game.config_key import ConfigKey

MATCH_BYTES_MAX = 1 << 28
STEM = re.compile(f"[0-9a-f]{{{STEM_DIGITS}}}")  # how matches are named


class MatchAgent(Record):
    """Somebody who played. Identity is digest and simulations; the rest are labels."""

    name: Label
    sha256: Digest  # of the net's file, or of what frozen rules of thumb do
    sims: Annotated[int, Field(ge=0, le=100_000)] | None  # 0: the policy alone; None: plays without a judge's search
    version: int | None = None  # of a net
    evaluations: Annotated[int, Field(ge=0)] | None = None  # positions judged by nets in the selfplay that made a net

    @property
    def id(self) -> str:
        """What ratings call the agent."""
        return f"{self.sha256[:STEM_DIGITS]}:{'-' if self.sims is None else self.sims}"


class StoredGame(Record):
    """One game; its decisions, forced ones included, replay it from the start of its configuration."""

    opening: Annotated[int, Field(ge=0)]  # number of the opening in the book, or of the block where there is no book
    rotation: Annotated[int, Field(ge=0, le=3)]  # agent i + 1 of the game is player (i + rotation) % players
    winner: Annotated[int, Field(ge=0, le=3)]  # player
    ranks: tuple[Annotated[int, Field(ge=1, le=4)], ...]  # competition rank of each player
    reason: Label
    plies: Annotated[int, Field(ge=1)]
    decisions: tuple[Annotated[int, Field(ge=0, lt=1 << 16)], ...]


class Book(Record):
    """The opening book whose numbers the games name."""

    name: Label
    sha256: Digest


class StoredMatch(PlayedRecord):
    """A match with at least one whole block: a match of no games is none."""

    form: Literal["ringrift.match/1"] = "ringrift.match/1"
    agents: tuple[MatchAgent, ...]  # by player
    book: Book | None  # None: random openings
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    purpose: Label  # "gauntlet", "qualification", "canary" or "tournament" where this program plays
    created_at: datetime
    games: Annotated[tuple[StoredGame, ...], Field(min_length=1)]  # block by block, rotation by rotation

    @model_validator(mode="after")
    def _fits(self) -> Self:
        players = ConfigKey.parse(self.config_key).players
        if len(self.agents) != players:
            raise ValueError(f"{self.config_key} has {players} agents, not {len(self.agents)}")
        if len(self.games) % players:
            raise ValueError("the games are no whole number of blocks")
        for number, game in enumerate(self.games):
            first = self.games[number - number % players]
            if game.rotation != number % players or game.opening != first.opening:
                raise ValueError(f"game {number} is not rotation {number % players} of its block")
            if game.winner >= players or len(game.ranks) != players or game.ranks[game.winner] != 1:
                raise ValueError(f"game {number} has a winner or ranks that do not fit")
        return self

    @property
    def players(self) -> int:
        """How many play in a game."""
        return len(self.agents)

    def blocks(self, player: int = 0) -> list[int]:
        """In how many blocks the player won 0, 1, .. P of the P games, [P + 1]."""
        return block_counts([game.winner for game in self.games], self.players, player)


def block_counts(winners: Sequence[int], players: int, player: int) -> list[int]:
    """In how many blocks a player won 0, 1, .. P games, [P + 1], from the winners of the games, block by block."""
    counts = [0] * (players + 1)
    for first in range(0, len(winners), players):
        counts[winners[first : first + players].count(player)] += 1
    return counts


def write_match(folder: Path, match: StoredMatch) -> Path:
    """Write a match, complete or not at all; return where it is."""
    return write_record(folder, match)


def read_match(path: Path) -> StoredMatch:
    """Read a match; StorageError when it is damaged, of other rules, or no match."""
    return read_record(path, StoredMatch, "match", MATCH_BYTES_MAX)


def matches_in(folder: Path) -> Iterator[StoredMatch]:
    """Every match of a folder, by name; StorageError at the first that is damaged. Other people's JSON is none."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json" and STEM.fullmatch(path.stem))
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in paths:
        yield read_match(path)
