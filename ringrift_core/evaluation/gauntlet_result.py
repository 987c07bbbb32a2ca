"""What a gauntlet found, as a record and as a file (docs/formats/match.md).

One JSON file in the folder `gauntlets` beside the matches, named like them by the first 16 hex digits of its SHA-256.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.sprt import Outcome
from ringrift_core.evaluation.stored_match import STEM_DIGITS, Book, Label, MatchAgent, Record
from ringrift_core.evaluation.thresholds import Needs
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole

Role = Literal["random", "heuristic", "champion", "anchor"]
FOLDER = "gauntlets"
RESULT_BYTES_MAX = 1 << 20
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class GauntletRow(Record):
    """One opponent: how the games went and what the test says of them."""

    opponent: Role
    agent: MatchAgent
    games: Annotated[int, Field(ge=1)]
    wins: Count
    losses: Count
    blocks: tuple[Count, ...]  # in how many blocks the candidate won 0, 1, .. P games
    share: Share
    low: Share  # of the 95 % interval over blocks, as if their number had been fixed
    high: Share
    h0: Share
    h1: Share
    alpha: Share
    beta: Share
    llr: float
    outcome: Outcome
    needs: Needs
    match: Annotated[str, Field(pattern=f"^[0-9a-f]{{{STEM_DIGITS}}}$")]  # name of the stored match

    @property
    def passes(self) -> bool:
        """Whether the candidate may go on."""
        return self.outcome is Outcome.PASSED or (self.needs is Needs.NO_DISPROOF and self.outcome is Outcome.UNDECIDED)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        games_of_block = len(self.blocks) - 1
        won = sum(wins * blocks for wins, blocks in enumerate(self.blocks))
        if (sum(self.blocks) * games_of_block, won, self.games - won) != (self.games, self.wins, self.losses):
            raise ValueError("games, wins, losses and blocks do not add up")
        return self


class SearchForm(Record):
    """How everybody searches who searches; the number of simulations stands with the agent."""

    considered: int
    visit_weight: float
    value_weight: float
    noise: Literal[False] = False


class GauntletResult(Record):
    """The rows that were played and the verdict; a gauntlet without games is none."""

    form: Literal["ringrift.gauntlet/1"] = "ringrift.gauntlet/1"
    config_key: str
    rules_digest: str = Game.RULES_DIGEST
    candidate: MatchAgent
    candidate_number: Annotated[int, Field(ge=1)]  # in the reign of its champion
    search: SearchForm
    book: Book
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    games_min: Annotated[int, Field(ge=1)]  # per opponent before a decision
    rows: Annotated[tuple[GauntletRow, ...], Field(min_length=1)]
    verdict: Outcome
    reason: Label
    created_at: datetime

    @field_validator("config_key")
    @classmethod
    def _known_game(cls, value: str) -> str:
        ConfigKey.parse(value)
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(len(row.blocks) != ConfigKey.parse(self.config_key).players + 1 for row in self.rows):
            raise ValueError(f"the blocks of a row are not those of {self.config_key}")
        if any(not row.passes for row in self.rows[:-1]):
            raise ValueError("a gauntlet ends at the first row that does not pass")
        if self.verdict is not verdict_of(self.rows):
            raise ValueError("the verdict is not that of the rows")
        return self


def verdict_of(rows: tuple[GauntletRow, ...]) -> Outcome:
    """What the rows say together: passed when all pass, else what the last one says."""
    return Outcome.PASSED if all(row.passes for row in rows) else rows[-1].outcome


def write_gauntlet(folder: Path, result: GauntletResult) -> Path:
    """Write a result into `gauntlets` below the folder of the matches, complete or not at all; return where it is."""
    content = result.model_dump_json(indent=1).encode()
    make_folder(folder / FOLDER)
    path = folder / FOLDER / f"{hashlib.sha256(content).hexdigest()[:STEM_DIGITS]}.json"
    write_whole(path, content)
    sync_folder(folder / FOLDER)
    return path


def read_gauntlet(path: Path) -> GauntletResult:
    """Read a result; StorageError when it is damaged, of other rules, or none."""
    content = read_bounded(path, RESULT_BYTES_MAX)
    try:
        result = GauntletResult.model_validate_json(content)
    except ValidationError as error:
        found = error.errors()[0]
        raise StorageError(f"{path}: no gauntlet: {'.'.join(map(str, found['loc']))}: {found['msg']}") from None
    if path.stem != hashlib.sha256(content).hexdigest()[:STEM_DIGITS]:
        raise StorageError(f"{path}: damaged or renamed: its name is not that of its content")
    if result.rules_digest != Game.RULES_DIGEST:
        raise StorageError(f"{path}: played by rules {result.rules_digest[:16]}, ours are {Game.RULES_DIGEST[:16]}")
    return result
