"""A match: players against each other in every seat, all games in lockstep.

Games come in blocks of one per seat rotation; those of a block begin with the same opening, so no player profits from
the luck of an opening or of a seat.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.openings import Book, Opening, play_openings
from ringrift_core.evaluation.stored_match import MatchAgent, StoredGame, StoredMatch, block_counts
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.player import Player

GAMES_AT_ONCE = 2048  # bounds the memory of a match: some 60 KB a game on the large boards


@dataclass(frozen=True, slots=True)
class Ending:
    """How a game of a match ended."""

    winner: int  # player
    ranks: tuple[int, ...]  # competition rank of each player
    reason: str
    plies: int


@dataclass(frozen=True, slots=True)
class MatchGame(Ending):
    """One game of a match; the decisions, forced ones included, replay it from the start of its configuration."""

    opening: int  # number of the opening
    rotation: int  # agent i + 1 is player (i + rotation) % players
    decisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The games of a match and who won them."""

    key: str
    names: tuple[str, ...]  # by player
    games: tuple[MatchGame, ...]

    @property
    def wins(self) -> tuple[int, ...]:
        """First places of each player."""
        return tuple(sum(game.winner == player for game in self.games) for player in range(len(self.names)))

    @property
    def mean_ranks(self) -> tuple[float, ...]:
        """Mean rank of each player."""
        return tuple(
            sum(game.ranks[player] for game in self.games) / len(self.games) for player in range(len(self.names))
        )

    def blocks(self, player: int = 0) -> list[int]:
        """In how many blocks the player won 0, 1, .. P of the P games, [P + 1]."""
        return block_counts([game.winner for game in self.games], len(self.names), player)

    def share(self, player: int) -> tuple[float, float, float]:
        """Share of first places of a player, and its bounds at 95 %, over blocks."""
        return self.wins[player] / len(self.games), *block_interval(self.blocks(player))


def play_match(
    key: str | ConfigKey,
    players: Sequence[Player],
    openings: Sequence[Opening],
    beat: Callable[[], None] = lambda: None,
) -> MatchResult:
    """Play one block of games from each opening; one player per agent, who bring their own generators.

    A player may be named more than once and then decides for all its seats at a time. `beat` is called after each
    decision of all games side by side; what it raises ends the match. RulesError when a player chooses what is not
    legal, or when anything does not fit.
    """
    seats = ConfigKey.parse(str(key)).players
    if len(players) != seats:
        raise RulesError(f"{key} needs {seats} players, not {len(players)}")
    if not openings:
        raise RulesError("a match has at least one game")
    games: list[MatchGame] = []
    for first in range(0, len(openings), GAMES_AT_ONCE // seats):
        table = Table(str(key), players, openings[first : first + GAMES_AT_ONCE // seats])
        while table.step():
            beat()
        games += table.games()
    return MatchResult(str(key), tuple(player.name for player in players), tuple(games))


def stored(
    result: MatchResult, agents: Sequence[MatchAgent], *, book: Book | None, seed: int, purpose: str, now: datetime
) -> StoredMatch:
    """A match as it is kept; `agents` by player."""
    return StoredMatch(
        config_key=result.key,
        agents=tuple(agents),
        book=book.record if book else None,
        seed=seed,
        purpose=purpose,
        created_at=now,
        games=tuple(StoredGame(**asdict(game)) for game in result.games),
    )


class Table:
    """Games while they are played: a block of one per rotation from each opening."""

    def __init__(self, key: str, players: Sequence[Player], openings: Sequence[Opening]) -> None:
        seats = len(players)
        self._players = players
        self._deciders = [players.index(player) for player in players]  # the same player decides once for all its seats
        self._openings = [opening for opening in openings for _ in players]
        self._rotations = np.tile(np.arange(seats), len(openings))
        self._batch = GameBatch.start(key, len(self._openings))
        self._decisions = play_openings(self._batch, self._openings)

    def step(self) -> bool:
        """One decision in every game that is not over; False when all are."""
        active = self._advance()
        if not len(active):
            return False
        mover = self._batch.mover[active].astype(np.int64)
        agents = self._batch.agent_of_seat[active, mover - 1].astype(np.int64)
        players = (agents - 1 + self._rotations[active]) % len(self._players)
        deciders = np.array(self._deciders)[players]
        for decider in np.unique(deciders):
            rows = active[deciders == decider]
            self._apply(self._players[decider], rows)
        return True

    def games(self) -> list[MatchGame]:
        """The records, once every game is over."""
        endings = endings_of(self._batch, self._rotations.tolist())
        return [
            MatchGame(**asdict(ending), opening=opening.number, rotation=int(rotation), decisions=tuple(decisions))
            for opening, rotation, ending, decisions in zip(
                self._openings, self._rotations, endings, self._decisions, strict=True
            )
        ]

    def _advance(self) -> IntArray:
        """Play what is forced; return the games that go on."""
        active = np.flatnonzero(~self._batch.over)
        forced = self._batch.advance(active)
        for i, row in enumerate(active):
            self._decisions[row] += forced[i].tolist()
        return active[~self._batch.over[active]]

    def _apply(self, player: Player, rows: IntArray) -> None:
        chosen = player.choose(self._batch, rows)
        try:
            self._batch.apply(chosen, rows)
        except RulesError as error:
            raise RulesError(f"{player.name} chose what cannot be played: {error}") from error
        for row, decision in zip(rows, chosen, strict=True):
            self._decisions[row].append(int(decision))


def endings_of(batch: GameBatch, rotations: Sequence[int]) -> list[Ending]:
    """How finished games ended, agents named as players by the rotation of each game."""
    seat_ranks, winners, reasons = batch.ranks(), batch.winner, batch.reasons()
    agents, plies, players = batch.agent_of_seat, batch.plies, batch.variant.players
    endings = []
    for row, rotation in enumerate(rotations):
        seated = [(int(agent) - 1 + rotation) % players for agent in agents[row]]
        endings.append(
            Ending(
                winner=seated[int(winners[row]) - 1],
                ranks=tuple(int(seat_ranks[row, seated.index(player)]) for player in range(players)),
                reason=reasons[row],
                plies=int(plies[row]),
            )
        )
    return endings
