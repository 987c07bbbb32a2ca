"""Ratings: Elo of all agents of a configuration from all of its games at once (docs/design/evaluation.md).

One regularised Bradley-Terry or Plackett-Luce fit with a term per seat; the order of the games does not matter.
heuristic-v1 has 1200 Elo by definition. An interval of one agent is relative to that anchor; whether two agents differ
is a question to `Ratings.difference`, as their errors are correlated.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise, permutations
from math import sqrt

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import Z
from ringrift_core.evaluation.odds import ELO_PER_UNIT
from ringrift_core.evaluation.plackett_luce import FloatArray, IndexArray, Orders, Strengths, fit
from ringrift_core.evaluation.record import STEM_DIGITS
from ringrift_core.evaluation.tally import Tally
from ringrift_core.players.names import HEURISTIC_V1_DIGEST

ANCHOR = f"{HEURISTIC_V1_DIGEST[:STEM_DIGITS]}:-"  # heuristic-v1 without a search
ANCHOR_ELO = 1200.0
VIRTUAL_DRAWS = 2.0  # of each agent against the mean of all
PRECISION_OF_A_DRAW = 0.25  # curvature of one game between equals


class Link(StrEnum):
    """How an agent hangs together with the anchor, or without one with the agent of most games."""

    MEASURED = "measured"  # a chain of wins leads there and one leads back
    ONE_SIDED = "one-sided"  # games lead there, but wins only one way: how far away it is, is the prior's word
    UNCONNECTED = "unconnected"  # no games lead there: the rating is a guess


@dataclass(frozen=True, slots=True)
class Rating:
    """What is known of one agent."""

    agent: str
    elo: float
    se: float  # standard error, Elo, of the difference to the anchor or to the mean of the pool
    games: int
    wins: int  # first places
    link: Link

    @property
    def margin(self) -> float:
        """Half the 95 % interval, Elo."""
        return Z * self.se


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """The ratings of one configuration."""

    tally: Tally
    agents: tuple[str, ...]  # ids, ascending
    links: tuple[Link, ...]  # by agent
    strengths: Strengths

    @property
    def anchored(self) -> bool:
        """Whether heuristic-v1 played; otherwise the mean of the agents is 1200."""
        return ANCHOR in self.agents

    def ratings(self) -> list[Rating]:
        """Every agent, best first; equals by id."""
        played, won = self.tally.played(), self.tally.won()
        rows = []
        for number, agent in enumerate(self.agents):
            elo, se = self._against(number, self._zero())
            rows.append(Rating(agent, ANCHOR_ELO + elo, se, played[agent], won[agent], self.links[number]))
        return sorted(rows, key=lambda row: (-row.elo, row.agent))

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """How much stronger `one` is than `other` and the standard error of that, Elo."""
        for agent in (one, other):
            if agent not in self.agents:
                raise RulesError(f"agent {agent} has no rating in {self.tally.key}")
        weights = np.zeros(len(self.agents))
        weights[self.agents.index(other)] = 1
        return self._against(self.agents.index(one), weights)

    def seats(self) -> list[tuple[float, float]]:
        """Advantage of beginning in each seat against the mean of the seats, and its standard error, Elo."""
        agents, players = len(self.agents), self.tally.key.players
        found = []
        for seat in range(players):
            contrast = np.zeros(agents + players)
            contrast[agents:] = -1 / players
            contrast[agents + seat] += 1
            found.append((ELO_PER_UNIT * float(self.strengths.seats[seat]), self._error(contrast)))
        return found

    def _zero(self) -> FloatArray:
        """What has 1200 Elo: the anchor, or the mean of the pool."""
        if not self.anchored:
            return np.full(len(self.agents), 1 / len(self.agents))
        return np.array([float(agent == ANCHOR) for agent in self.agents])

    def _against(self, number: int, weights: FloatArray) -> tuple[float, float]:
        contrast = np.zeros(len(self.strengths.covariance))
        contrast[: len(self.agents)] = -weights
        contrast[number] += 1
        return ELO_PER_UNIT * float(contrast[: len(self.agents)] @ self.strengths.agents), self._error(contrast)

    def _error(self, contrast: FloatArray) -> float:
        return ELO_PER_UNIT * sqrt(max(0.0, float(contrast @ self.strengths.covariance @ contrast)))


def rate(tally: Tally, virtual_draws: float = VIRTUAL_DRAWS) -> Ratings:
    """Fit all games of a tally; RulesError when there are none. `virtual_draws` > 0 is the weight of the prior."""
    if not tally.finishes:
        raise RulesError(f"there are no games of {tally.key} to rate")
    agents = tuple(sorted({agent for finish in tally.finishes for agent in finish.agents}))
    orders = orders_of(tally, agents)
    strengths = fit(orders, len(agents), virtual_draws * PRECISION_OF_A_DRAW)
    played = tally.played()
    centre = ANCHOR if ANCHOR in agents else max(agents, key=lambda agent: played[agent])
    return Ratings(tally, agents, _links(orders, len(agents), agents.index(centre)), strengths)


def orders_of(tally: Tally, agents: tuple[str, ...]) -> Orders:
    """The games as orders; a tie is spread evenly over the orders that it allows, as a draw is half a win each."""
    number = {agent: index for index, agent in enumerate(agents)}
    games: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for finish, count in tally.finishes.items():
        began = [number[agent] for agent in finish.agents]
        allowed = _allowed(finish.places)
        for seats in allowed:
            row = tuple([began[seat] for seat in seats]), seats
            games[row] = games.get(row, 0.0) + count / len(allowed)
    rows = np.array(list(games), np.int64)  # [orders, 2, players]
    weights = np.array(list(games.values()))
    sorted_rows = np.lexsort(rows.reshape(len(rows), -1).T[::-1])  # sums do not depend on the order of the games
    return Orders(rows[sorted_rows, 0], rows[sorted_rows, 1], weights[sorted_rows])


@lru_cache(maxsize=128)  # four seats have 26 ways to share places below the first
def _allowed(places: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every order of the seats, best first, that agrees with the places."""
    return [
        order
        for order in permutations(range(len(places)))
        if all(places[one] <= places[next_one] for one, next_one in pairwise(order))
    ]


def _links(orders: Orders, agents: int, centre: int) -> tuple[Link, ...]:
    """The maximum of the likelihood is finite within the agents that wins connect both ways (Ford 1957)."""
    ahead, behind = _beaten(orders, agents)
    graph = csr_array((np.ones(len(ahead)), (ahead, behind)), shape=(agents, agents))
    met = connected_components(graph, directed=False)[1]
    both = connected_components(graph, directed=True, connection="strong")[1]
    return tuple(
        Link.MEASURED
        if both[agent] == both[centre]
        else Link.ONE_SIDED
        if met[agent] == met[centre]
        else Link.UNCONNECTED
        for agent in range(agents)
    )


def _beaten(orders: Orders, agents: int) -> tuple[IndexArray, IndexArray]:
    """Pairs of agents of which the one finished ahead of the other, each once."""
    first, second = np.triu_indices(orders.agents.shape[1], 1)
    pairs = np.unique(orders.agents[:, first].ravel() * agents + orders.agents[:, second].ravel())
    return pairs // agents, pairs % agents
