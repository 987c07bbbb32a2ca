"""Stored matches: who met whom, from which openings, every game replayable (docs/formats/match.md).

A match is one JSON file named by the first 16 hex digits of its SHA-256. Ratings, gates and learning curves are made
from such files alone, so a match carries what is known of its agents.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole

MATCH_BYTES_MAX = 1 << 28
STEM_DIGITS = 16
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class Record(BaseModel):
    """A part of the file: nothing unknown, nothing changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class StoredMatch(Record):
    """A match with at least one whole block: a match of no games is none."""

    form: Literal["ringrift.match/1"] = "ringrift.match/1"
    config_key: str
    rules_digest: Digest = Game.RULES_DIGEST
    agents: tuple[MatchAgent, ...]  # by player
    book: Book | None  # None: random openings
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    purpose: Label  # "gauntlet", "tournament", "gate", "match"
    created_at: datetime
    games: Annotated[tuple[StoredGame, ...], Field(min_length=1)]  # block by block, rotation by rotation

    @field_validator("config_key")
    @classmethod
    def _known_game(cls, value: str) -> str:
        try:
            ConfigKey.parse(value)
        except RulesError as error:
            raise ValueError(str(error)) from None  # so that the file is named
        return value

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
        counts = [0] * (self.players + 1)
        for first in range(0, len(self.games), self.players):
            counts[sum(game.winner == player for game in self.games[first : first + self.players])] += 1
        return counts


def write_match(folder: Path, match: StoredMatch) -> Path:
    """Write a match, complete or not at all; return where it is."""
    content = match.model_dump_json().encode()
    make_folder(folder)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:STEM_DIGITS]}.json"
    write_whole(path, content)
    sync_folder(folder)
    return path


def read_match(path: Path) -> StoredMatch:
    """Read a match; StorageError when it is damaged, of other rules, or no match."""
    content = read_bounded(path, MATCH_BYTES_MAX)
    try:
        match = StoredMatch.model_validate_json(content)
    except ValidationError as error:
        found = error.errors()[0]
        raise StorageError(f"{path}: no match: {'.'.join(map(str, found['loc']))}: {found['msg']}") from None
    if path.stem != hashlib.sha256(content).hexdigest()[:STEM_DIGITS]:
        raise StorageError(f"{path}: damaged or renamed: its name is not that of its content")
    if match.rules_digest != Game.RULES_DIGEST:
        raise StorageError(f"{path}: played by rules {match.rules_digest[:16]}, ours are {Game.RULES_DIGEST[:16]}")
    return match


def matches_in(folder: Path) -> Iterator[StoredMatch]:
    """Every match of a folder, by name; StorageError at the first file that is none."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in paths:
        yield read_match(path)
