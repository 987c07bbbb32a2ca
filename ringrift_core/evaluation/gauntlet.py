"""GameGauntlet: a candidate against one opponent after the other, cheap ones first, until one stops it.

Each row is a match of blocks from the opening book, played a chunk at a time; after each chunk the sequential test of
the row is looked at. The numbers are in thresholds.py, the test in sprt.py, the why in docs/design/evaluation.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.gauntlet_result import (
    GauntletResult,
    GauntletRow,
    SearchForm,
    verdict_of,
    write_gauntlet,
)
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.match import MatchGame, MatchResult
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.parts import Chunk
from ringrift_core.evaluation.row_player import ALONE, Helpers, Pace, RowPlayer
from ringrift_core.evaluation.series import UNWATCHED, Series, Watch
from ringrift_core.evaluation.sprt import Outcome, Sprt
from ringrift_core.evaluation.stored_match import MatchAgent, write_match
from ringrift_core.evaluation.thresholds import (
    BETA,
    DOCUMENTED,
    GAMES_MIN,
    GateRow,
    Role,
    Thresholds,
    alpha_of,
    gate_rows,
)
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import Agent, agent_of
from ringrift_core.search.gumbel import SearchSettings
from ringrift_core.storage import prepare_folder

PURPOSE = "gauntlet"  # of the matches
CHUNK_GAMES = 64  # played side by side: whole batches for a net, and little played after the test has its answer


@dataclass(frozen=True, slots=True)
class Opponent:
    """Somebody to meet, and the row of the gate it stands for."""

    role: Role
    agent: Agent


@dataclass(frozen=True, slots=True)
class GauntletSettings:
    """What a candidate must show, and how many games it may take."""

    seed: int = 1
    games: int | None = None  # least per opponent before a decision; None: GAMES_MIN, or `games_max` where that is less
    games_max: int | None = None  # most per opponent; None: that of the gate, or `games` where that is more
    candidate_number: int = 1  # since the champion was promoted
    thresholds: Thresholds = DOCUMENTED

    def __post_init__(self) -> None:
        """RulesError when a number makes no sense."""
        if self.games is not None and self.games < 1:
            raise RulesError("a gauntlet plays at least one game against each opponent")
        if self.games_max is not None and self.games_max < (self.games or 1):
            raise RulesError(f"at most {self.games_max} games and at least {self.games or 1} do not fit together")
        if not 0 <= self.seed < 1 << 63:
            raise RulesError("a seed lies in 0..2^63-1")

    @property
    def games_min(self) -> int:
        """Least games against an opponent before a decision."""
        if self.games is not None:
            return self.games
        return GAMES_MIN if self.games_max is None else min(GAMES_MIN, self.games_max)

    def blocks(self, row: GateRow, players: int) -> tuple[int, int]:
        """Least and most blocks of a row; RulesError when no whole number of blocks is what was asked for."""
        least, most = -(-self.games_min // players), (self.games_max or row.cap) // players
        if self.games_max is None:
            most = max(least, most)
        elif self.games is None:
            least = min(least, most)
        if not 0 < least <= most:
            raise RulesError(
                f"games come in blocks of {players}, one per rotation of the seats: no number of blocks has "
                f"{self.games or 1} to {self.games_max} games"
            )
        return least, most


@dataclass(frozen=True, slots=True)
class Standing:
    """A row under way."""

    opponent: Role
    name: str
    games: int
    cap: int
    wins: int
    llr: float
    bounds: tuple[float, float]


def opponents_of(key: ConfigKey, champion: Agent | None = None, anchors: Sequence[Agent] = ()) -> list[Opponent]:
    """Everybody whom a candidate meets; nobody twice."""
    found = [Opponent(role, agent_of(role, key)) for role in (Role.RANDOM, Role.HEURISTIC)]
    found += [Opponent(Role.CHAMPION, champion)] if champion else []
    for anchor in anchors:
        if all(anchor.identity.id != known.agent.identity.id for known in found):
            found.append(Opponent(Role.ANCHOR, anchor))
    return found


class GameGauntlet:
    """Gauntlets of one configuration; every match and every result is kept in one folder."""

    def __init__(
        self,
        key: ConfigKey,
        settings: GauntletSettings,
        folder: Path,
        watch: Watch = UNWATCHED,
        helpers: Helpers = ALONE,
    ) -> None:
        """RulesError when the book has too few openings for the games wished for."""
        self._key = key
        self._settings = settings
        self._folder = folder
        self._watch = watch
        self._helpers = helpers
        self._pace = Pace()
        self._book = Book.of(key)
        self._alpha = alpha_of(settings.candidate_number)
        self._rules = gate_rows(key.players, settings.thresholds)
        self._book.draw(max(settings.blocks(rule, key.players)[1] for rule in self._rules.values()), settings.seed)

    def run(
        self,
        candidate: Agent,
        opponents: Sequence[Opponent],
        now: datetime,
        progress: Callable[[Standing], None] = lambda _: None,
    ) -> GauntletResult:
        """Meet the opponents, cheap ones first, until one is not beaten; `now` is the time that the records bear."""
        refuse_own(candidate, opponents)
        prepare_folder(self._folder)
        rows: list[GauntletRow] = []
        for number, opponent in enumerate(in_order(opponents)):
            rows.append(self._row(number, candidate, opponent, now, progress))
            if not rows[-1].passes:
                break
        search = asdict(SearchSettings())
        return GauntletResult(
            config_key=str(self._key),
            candidate=candidate.identity,
            candidate_number=self._settings.candidate_number,
            search=SearchForm(**{name: search[name] for name in ("considered", "visit_weight", "value_weight")}),
            book=self._book.record,
            seed=self._settings.seed,
            games_min=self._settings.games_min,
            rows=tuple(rows),
            verdict=verdict_of(tuple(rows)),
            reason=reason_of(rows),
            created_at=now,
        )

    def keep(self, result: GauntletResult) -> Path:
        """Write a result beside its matches; returns where it is."""
        return write_gauntlet(self._folder, result)

    def _row(
        self, number: int, candidate: Agent, opponent: Opponent, now: datetime, progress: Callable[[Standing], None]
    ) -> GauntletRow:
        """Play one row and keep its match."""
        rule = self._rules[opponent.role]
        test = Sprt(rule.h0, rule.h1, self._alpha, BETA)
        series = self.series(number, candidate, opponent)
        games: list[MatchGame] = []
        result = series.result(games)
        for played in RowPlayer(number, series, self.chunks(opponent.role), self._helpers, self._pace):
            games += played
            result = series.result(games)
            progress(self._standing(opponent, test, result))
            if len(games) >= self._settings.games_min and test.outcome(result.blocks()) is not Outcome.UNDECIDED:
                break
        match = series.match(games, seed=self._settings.seed, purpose=PURPOSE, now=now)
        kept = write_match(self._folder, match)
        return row_of(rule, opponent.agent.identity, test, result.blocks(), kept.stem)

    def series(self, number: int, candidate: Agent, opponent: Opponent) -> Series:
        """The games of row `number` as far as they may go."""
        _, most = self._settings.blocks(self._rules[opponent.role], self._key.players)
        seed = [self._settings.seed, number]  # a row has its own openings and generators
        openings = self._book.draw(most, seed)
        return Series(f"row {number}", candidate, opponent.agent, self._book, openings, seed, self._watch)

    def chunks(self, role: Role) -> tuple[Chunk, ...]:
        """The chunks of a row: to the least number of blocks, then on to the most."""
        least, most = self._settings.blocks(self._rules[role], self._key.players)
        size = max(1, CHUNK_GAMES // self._key.players)
        found: list[Chunk] = []
        first = 0
        while first < most:
            last = min(first + size, least if first < least else most)
            found.append((first, last))
            first = last
        return tuple(found)

    def _standing(self, opponent: Opponent, test: Sprt, result: MatchResult) -> Standing:
        _, most = self._settings.blocks(self._rules[opponent.role], self._key.players)
        return Standing(
            opponent=opponent.role,
            name=opponent.agent.identity.name,
            games=len(result.games),
            cap=most * self._key.players,
            wins=result.wins[0],
            llr=test.llr(result.blocks()),
            bounds=test.bounds,
        )


def in_order(opponents: Sequence[Opponent]) -> list[Opponent]:
    """The opponents as rows: cheap ones first."""
    return sorted(opponents, key=lambda one: tuple(Role).index(one.role))


def refuse_own(candidate: Agent, opponents: Sequence[Opponent]) -> None:
    """RulesError when nobody is to be met, or a champion or anchor is the candidate itself."""
    if not opponents:
        raise RulesError("a gauntlet needs at least one opponent")
    for opponent in opponents:
        same = opponent.agent.identity.id == candidate.identity.id
        if same and opponent.role in {Role.CHAMPION, Role.ANCHOR}:
            raise RulesError(f"the candidate is its own {opponent.role}: {candidate.identity.name}")


def row_of(rule: GateRow, agent: MatchAgent, test: Sprt, blocks: Sequence[int], match: str) -> GauntletRow:
    """The row of a match that is over; blocks[k]: openings of which the candidate won k of P games, [P + 1]."""
    games, wins = sum(blocks) * (len(blocks) - 1), sum(won * count for won, count in enumerate(blocks))
    low, high = block_interval(blocks)
    return GauntletRow(
        opponent=rule.opponent,
        agent=agent,
        games=games,
        wins=wins,
        losses=games - wins,
        blocks=tuple(blocks),
        share=wins / games,
        low=low,
        high=high,
        h0=test.h0,
        h1=test.h1,
        alpha=test.alpha,
        beta=test.beta,
        llr=test.llr(blocks),
        outcome=test.outcome(blocks),
        needs=rule.needs,
        match=match,
    )


def reason_of(rows: Sequence[GauntletRow]) -> str:
    """The verdict in words."""
    row = rows[-1]
    if row.passes:
        return f"passed against {', '.join(each.opponent for each in rows)}"
    score = f"won {row.wins} of {row.games} games against {row.opponent} ({row.share:.1%})"
    if row.outcome is Outcome.FAILED:
        return f"{score}: a share of {row.h1:.1%} or more is disproved"
    return f"{score}: a share above {row.h0:.1%} is not proven at the cap"
