"""Tournaments: everybody against everybody from the same openings, each pairing a stored match.

With two players every pair meets; with more each agent also plays against copies of each other one, both ways round.
What is stored stays: a tournament plays only the openings that its folder has not got from the same seed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.match import play_match, stored
from ringrift_core.evaluation.openings import Book, Opening, openings_for
from ringrift_core.evaluation.stored_match import StoredMatch, matches_in, write_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import Agent
from ringrift_core.storage import prepare_folder

PURPOSE = "tournament"
Played = dict[tuple[str, ...], set[int]]  # numbers of the openings, by ids of the agents by player


@dataclass(frozen=True, slots=True)
class Tournament:
    """Who plays how much; the same seed gives the same openings."""

    key: ConfigKey
    agents: Sequence[Agent]
    games: int  # per pairing, rounded up to whole blocks
    seed: int

    def __post_init__(self) -> None:
        if self.games < 1:
            raise RulesError("a tournament has at least one game per pairing")
        ids = [agent.identity.id for agent in self.agents]
        if len(set(ids)) < len(ids):
            raise RulesError("the same agent takes part twice")
        if len(ids) < 2:
            raise RulesError(f"a tournament needs two different agents or more, not {len(ids)}")

    @property
    def pairings(self) -> list[tuple[Agent, ...]]:
        """Who meets, by player: in the order of ids, so that the order of the entrants does not matter."""
        agents = sorted(self.agents, key=lambda agent: agent.identity.id)
        if self.key.players == 2:
            return list(combinations(agents, 2))
        return [(one, *[other] * (self.key.players - 1)) for one, other in permutations(agents, 2)]


def play_tournament(
    tournament: Tournament, folder: Path, now: Callable[[], datetime], report: Callable[[str], None]
) -> int:
    """Play what is missing in the folder and store it there; returns the number of games played."""
    openings, book = openings_for(tournament.key, tournament.games, tournament.seed)
    prepare_folder(folder)
    have = _played(tournament, folder, book)
    games = 0
    for number, pairing in enumerate(tournament.pairings, start=1):
        done = have.get(tuple(agent.identity.id for agent in pairing), set())
        missing = [opening for opening in openings if opening.number not in done]
        names = " against ".join(agent.identity.name for agent in pairing[:2])
        if missing:
            match = _play(tournament, pairing, missing, book, now)
            write_match(folder, match)
            games += len(match.games)
        report(f"{number}/{len(tournament.pairings)} {names}: {len(missing) * len(pairing)} games played")
    return games


def _played(tournament: Tournament, folder: Path, book: Book | None) -> Played:
    """The openings that the folder has, of this tournament's seed and book."""
    found: Played = {}
    for match in matches_in(folder):
        own = (match.config_key, match.purpose, match.seed) == (str(tournament.key), PURPOSE, tournament.seed)
        if own and match.book == (book.record if book else None):
            numbers = found.setdefault(tuple(agent.id for agent in match.agents), set())
            numbers.update(game.opening for game in match.games)
    return found


def _play(
    tournament: Tournament,
    pairing: tuple[Agent, ...],
    openings: Sequence[Opening],
    book: Book | None,
    now: Callable[[], datetime],
) -> StoredMatch:
    rivals = {agent.identity.id: agent for agent in pairing}
    players = {name: agent.player(_luck(tournament.seed, name, openings)) for name, agent in rivals.items()}
    result = play_match(tournament.key, [players[agent.identity.id] for agent in pairing], openings)
    identities = [agent.identity for agent in pairing]
    return stored(result, identities, book=book, seed=tournament.seed, purpose=PURPOSE, now=now())


def _luck(seed: int, name: str, openings: Sequence[Opening]) -> np.random.Generator:
    """The generator of a player: its own in each match, the same whenever the match is played anew."""
    words = f"{seed} {name} {openings[0].number}".encode()
    return np.random.default_rng(list(hashlib.sha256(words).digest()))
