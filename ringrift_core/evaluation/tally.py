"""Stored matches, counted: how often agents that began in these seats ended in this order.

Ratings, leaderboards and curves are made from tallies. A tally is of one configuration, an agent is its id (digest and
simulations; names are labels), and a game that several files hold counts once. So does a block of games.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.stored_match import MatchAgent, StoredGame, StoredMatch
from ringrift_core.game.config_key import ConfigKey

GAME_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Finish:
    """Who began where and who came in where; `of` makes one from competition ranks."""

    agents: tuple[
        str, ...
    ]  # id of agent 1, 2, ..; agent 1 has the first seat at the start, a swap of seats moves nobody
    places: tuple[int, ...]  # 1 for the winner alone, then 2, 3, ..; those with equal places are tied

    @staticmethod
    def of(agents: tuple[str, ...], ranks: tuple[int, ...], winner: int) -> "Finish":
        """The finish with these ranks by agent; agent number `winner` (from 0) is first whatever else has rank 1."""
        others = sorted({rank for agent, rank in enumerate(ranks) if agent != winner})
        return Finish(
            agents, tuple(1 if agent == winner else others.index(rank) + 2 for agent, rank in enumerate(ranks))
        )

    @property
    def winner(self) -> str:
        """Id of the agent that won."""
        return self.agents[self.places.index(1)]


@dataclass(frozen=True, slots=True)
class Block:
    """Who met over one opening, and who won its games, one per rotation of the seats."""

    agents: tuple[str, ...]  # ids, ascending
    winners: tuple[str, ...]  # ids, ascending


@dataclass(frozen=True, slots=True)
class Tally:
    """All games of one configuration."""

    key: ConfigKey
    finishes: Mapping[Finish, int]  # how many games
    agents: Mapping[str, MatchAgent]  # by id: the latest label, and what any match knows of it
    matches: int
    blocks: Mapping[Block, int] = field(default_factory=dict)  # how many openings

    @property
    def games(self) -> int:
        """How many games."""
        return sum(self.finishes.values())

    def played(self) -> Counter[str]:
        """Games of each agent; one that took several seats of a game played one game."""
        return _sum((agent, count) for finish, count in self.finishes.items() for agent in set(finish.agents))

    def won(self) -> Counter[str]:
        """First places of each agent, whichever of its seats won."""
        return _sum((finish.winner, count) for finish, count in self.finishes.items())

    def block_counts(self, agent: str, rival: str) -> tuple[int, ...]:
        """In how many blocks an agent won 0, 1, .. P games against copies of a rival alone, [P + 1]."""
        table = tuple(sorted([agent, *[rival] * (self.key.players - 1)]))
        counts = [0] * (self.key.players + 1)
        for block, openings in self.blocks.items():
            if block.agents == table:
                counts[block.winners.count(agent)] += openings
        return tuple(counts)


def tallies(matches: Iterable[StoredMatch]) -> dict[str, Tally]:
    """The tally of each configuration, by config key."""
    counts: dict[str, _Count] = {}
    for match in matches:
        counts.setdefault(match.config_key, _Count()).add(match)
    return {key: counts[key].tally(ConfigKey.parse(key)) for key in sorted(counts)}


def tally_of(matches: Iterable[StoredMatch], key: ConfigKey) -> Tally:
    """The tally of one configuration; RulesError when no match is of it."""
    found = tallies(matches).get(str(key))
    if found is None:
        raise RulesError(f"there are no stored games of {key} to count")
    return found


@dataclass(slots=True)
class _Count:
    finishes: Counter[Finish] = field(default_factory=Counter)
    labels: dict[str, tuple[datetime, MatchAgent]] = field(default_factory=dict)
    seen: set[bytes] = field(default_factory=set)
    seen_blocks: set[tuple[bytes, ...]] = field(default_factory=set)
    blocks: Counter[Block] = field(default_factory=Counter)
    matches: int = 0

    def add(self, match: StoredMatch) -> None:
        self.matches += 1
        made = match.created_at if match.created_at.tzinfo else match.created_at.replace(tzinfo=UTC)
        for agent in match.agents:
            self._label(made, agent)
        for first in range(0, len(match.games), match.players):
            self._add_block(match, match.games[first : first + match.players])

    def _add_block(self, match: StoredMatch, games: Sequence[StoredGame]) -> None:
        finishes = [_finish(match, game) for game in games]
        digests = [_digest(finish.agents, game) for finish, game in zip(finishes, games, strict=True)]
        for finish, digest in zip(finishes, digests, strict=True):
            if digest not in self.seen:
                self.seen.add(digest)
                self.finishes[finish] += 1
        name = tuple(sorted(digests))
        if name not in self.seen_blocks:
            self.seen_blocks.add(name)
            winners = sorted(finish.winner for finish in finishes)
            self.blocks[Block(tuple(sorted(finishes[0].agents)), tuple(winners))] += 1

    def tally(self, key: ConfigKey) -> Tally:
        agents = {name: self.labels[name][1] for name in sorted(self.labels)}
        return Tally(key, dict(self.finishes), agents, self.matches, dict(self.blocks))

    def _label(self, made: datetime, agent: MatchAgent) -> None:
        """The latest label stays; version and evaluations also from an older one where the latest lacks them."""
        known = self.labels.get(agent.id)
        if known is None:
            self.labels[agent.id] = made, agent
            return
        new, old = sorted([(made, agent), known], key=lambda label: (label[0], label[1].model_dump_json()))[::-1]
        missing = {name: getattr(old[1], name) for name in ("version", "evaluations") if getattr(new[1], name) is None}
        self.labels[agent.id] = new[0], new[1].model_copy(update=missing)


def _finish(match: StoredMatch, game: StoredGame) -> Finish:
    players = [(number + game.rotation) % match.players for number in range(match.players)]
    return Finish.of(
        tuple(match.agents[player].id for player in players),
        tuple(game.ranks[player] for player in players),
        players.index(game.winner),
    )


def _digest(agents: tuple[str, ...], game: StoredGame) -> bytes:
    """What tells a game from all others: the same decisions by the same agents are the same game stored twice."""
    decisions = array("H", game.decisions).tobytes()
    return hashlib.blake2b(" ".join(agents).encode() + b"\n" + decisions, digest_size=GAME_DIGEST_BYTES).digest()


def _sum(counts: Iterator[tuple[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, count in counts:
        total[name] += count
    return total
