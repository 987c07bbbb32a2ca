"""What a job is to do, and what it has done: names and digests, never paths; a node adds its own places.

Field names and meanings are those of the job specs (docs/formats/job.md).
"""

from typing import Annotated, Literal

from pydantic import Field

from managers.state.record import Count, Digest, Elo, Game, Name, Record, Stem, Text

ATTEMPTS_MAX = 3  # failures of a gauntlet, where nothing else is said
RULES_OF_THUMB = ("heuristic", "random")  # judges that are no nets
Model = Annotated[str, Field(pattern="^(heuristic|random|[0-9a-f]{64})$")]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=1 << 62)]


class Opponent(Record):
    """Somebody to play a share of the selfplay games against."""

    model: Model
    share: Annotated[float, Field(gt=0, le=1)]


class SelfplayTask(Record):
    """Play games with one judge; 0 games: until the job is ended."""

    kind: Literal["selfplay"] = "selfplay"
    game: Game
    model: Model
    games: Count = 0
    sims: Annotated[int, Field(ge=0, le=100_000)]
    cheap_sims: Annotated[int, Field(ge=0, le=100_000)] | None = None
    full_share: Annotated[float, Field(gt=0, le=1)] | None = None
    opening_max: Annotated[int, Field(ge=0, le=1000)] = 6
    drawn_decisions: Count = 20
    opponents: tuple[Opponent, ...] = ()


class GateForm(Record):
    """How the candidate of a training job is judged; enqueued by the state itself when the training completes."""

    games: Annotated[int, Field(ge=1)] | None = None  # least per opponent
    games_max: Annotated[int, Field(ge=1)] | None = None
    random: Share = 0.85
    heuristic: Share = 0.60
    champion: Share = 0.50
    qualify_games: Annotated[int, Field(ge=2)] = 64
    anchors_max: Annotated[int, Field(ge=0, le=16)] = 2
    priority: Annotated[int, Field(ge=0, le=1000)] = 80
    attempts_max: Annotated[int, Field(ge=1, le=100)] = ATTEMPTS_MAX
    asked: bool = False  # a person waits for the verdict: not given up for a newer candidate, no claim to be current


class TrainingTask(Record):
    """Train a candidate; without a gate it is not judged (RINGRIFT_SKIP_GAUNTLET)."""

    kind: Literal["training"] = "training"
    game: Game
    parent: Digest | None = None
    size: Name | None = None
    seed: Seed
    steps: Annotated[int, Field(ge=1, lt=1 << 31)]
    rows_made: Count  # when the job was queued: what the next training counts its new rows from
    games_made: Count
    batch: Annotated[int, Field(ge=2, le=1 << 16)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Share = 1e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    root_share: Share = 0.2
    ownership_weight: Annotated[float, Field(ge=0, le=100)] = 0.3
    score_weight: Annotated[float, Field(ge=0, le=100)] = 0.3
    passes: Annotated[float, Field(gt=0, le=1000)] = 4.0
    max_age_hours: Annotated[float, Field(ge=0, le=1e6)] = 48.0
    save_every: Annotated[int, Field(ge=1)] = 200
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gate: GateForm | None = None


class GauntletTask(Record):
    """Judge a candidate against everybody it must beat."""

    kind: Literal["gauntlet"] = "gauntlet"
    game: Game
    candidate: Digest
    champion: Digest | None
    anchors: tuple[Digest, ...] = ()
    candidate_number: Annotated[int, Field(ge=1)]
    seed: Seed
    form: GateForm


class PartTask(Record):
    """A chunk of a gauntlet that is judged elsewhere, played ahead."""

    kind: Literal["part"] = "part"
    gauntlet: Name  # the job
    of: GauntletTask  # what that one is to do
    row: Annotated[int, Field(ge=0, le=100)]
    first: Annotated[int, Field(ge=0, lt=1 << 31)]  # block
    last: Annotated[int, Field(ge=1, lt=1 << 31)]  # the block after it

    @property
    def game(self) -> str:
        """That of its gauntlet."""
        return self.of.game


class CanaryTask(Record):
    """The champion against those it is held to: the shadow tournament."""

    kind: Literal["canary"] = "canary"
    game: Game
    model: Digest
    opponents: tuple[Model, ...]
    number: Count  # in its reign; each number has openings of its own
    games: Annotated[int, Field(ge=2, le=10_000)]  # against each of them, in whole blocks
    seed: Seed


Task = Annotated[SelfplayTask | TrainingTask | GauntletTask | PartTask | CanaryTask, Field(discriminator="kind")]


class Rating(Record):
    """What the fit over all stored games says of an agent."""

    sha256: Digest
    sims: int | None
    elo: Elo
    margin: Annotated[float, Field(ge=0, le=1e6)]  # 95 %


class SelfplayOutcome(Record):
    """Games that are on the disk."""

    kind: Literal["selfplay"] = "selfplay"
    games: Count
    rows: Count


class TrainingOutcome(Record):
    """A candidate whose file is stored and verified."""

    kind: Literal["training"] = "training"
    candidate: Digest
    size_bytes: Annotated[int, Field(ge=1)]
    version: Annotated[int, Field(ge=1)]  # label: generation along its parents
    steps: Count
    samples_total: Count  # drawn by it and its ancestors
    rows: Count  # of its window
    evaluations: Count  # positions judged by nets in the selfplay behind it
    losses: dict[Name, float] = Field(default_factory=dict)  # on games that are never trained on


class GauntletRow(Record):
    """One opponent of a gauntlet."""

    opponent: Literal["random", "heuristic", "champion", "anchor"]
    sha256: Digest
    games: Annotated[int, Field(ge=1)]
    wins: Count
    share: Share
    low: Share
    high: Share
    outcome: Literal["passed", "failed", "undecided"]
    blocks: tuple[Count, ...] = ()  # in how many blocks the candidate won 0, 1, .. P games


class GauntletOutcome(Record):
    """A gauntlet whose matches and result are stored; one without rows is none."""

    kind: Literal["gauntlet"] = "gauntlet"
    result: Stem
    verdict: Literal["passed", "failed", "undecided"]
    reason: Text
    rows: Annotated[tuple[GauntletRow, ...], Field(min_length=1)]
    ratings: tuple[Rating, ...] = ()


class PartOutcome(Record):
    """A chunk whose games are stored as a match of their own, on the node that played them."""

    kind: Literal["part"] = "part"
    sha256: Digest  # of the file
    games: Annotated[int, Field(ge=1)]


class CanaryBlocks(Record):
    """Blocks against one opponent: how many games of each block the champion won."""

    opponent: Digest
    wins: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Field(min_length=1)]
    match: Stem


class CanaryOutcome(Record):
    """A shadow tournament whose matches are stored."""

    kind: Literal["canary"] = "canary"
    blocks: Annotated[tuple[CanaryBlocks, ...], Field(min_length=1)]
    ratings: tuple[Rating, ...] = ()


Outcome = Annotated[
    SelfplayOutcome | TrainingOutcome | GauntletOutcome | PartOutcome | CanaryOutcome, Field(discriminator="kind")
]
