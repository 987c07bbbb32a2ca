"""Learning curves: how strong the nets of a configuration are, over what their selfplay has cost.

A point is a net that played: its first places against the fixed yardsticks, its Elo from the fit of all games, and as
its place on the axis the positions that nets had judged in selfplay when it was made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.rating import ANCHOR, Link, Ratings, rate
from ringrift_core.evaluation.stored_match import MatchAgent
from ringrift_core.evaluation.tally import Tally
from ringrift_core.evaluation.thresholds import Role, gate_rows
from ringrift_core.players.names import NET_SIMS, SIMPLE

RANDOM = MatchAgent(name="random", sha256=SIMPLE["random"].sha256, sims=None).id


class Axis(Enum):
    """What the places of the points mean."""

    EVALUATIONS = "positions judged by nets in selfplay until then"
    VERSION = "version of the net"


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A player that does not change, and its role in the gate."""

    agent: str  # id
    name: str
    role: Role


YARDSTICKS = (Yardstick(RANDOM, "random", Role.RANDOM), Yardstick(ANCHOR, "heuristic-v1", Role.HEURISTIC))


@dataclass(frozen=True, slots=True)
class Share:
    """First places of a net against copies of one yardstick, in at least one block."""

    blocks: tuple[int, ...]  # in how many the net won 0, 1, .. P games, [P + 1]

    @property
    def won(self) -> int:
        """Games won."""
        return sum(won * blocks for won, blocks in enumerate(self.blocks))

    @property
    def games(self) -> int:
        """Games played."""
        return sum(self.blocks) * (len(self.blocks) - 1)

    @property
    def value(self) -> float:
        """The share."""
        return self.won / self.games

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds at 95 %, over blocks."""
        return block_interval(self.blocks)


@dataclass(frozen=True, slots=True)
class Point:
    """A net."""

    agent: MatchAgent
    x: float
    placed: bool  # whether its own evaluations place it; else its version does, between those of others
    elo: float
    margin: float  # half the 95 % interval, Elo
    games: int  # all of its games
    link: Link
    shares: tuple[Share | None, ...]  # by yardstick; None: they did not meet


@dataclass(frozen=True, slots=True)
class Curve:
    """The nets of one configuration by their place on the axis."""

    tally: Tally
    axis: Axis
    points: tuple[Point, ...]  # by x, then version
    anchored: bool
    baselines: tuple[tuple[str, float], ...]  # name and Elo of the yardsticks that played

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The shares that the gate asks for, by yardstick."""
        rows = gate_rows(self.tally.key.players)
        return tuple(rows[yardstick.role].h0 for yardstick in YARDSTICKS)


def learning_curve(tally: Tally) -> Curve:
    """The curve of all nets of a tally; RulesError when no net has played."""
    ratings = rate(tally)
    nets = _nets(tally)
    if not nets:
        raise RulesError(f"no net among those who played {tally.key}: a learning curve needs matches of nets")
    axis, places = _places(nets)
    rows = {row.agent: row for row in ratings.ratings()}
    points = [
        Point(
            agent=net,
            x=place,
            placed=axis is Axis.VERSION or net.evaluations is not None,
            elo=rows[net.id].elo,
            margin=rows[net.id].margin,
            games=rows[net.id].games,
            link=rows[net.id].link,
            shares=tuple(_share(tally, net.id, yardstick.agent) for yardstick in YARDSTICKS),
        )
        for net, place in zip(nets, places, strict=True)
    ]
    points.sort(key=lambda point: (point.x, point.agent.version or 0, point.agent.id))
    return Curve(tally, axis, tuple(points), ratings.anchored, _baselines(ratings))


def _nets(tally: Tally) -> list[MatchAgent]:
    """Every net once: as it plays with 64 simulations, else as it played most games."""
    played = tally.played()
    chosen: dict[str, MatchAgent] = {}
    for agent in sorted(tally.agents.values(), key=lambda agent: (agent.sims == NET_SIMS, played[agent.id], agent.id)):
        if agent.version is not None:
            chosen[agent.sha256] = agent
    return list(chosen.values())


def _places(nets: Iterable[MatchAgent]) -> tuple[Axis, list[float]]:
    """Where each net stands; one without evaluations stands where its version lies between those of the others."""
    versions = [float(net.version or 0) for net in nets]
    known = {float(net.version or 0): float(net.evaluations) for net in nets if net.evaluations is not None}
    if not known:
        return Axis.VERSION, versions
    known.setdefault(0.0, 0.0)  # the first net, with random weights, has cost nothing
    numbers = sorted(known)
    between = np.interp(versions, numbers, [known[number] for number in numbers])
    return Axis.EVALUATIONS, [
        float(place if net.evaluations is None else net.evaluations) for net, place in zip(nets, between, strict=True)
    ]


def _share(tally: Tally, net: str, yardstick: str) -> Share | None:
    """Games of the one net against copies of the yardstick alone."""
    counts = tally.block_counts(net, yardstick)
    return Share(counts) if any(counts) else None


def _baselines(ratings: Ratings) -> tuple[tuple[str, float], ...]:
    elo = {row.agent: row.elo for row in ratings.ratings()}
    return tuple((yardstick.name, elo[yardstick.agent]) for yardstick in YARDSTICKS if yardstick.agent in elo)


def json_form(curve: Curve) -> dict[str, object]:
    """The JSON form (docs/reference/cli.md)."""
    return {
        "game": str(curve.tally.key),
        "games": curve.tally.games,
        "axis": curve.axis.name.lower(),
        "anchored": curve.anchored,
        "baselines": [{"name": name, "elo": round(elo, 2)} for name, elo in curve.baselines],
        "thresholds": {
            yardstick.name: round(share, 4) for yardstick, share in zip(YARDSTICKS, curve.thresholds, strict=True)
        },
        "points": [_json_point(point) for point in curve.points],
    }


def _json_point(point: Point) -> dict[str, object]:
    shares: dict[str, object] = {}
    for yardstick, share in zip(YARDSTICKS, point.shares, strict=True):
        if share is not None:
            low, high = share.bounds
            shares[yardstick.name] = {
                "won": share.won,
                "games": share.games,
                "share": round(share.value, 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
    return {
        "id": point.agent.id,
        "name": point.agent.name,
        "sha256": point.agent.sha256,
        "version": point.agent.version,
        "sims": point.agent.sims,
        "evaluations": point.agent.evaluations,
        "x": point.x,
        "placed_by_version": not point.placed,
        "elo": round(point.elo, 2),
        "margin": round(point.margin, 2),
        "games": point.games,
        "link": point.link.value,
        "against": shares,
    }


def text_table(curve: Curve) -> str:
    """The points as text."""
    lines = [f"{curve.tally.key}, nets: {len(curve.points)}, by {curve.axis.value}"]
    for point in curve.points:
        against = "  ".join(
            f"{yardstick.name} {share.value:.1%} of {share.games}"
            for yardstick, share in zip(YARDSTICKS, point.shares, strict=True)
            if share is not None
        )
        lines.append(
            f"{point.x:>16,.0f}  v{point.agent.version}  {point.elo:.0f} ± {point.margin:.0f} Elo "
            f"({point.games} games)  {against}"
        )
    return "\n".join(lines)
