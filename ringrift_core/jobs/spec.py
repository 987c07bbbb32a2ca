"""Job specs: what a child process is told to do, checked before anything runs (docs/formats/job.md)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import read_bounded

SPEC_BYTES_MAX = 1 << 20
CHEAP_FROM = 32  # searches from this size on are worth capping (playout-cap randomisation)
CAPPED_SHARE = 0.3  # share of full searches where they are capped
CHEAP_PART = 4  # a cheap search has one such part of the simulations


class Opponent(BaseModel):
    """Somebody to play a share of the games against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    share: Annotated[float, Field(gt=0, le=1)]


class SelfplaySpec(BaseModel):
    """Play games and write them to shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["selfplay"] = "selfplay"
    game: str
    model: str  # random, heuristic, or the path of a checkpoint
    out: Path
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    games: Annotated[int, Field(ge=0)] = 0  # 0: until it is stopped
    first: Annotated[int, Field(ge=0)] = 0  # number of the first game
    stride: Annotated[int, Field(ge=1)] = 1  # between the numbers of this job's games
    sims: Annotated[int, Field(ge=0, le=100_000)] = 16
    cheap_sims: Annotated[int, Field(ge=0, le=100_000)] | None = None  # None: a quarter of sims
    full_share: Annotated[float, Field(gt=0, le=1)] | None = None  # None: 1 below 32 simulations, else 0.3
    opening_max: Annotated[int, Field(ge=0, le=1000)] = 6
    drawn_decisions: Annotated[int, Field(ge=0)] = 20
    opponents: tuple[Opponent, ...] = ()
    slots: Annotated[int, Field(ge=1, le=65_536)] | None = None  # None: the judge's best batch
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = False

    @field_validator("game")
    @classmethod
    def _known_game(cls, value: str) -> str:
        ConfigKey.parse(value)
        return value

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if sum(opponent.share for opponent in self.opponents) > 1:
            raise ValueError("the shares of the opponents sum to more than 1")
        return self

    @property
    def searches(self) -> tuple[int, float]:
        """Simulations of a cheap search, and the share of full ones."""
        share = self.full_share
        if share is None:
            share = 1.0 if self.sims < CHEAP_FROM else CAPPED_SHARE
        return (self.sims // CHEAP_PART if self.cheap_sims is None else self.cheap_sims), share


def read_spec(path: Path) -> SelfplaySpec:
    """The spec in a file; StorageError names what is wrong with it."""
    try:
        return SelfplaySpec.model_validate_json(read_bounded(path, SPEC_BYTES_MAX))
    except ValidationError as error:
        raise StorageError(f"{path}: {reasons(error)}") from None


def reasons(error: ValidationError) -> str:
    """What pydantic found, in one line."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
