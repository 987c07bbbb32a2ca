"""A match: players against each other in every seat, all games in lockstep.

Games come in blocks of one per seat rotation; those of a block begin with the same few random decisions, so no player
profits from the luck of an opening or of a seat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.players.player import Player

OPENING_DECISIONS = 4  # random decisions before the players take over: two turns, as a placement and a move make one
WILSON_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class MatchGame:
    """One game of a match; the decisions, forced ones included, replay it from the start of its configuration."""

    opening_seed: int
    rotation: int  # agent i + 1 is player (i + rotation) % players
    winner: int  # player
    ranks: tuple[int, ...]  # competition rank of each player
    reason: str
    plies: int
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

    def share(self, player: int) -> tuple[float, float, float]:
        """Share of first places of a player, and the bounds of its Wilson interval."""
        won = self.wins[player]
        return won / len(self.games), *wilson(won, len(self.games))


def wilson(won: int, games: int) -> tuple[float, float]:
    """Wilson score interval at 95 % for a share of `games` > 0."""
    share = won / games
    square = WILSON_Z * WILSON_Z
    middle = (share + square / (2 * games)) / (1 + square / games)
    half = WILSON_Z * sqrt(share * (1 - share) / games + square / (4 * games * games)) / (1 + square / games)
    return max(0.0, middle - half), min(1.0, middle + half)


def play_match(
    key: str, players: Sequence[Player], games: int, seed: int, opening_decisions: int = OPENING_DECISIONS
) -> MatchResult:
    """Play `games` games, rounded up to whole blocks of one per rotation; one player per agent.

    `seed` makes the openings; the players bring their own generators.
    """
    table = Table(key, players, games, seed)
    table.open(opening_decisions)
    while table.step():
        pass
    return table.result()


class Table:
    """The games of a match while they are played."""

    def __init__(self, key: str, players: Sequence[Player], games: int, seed: int) -> None:
        agents = len(players)
        if games < 1:
            raise RulesError("a match has at least one game")
        blocks = -(-games // agents)
        self._key = key
        self._players = players
        self._batch = GameBatch.start(key, blocks * agents)
        if self._batch.variant.players != agents:
            raise RulesError(f"{key} needs {self._batch.variant.players} players, not {agents}")
        self._seeds = np.random.default_rng(seed).integers(1, 1 << 31, blocks)
        self._rotations = np.tile(np.arange(agents), blocks)
        self._decisions: list[list[int]] = [[] for _ in range(blocks * agents)]

    def open(self, decisions: int) -> None:
        """Play the same random decisions in all games of a block."""
        lots = np.array([np.random.default_rng(seed).random(decisions) for seed in self._seeds])
        lots = np.repeat(lots, len(self._players), axis=0)
        for i in range(decisions):
            active = self._advance()
            legal = self._batch.legal(active)
            picks = (lots[active, i] * np.diff(legal.offsets)).astype(np.int64)
            self._apply(active, legal.ids[legal.offsets[:-1] + picks].astype(np.int64))

    def step(self) -> bool:
        """One decision in every game that is not over; False when all are."""
        active = self._advance()
        if not len(active):
            return False
        mover = self._batch.mover[active].astype(np.int64)
        agents = self._batch.agent_of_seat[active, mover - 1].astype(np.int64)
        players = (agents - 1 + self._rotations[active]) % len(self._players)
        for player in np.unique(players):
            rows = active[players == player]
            self._apply(rows, self._players[player].choose(self._batch, rows))
        return True

    def result(self) -> MatchResult:
        """The records, once every game is over."""
        names = tuple(player.name for player in self._players)
        return MatchResult(self._key, names, tuple(self._game(row) for row in range(len(self._batch))))

    def _game(self, row: int) -> MatchGame:
        batch, agents = self._batch, len(self._players)
        rotation = int(self._rotations[row])
        seated = [(int(agent) - 1 + rotation) % agents for agent in batch.agent_of_seat[row]]
        by_seat = batch.ranks([row])[0]
        return MatchGame(
            opening_seed=int(self._seeds[row // agents]),
            rotation=rotation,
            winner=seated[int(batch.winner[row]) - 1],
            ranks=tuple(int(by_seat[seated.index(player)]) for player in range(agents)),
            reason=batch.reasons()[row],
            plies=int(batch.plies[row]),
            decisions=tuple(self._decisions[row]),
        )

    def _advance(self) -> IntArray:
        """Play what is forced; return the games that go on."""
        active = np.flatnonzero(~self._batch.over)
        forced = self._batch.advance(active)
        for i, row in enumerate(active):
            self._decisions[row] += forced[i].tolist()
        return active[~self._batch.over[active]]

    def _apply(self, rows: IntArray, chosen: IntArray) -> None:
        self._batch.apply(chosen, rows)
        for row, decision in zip(rows, chosen, strict=True):
            self._decisions[row].append(int(decision))
