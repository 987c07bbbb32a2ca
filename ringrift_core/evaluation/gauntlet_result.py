"""What a gauntlet found, as a record and as a file (docs/formats/match.md).

One JSON file in the folder `gauntlets` beside the matches, named like them by the first 16 hex digits of its SHA-256.
"""

from datetime import datetime
from math import isclose
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ringrift_core.evaluation.record import Label, PlayedRecord, Record, Stem, read_record, write_record
from ringrift_core.evaluation.sprt import Outcome
from ringrift_core.evaluation.stored_match import Book, MatchAgent
from ringrift_core.evaluation.thresholds import Needs, Role
from ringrift_core.game.config_key import ConfigKey

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
    match: Stem  # name of the stored match

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
        if not isclose(self.share, self.wins / self.games):
            raise ValueError("the share is not that of the games")
        return self


class SearchForm(Record):
    """How everybody searches who searches; the number of simulations stands with the agent."""

    considered: int
    visit_weight: float
    value_weight: float
    noise: Literal[False] = False


class GauntletResult(PlayedRecord):
    """The rows that were played and the verdict; a gauntlet without games is none."""

    form: Literal["ringrift.gauntlet/1"] = "ringrift.gauntlet/1"
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

    @property
    def champion(self) -> MatchAgent | None:
        """The champion that was met, if one was."""
        return next((row.agent for row in self.rows if row.opponent is Role.CHAMPION), None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(len(row.blocks) != ConfigKey.parse(self.config_key).players + 1 for row in self.rows):
            raise ValueError(f"the blocks of a row are not those of {self.config_key}")
        if len({row.match for row in self.rows}) < len(self.rows):
            raise ValueError("a match counts for one row only")
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
    return write_record(folder / FOLDER, result, indent=1)


def read_gauntlet(path: Path) -> GauntletResult:
    """Read a result; StorageError when it is damaged, of other rules, or none."""
    return read_record(path, GauntletResult, "gauntlet", RESULT_BYTES_MAX)
