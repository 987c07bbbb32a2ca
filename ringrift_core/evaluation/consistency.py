"""Whether one number per agent explains its games: residuals of a fit, and agents that beat each other in a ring.

Both are alarms, not verdicts: a small p value says that strengths are not transitive, or that some games come from a
sick player. Openings played in every rotation make residuals smaller than independent games would, never larger.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from ringrift_core.evaluation.intervals import Z
from ringrift_core.evaluation.plackett_luce import FloatArray, IndexArray
from ringrift_core.evaluation.rating import Ratings

EXPECTED_MIN = 5.0  # first places of everyone in a table, below which its residual has no chi-square distribution
FREEDOM_MIN = 0.5  # below it the fit explains whatever happens
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Consistency:
    """How well a fit fits."""

    chi_square: float
    freedom: float  # degrees of freedom, those that the fit takes left out
    p_value: float | None  # None: nothing to test, the tables with games enough are explained whatever happens
    worst: tuple[str, ...]  # agents of the table with the least probable residual; empty where p_value is None
    triads: int  # of agents that beat each other in a ring
    sure_triads: int  # each edge of the ring at 95 %


@dataclass(frozen=True, slots=True)
class _Games:
    """The finishes as arrays; places are by seat."""

    agents: IndexArray  # [finishes, players]
    places: IndexArray  # [finishes, players]
    counts: FloatArray  # [finishes]


@dataclass(frozen=True, slots=True)
class _Tables:
    """Sums by table; a cell is an agent at it."""

    members: IndexArray  # [tables, players], filled up with NOBODY
    expected: FloatArray  # [tables, players] first places
    missed: FloatArray  # [tables, players] first places beyond the expected ones
    spread: FloatArray  # [tables, players, players] covariance of first places
    slopes: FloatArray  # [tables, players, seats] of the expected first places with the advantage of a seat


def check(ratings: Ratings) -> Consistency:
    """Compare the games with what the fit expects of them."""
    finishes = ratings.tally.finishes
    number = {agent: index for index, agent in enumerate(ratings.agents)}
    games = _Games(
        np.array([[number[agent] for agent in finish.agents] for finish in finishes], np.int64),
        np.array([finish.places for finish in finishes], np.int64),
        np.array(list(finishes.values()), np.float64),
    )
    triads, sure = _triads(games, len(number))
    statistic, freedom, worst = _residual(_tables(games, ratings), ratings)
    p_value = float(chi2.sf(statistic, freedom)) if freedom else None
    return Consistency(statistic, freedom, p_value, worst, triads, sure)


def _tables(games: _Games, ratings: Ratings) -> _Tables:
    """First places by table: the set of agents that met in a game, a pair where one agent plays copies of another."""
    members, table = np.unique(_sets(games.agents), axis=0, return_inverse=True)
    rows, players = games.agents.shape
    every, counts = np.arange(rows), games.counts[:, None]
    own = (games.agents[:, :, None] == members[table][:, None, :]).astype(np.float64)  # which cell a seat counts for
    sums = ratings.strengths.agents[games.agents] + ratings.strengths.seats
    odds = np.exp(sums - sums.max(axis=1, keepdims=True))
    by_seat = odds / odds.sum(axis=1, keepdims=True)
    chances = np.einsum("nsc,ns->nc", own, by_seat)
    misses = counts * (own[every, games.places.argmin(axis=1)] - chances)
    spread = np.eye(players) * chances[:, None, :] - chances[:, :, None] * chances[:, None, :]
    slopes = (own - chances[:, None, :]).transpose(0, 2, 1) * by_seat[:, None, :]
    return _Tables(
        members,
        _total(counts * chances, table, len(members)),
        _total(misses, table, len(members)),
        _total(counts[:, :, None] * spread, table, len(members)),
        _total(counts[:, :, None] * slopes, table, len(members)),
    )


def _total(values: FloatArray, table: IndexArray, tables: int) -> FloatArray:
    total = np.zeros((tables, *values.shape[1:]))
    np.add.at(total, table, values)
    return total


def _residual(tables: _Tables, ratings: Ratings) -> tuple[float, float, tuple[str, ...]]:
    """Chi-square of the first places, its degrees of freedom, and who sits at the worst table.

    The winners of games are independent, so the covariance at a table is exact. What is fitted takes part of it away,
    and what the fit learned from lower places and from other tables gives some back: the sum is a weighted one of
    chi-squares, here a single one with the same mean and variance (Satterthwaite 1946).
    """
    seated = (tables.members != NOBODY).sum(axis=1)
    used = (seated > 1) & ((tables.expected >= EXPECTED_MIN) | (tables.members == NOBODY)).all(axis=1)
    inverse = np.linalg.pinv(tables.spread[used], hermitian=True)
    statistics = np.einsum("ti,tij,tj->t", tables.missed[used], inverse, tables.missed[used])
    cells = int((seated[used] - 1).sum())
    taken = ratings.strengths.covariance @ _information(tables, used, inverse, len(ratings.agents))
    mean = cells - float(np.trace(taken))
    if mean < FREEDOM_MIN:
        return 0.0, 0.0, ()
    squares = cells - 2 * float(np.trace(taken)) + float(np.sum(taken * taken.T))
    worst = tables.members[used][chi2.logsf(statistics, seated[used] - 1).argmin()]
    names = tuple(ratings.agents[agent] for agent in sorted(worst) if agent != NOBODY)
    return float(statistics.sum()) * mean / squares, mean * mean / squares, names


def _information(tables: _Tables, used: npt.NDArray[np.bool_], inverse: FloatArray, agents: int) -> FloatArray:
    """What the first places at the tables in use say of the parameters, [agents + players, agents + players]."""
    players = tables.members.shape[1]
    number = agents + players
    spread, slopes = tables.spread[used], tables.slopes[used]
    agent = np.where(tables.members[used] == NOBODY, 0, tables.members[used])  # empty cells weigh nothing
    seat = np.broadcast_to(agents + np.arange(players), agent.shape)
    information = np.zeros(number * number)
    for rows, columns, values in (
        (agent, agent, spread),
        (agent, seat, slopes),
        (seat, agent, slopes.transpose(0, 2, 1)),
        (seat, seat, slopes.transpose(0, 2, 1) @ inverse @ slopes),
    ):
        places = (rows[:, :, None] * number + columns[:, None, :]).ravel()
        information += np.bincount(places, values.ravel(), number * number)
    return information.reshape(number, number)


def _sets(agents: IndexArray) -> IndexArray:
    """Each row's distinct agents, descending, filled up with NOBODY, [rows, players]."""
    ordered = np.sort(agents, axis=1)
    again = ordered[:, 1:] == ordered[:, :-1]
    ordered[:, 1:][again] = NOBODY
    return np.sort(ordered, axis=1)[:, ::-1]


def _triads(games: _Games, agents: int) -> tuple[int, int]:
    """Rings of three in which each came in ahead of the next more often than not; those with all three at 95 %.

    A game in which several copies meet counts once: as the share of pairs of seats in which the one was ahead.
    """
    same = games.agents[:, :, None] == games.agents[:, None, :]
    copies = same.sum(axis=2)
    ahead = games.places[:, :, None] < games.places[:, None, :]
    tied = games.places[:, :, None] == games.places[:, None, :]
    score = games.counts[:, None, None] * (ahead + 0.5 * tied) / (copies[:, :, None] * copies[:, None, :])
    cells = (games.agents[:, :, None] * agents + games.agents[:, None, :])[~same]
    scores = np.bincount(cells, score[~same], agents * agents).reshape(agents, agents)
    lead = scores - scores.T
    sure = lead > Z * np.sqrt(scores + scores.T)
    return _rings(lead > 0), _rings(sure & (lead > 0))


def _rings(beats: npt.NDArray[np.bool_]) -> int:
    """Directed rings of three."""
    steps = beats.astype(np.float64)
    return round(float(np.trace(steps @ steps @ steps)) / 3)
