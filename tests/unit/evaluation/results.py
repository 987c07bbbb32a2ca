"""Stored matches for tests, and gauntlets of players that need no net."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import numpy as np

from ringrift_core.evaluation.match import play_match, stored
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.stored_match import MatchAgent, StoredMatch
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.player import HeuristicPlayer, Player, RandomPlayer
from ringrift_core.players.roster import Agent, agent_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@cache
def stored_match(key: str = "hex8_2p", blocks: int = 3) -> StoredMatch:
    """Greedy against random players, from the book."""
    config_key = ConfigKey.parse(key)
    agents = [agent_of("greedy", config_key), *[agent_of("random", config_key)] * (config_key.players - 1)]
    players = [agent.player(np.random.default_rng(i)) for i, agent in enumerate(agents)]
    book = Book.of(key)
    result = play_match(key, players, book.draw(blocks, 5))
    identities = [agent.identity for agent in agents]
    return stored(result, identities, book=book, seed=5, purpose="match", now=NOW)


def strong(digit: str = "a", epsilon: float = 0.0, name: str = "strong") -> Agent:
    """The heuristic under another name, a share of its decisions random."""
    identity = MatchAgent(name=name, sha256=digit * 64, sims=None)
    return Agent(identity, lambda rng: HeuristicPlayer(rng, epsilon))


def weak(digit: str = "c", name: str = "weak") -> Agent:
    """The random player under another name."""
    return Agent(MatchAgent(name=name, sha256=digit * 64, sims=None), RandomPlayer)


class Cheat(RandomPlayer):
    """Chooses what does not exist."""

    name = "cheat"

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        return np.full(len(rows), batch.board.actions.size)


def agent(player: Callable[[np.random.Generator], Player]) -> Agent:
    """Somebody new."""
    return Agent(MatchAgent(name="new", sha256="e" * 64, sims=None), player)
