"""Job specs: what a child process is told to do, checked before anything runs (docs/formats/job.md)."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.thresholds import DOCUMENTED, Thresholds
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import NET_SIMS
from ringrift_core.storage import read_bounded

SPEC_BYTES_MAX = 1 << 20
CHEAP_FROM = 32  # searches from this size on are worth capping (playout-cap randomisation)
CAPPED_SHARE = 0.3  # share of full searches where they are capped
CHEAP_PART = 4  # a cheap search has one such part of the simulations


def known_game(value: str) -> str:
    """A config key, or a RulesError, which pydantic reports as a ValueError would be."""
    ConfigKey.parse(value)
    return value


GameName = Annotated[str, AfterValidator(known_game)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Device = Literal["auto", "cpu", "cuda"]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Spec(BaseModel):
    """A part of a spec: nothing unknown, nothing changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Opponent(Spec):
    """Somebody to play a share of the games against."""

    model: str
    share: Annotated[float, Field(gt=0, le=1)]


class SelfplaySpec(Spec):
    """Play games and write them to shards."""

    kind: Literal["selfplay"] = "selfplay"
    game: GameName
    model: str  # random, heuristic, or the path of a checkpoint
    out: Path
    seed: Seed
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
    device: Device = "auto"
    deterministic: bool = False

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


class TrainingSpec(Spec):
    """Train a net on shards and write a candidate."""

    kind: Literal["training"] = "training"
    game: GameName
    data: Annotated[tuple[Path, ...], Field(min_length=1)]  # folders of shards
    out: Path  # folder of the run; a run that was begun there goes on
    registry: Path | None = None  # the registry that gets the candidate; None: it stays in `out` alone
    parent: Path | None = None  # the checkpoint to go on from; None: random weights of the size `size`
    size: str | None = None
    seed: Seed
    steps: Annotated[int, Field(ge=0)] = 0  # 0: twice over the window, as far as the rows allow it
    batch: Annotated[int, Field(ge=2, le=1 << 16)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    root_share: Annotated[float, Field(ge=0, le=1)] = 0.2  # of a net's root value in the value target
    ownership_weight: Annotated[float, Field(ge=0, le=100)] = 0.3
    score_weight: Annotated[float, Field(ge=0, le=100)] = 0.3
    passes: Annotated[float, Field(gt=0, le=1000)] = 4.0  # samples that may be drawn per row ever made
    rows_made: Annotated[int, Field(ge=0, le=1 << 53)] = 0  # ever, deleted shards included; 0: count the shards there
    max_age_hours: Annotated[float, Field(ge=0, le=1e6)] = 48.0  # of the newest shard; 0: any age
    save_every: Annotated[int, Field(ge=1)] = 500  # steps between states
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on CUDA, fp32 elsewhere
    device: Device = "auto"
    threads: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _has_one_beginning(self) -> Self:
        if (self.parent is None) == (self.size is None):
            raise ValueError("say either the parent to go on from or the size of a net with random weights")
        return self


class Rates(Spec):
    """Shares of two-player games that a candidate must exceed; None: those of the documents."""

    random: Rate | None = None
    heuristic: Rate | None = None
    champion: Rate | None = None

    @property
    def thresholds(self) -> Thresholds:
        """What they mean to the gate."""
        wished = {name: rate for name, rate in self if rate is not None}
        return replace(DOCUMENTED, **wished)


class GauntletSpec(Spec):
    """Let a candidate meet its champion for a first look, then one opponent of the gate after the other."""

    kind: Literal["gauntlet"]
    game: GameName
    candidate: Path  # a checkpoint, like all opponents
    champion: Path | None = None
    anchors: tuple[Path, ...] = ()
    out: Path  # folder of the matches and the result
    work: Path  # folder of this job alone: the same spec goes on from what is there
    parts: Path | None = None  # file that says which chunks others play and have played; None: nobody does
    seed: Seed
    games: Annotated[int, Field(ge=1)] | None = None  # least per opponent; None: that of the gate
    games_max: Annotated[int, Field(ge=1)] | None = None  # most per opponent; None: that of the gate
    candidate_number: Annotated[int, Field(ge=1)] = 1  # since the champion was promoted
    rates: Rates = Rates()
    qualify_games: Annotated[int, Field(ge=0)] = 64  # against the champion before the gate, in whole blocks; 0: none
    sims: Annotated[int, Field(ge=0, le=100_000)] = NET_SIMS  # of all nets; with others nobody is promoted
    device: Device = "auto"
    deterministic: bool = False


class PartSpec(Spec):
    """Play one chunk of a gauntlet that another process judges."""

    kind: Literal["part"]
    gauntlet: GauntletSpec  # its folders are not used
    row: Annotated[int, Field(ge=0)]
    first: Annotated[int, Field(ge=0)]  # block
    last: Annotated[int, Field(ge=1)]  # the block after it
    out: Path  # folder that gets the games


class CanarySpec(Spec):
    """Let the net in production meet others: the shadow tournament."""

    kind: Literal["canary"]
    game: GameName
    model: Path  # the checkpoint in production
    opponents: Annotated[tuple[str, ...], Field(min_length=1)]  # random, heuristic, or the path of a checkpoint
    out: Path  # folder of the matches
    seed: Seed
    number: Annotated[int, Field(ge=0)] = 0  # of the canary: one seed gives each number openings of its own
    games: Annotated[int, Field(ge=1)]  # per opponent, in whole blocks
    sims: Annotated[int, Field(ge=0, le=100_000)] = NET_SIMS  # of all nets
    device: Device = "auto"
    deterministic: bool = False


def kind_of(value: object) -> str:
    """The kind of a job; where none is said it is selfplay."""
    return str(value.get("kind", "selfplay") if isinstance(value, dict) else getattr(value, "kind", ""))


AnySpec = SelfplaySpec | TrainingSpec | GauntletSpec | PartSpec | CanarySpec
Job = Annotated[
    Annotated[SelfplaySpec, Tag("selfplay")]
    | Annotated[TrainingSpec, Tag("training")]
    | Annotated[GauntletSpec, Tag("gauntlet")]
    | Annotated[PartSpec, Tag("part")]
    | Annotated[CanarySpec, Tag("canary")],
    Discriminator(kind_of),
]
JOBS: TypeAdapter[AnySpec] = TypeAdapter(Job)


def read_spec(path: Path) -> AnySpec:
    """The spec in a file; StorageError names what is wrong with it."""
    try:
        return JOBS.validate_json(read_bounded(path, SPEC_BYTES_MAX))
    except ValidationError as error:
        raise StorageError(f"{path}: {reasons(error)}") from None


def reasons(error: ValidationError) -> str:
    """What pydantic found, in one line."""
    found = [(".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
    return "; ".join(f"{field}: {text}" if field else text for field, text in found)
