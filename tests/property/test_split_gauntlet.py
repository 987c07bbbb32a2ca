"""A gauntlet whose chunks others play, vanish with or lie about comes to the result that it has without them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift_core.evaluation import gauntlet as gauntlets
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings, opponents_of
from ringrift_core.evaluation.gauntlet_result import GauntletResult
from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.parts import PURPOSE, Chunk, OfferedParts
from ringrift_core.evaluation.row_player import PATIENCE, UNMEASURED_S, Helpers
from ringrift_core.evaluation.series import Series
from ringrift_core.evaluation.stored_match import StoredMatch, matches_in, write_match
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game.config_key import ConfigKey
from tests.property import SCALE
from tests.unit.evaluation.results import NOW, strong, weak

KEY = ConfigKey.parse("hex8_2p")
SETTINGS = GauntletSettings(seed=4, games=8, games_max=40, thresholds=Thresholds(0.3, 0.05, 0.3))
CHUNK_GAMES = 8
ROWS, CHUNKS = 3, 6  # no row has more chunks
SLOWEST_S = 50.0

Known = dict[tuple[str, int, int], list[MatchGame]]
KNOWN: Known = {}  # every chunk is played once
CHECKED: dict[tuple[str, int, int, str], list[MatchGame]] = {}  # and checked once as each thing that may be told of it


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    with patch.object(gauntlets, "CHUNK_GAMES", CHUNK_GAMES):
        yield


@dataclass
class Helper:
    """What becomes of one chunk: somebody claims it at a time and has it at another one, or nobody ever does."""

    row: int
    number: int  # of the chunk
    at: float
    took_s: float
    ends: str  # played, lost, or one of the lies


LIES = ("no part", "blocks turned", "another winner", "another seed")
HELPERS = st.lists(
    st.builds(
        Helper,
        row=st.integers(0, ROWS - 1),
        number=st.integers(0, CHUNKS - 1),
        at=st.floats(0, 300),
        took_s=st.floats(0, 200),
        ends=st.sampled_from(("played",) * 4 + ("lost", *LIES)),
    ),
    max_size=20,
    unique_by=lambda it: (it.row, it.number),
)


@dataclass
class Run:
    """One gauntlet in virtual time; each chunk is really played once, for all runs."""

    known: Known
    helpers: Sequence[Helper] = ()
    durations: Sequence[float] = (10.0,)  # of the chunks played here, in turn
    now: float = 0.0
    played: list[tuple[str, int]] = field(default_factory=list)
    waited_s: float = 0.0
    taken: int = 0
    folder: Path = Path()
    chunks: Mapping[int, Sequence[Chunk]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refused: list[str] = []
        self.files = OfferedParts(Path("none"), lambda name, _: self.refused.append(name))
        self.written: dict[Path, tuple[Helper, Chunk]] = {}

    def result(self) -> tuple[GauntletResult, list[StoredMatch]]:
        with TemporaryDirectory() as folder, patch.object(Series, "play", self.playing()):
            self.folder = Path(folder)
            helpers = Helpers(self, lambda _: None, self.took, lambda: self.now, self.sleep)
            gauntlet = GameGauntlet(KEY, SETTINGS, self.folder / "results", helpers=helpers)
            opponents = opponents_of(KEY, weak("1"))
            self.chunks = {row: gauntlet.chunks(it.role) for row, it in enumerate(opponents)}
            result = gauntlet.run(strong(), opponents, NOW)
            return result, sorted(matches_in(self.folder / "results"), key=lambda it: it.model_dump_json())

    def playing(self):
        real = Series.play

        def play(series: Series, first: int, last: int) -> list[MatchGame]:
            self.now += self.durations[len(self.played) % len(self.durations)]
            self.played.append((series.name, first))
            return self.games_of(series, first, last, real)

        return play

    def games_of(self, series: Series, first: int, last: int, real=Series.play) -> list[MatchGame]:
        chunk = (series.name, first, last)
        if chunk not in self.known:
            self.known[chunk] = real(series, first, last)
        return self.known[chunk]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited_s += seconds

    def took(self) -> None:
        self.taken += 1

    def look(self, row: int) -> Mapping[Chunk, Path | None]:
        found: dict[Chunk, Path | None] = {}
        for helper in self.helpers:
            if helper.row == row and helper.number < len(self.chunks[row]) and helper.at <= self.now:
                chunk = self.chunks[row][helper.number]
                path = self.folder / f"{helper.row}-{helper.number}"
                if self.now < helper.at + helper.took_s:
                    found[chunk] = None
                elif helper.ends != "lost" and path.name not in self.refused:
                    found[chunk] = path
                    self.written[path] = helper, chunk
        return found

    def games(self, path: Path, series: Series, chunk: Chunk) -> Sequence[MatchGame]:
        helper, claimed = self.written[path]
        assert chunk == claimed
        key = (series.name, *chunk, helper.ends)
        if key not in CHECKED:
            match = series.match(self.games_of(series, *chunk), seed=SETTINGS.seed, purpose=PURPOSE, now=NOW)
            file = write_match(self.folder / "parts", told(match, helper.ends))
            CHECKED[key] = list(self.files.games(file, series, chunk))
        if not CHECKED[key]:
            self.refused.append(path.name)
        assert bool(CHECKED[key]) is (helper.ends == "played")
        return CHECKED[key]


def told(match: StoredMatch, ends: str) -> StoredMatch:
    """What a helper says that it has played."""
    form = match.model_dump()
    match ends:
        case "no part":
            form["purpose"] = "gauntlet"
        case "blocks turned":
            form["games"] = form["games"][2:] + form["games"][:2] if len(form["games"]) > 2 else form["games"] * 2
        case "another winner":
            first = form["games"][0]
            form["games"] = (
                {**first, "winner": 1 - first["winner"], "ranks": first["ranks"][::-1]}, *form["games"][1:],
            )  # fmt: skip
        case "another seed":
            form["seed"] += 1
    return StoredMatch.model_validate(form)


@cache
def alone() -> tuple[GauntletResult, list[StoredMatch]]:
    return Run(KNOWN).result()


@settings(max_examples=40 * SCALE, deadline=None)
@given(HELPERS, st.lists(st.floats(0.1, SLOWEST_S), min_size=1, max_size=5))
def test_whoever_plays_the_chunks_the_result_and_every_game_are_the_same(helpers, durations):
    helped = Run(KNOWN, helpers, durations)
    assert helped.result() == alone()
    assert len(set(helped.played)) == len(helped.played), "no chunk is played here twice"
    assert helped.waited_s <= len(helpers) * PATIENCE * (SLOWEST_S * CHUNK_GAMES + UNMEASURED_S)


def test_help_that_comes_in_time_is_taken():
    helpers = [Helper(row, number, 0.0, 15.0, "played") for row in range(ROWS) for number in (1, 3)]
    helped = Run(KNOWN, helpers)
    helped.result()
    assert helped.taken >= 3
    assert not {(f"row {it.row}", 1) for it in helpers} & set(helped.played)
