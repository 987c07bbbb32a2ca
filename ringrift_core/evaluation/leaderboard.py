"""Leaderboards: everybody who played in a folder of stored matches, best first, one table per configuration."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.consistency import Consistency, check
from ringrift_core.evaluation.intervals import Z
from ringrift_core.evaluation.rating import ANCHOR_ELO, Link, Rating, Ratings, rate
from ringrift_core.evaluation.record import printable
from ringrift_core.evaluation.stored_match import MatchAgent, StoredMatch, matches_in, read_match
from ringrift_core.evaluation.tally import Tally, tallies
from ringrift_core.game.config_key import ConfigKey

NAME_COLUMNS_MAX = 48
ALARM = 0.01  # a p value below it is worth a look
MEANINGS = {
    Link.MEASURED: "",
    Link.ONE_SIDED: "one-sided: a group that only won or only lost; how far away it is, nobody knows",
    Link.UNCONNECTED: "unconnected: no games lead to the others; the number is a guess",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    rank: int  # from 1
    agent: MatchAgent  # with its latest name
    rating: Rating


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The table of one configuration."""

    ratings: Ratings
    rows: tuple[Row, ...]  # best first
    consistency: Consistency

    @property
    def tally(self) -> Tally:
        """What was counted."""
        return self.ratings.tally


def stored_matches(paths: Iterable[Path]) -> Iterator[StoredMatch]:
    """The matches of folders and files; StorageError at the first that is damaged, of other rules, or no match."""
    return chain.from_iterable(matches_in(path) if path.is_dir() else [read_match(path)] for path in paths)


def read_tally(paths: list[Path], key: ConfigKey | None = None) -> Tally:
    """All games of a configuration, by default of the only one; StorageError when there are none."""
    found = tallies(stored_matches(paths))
    where = ", ".join(map(str, paths))
    if not found:
        raise StorageError(f"{where}: no stored matches; play some with ringrift tournament --out FOLDER")
    if key is None and len(found) > 1:
        raise StorageError(f"{where}: matches of {', '.join(found)}; choose one with --game")
    wanted = str(key) if key else next(iter(found))
    if wanted not in found:
        raise StorageError(f"{where}: no stored matches of {wanted}, only of {', '.join(found)}")
    return found[wanted]


def leaderboard(tally: Tally) -> Leaderboard:
    """Rate everybody; RulesError when there are no games."""
    ratings = rate(tally)
    rows = tuple(
        Row(rank, tally.agents[rating.agent], rating) for rank, rating in enumerate(ratings.ratings(), start=1)
    )
    return Leaderboard(ratings, rows, check(ratings))


def json_form(board: Leaderboard) -> dict[str, object]:
    """The JSON form (docs/reference/cli.md)."""
    tally, fit = board.tally, board.consistency
    return {
        "game": str(tally.key),
        "games": tally.games,
        "matches": tally.matches,
        "anchored": board.ratings.anchored,
        "agents": [
            {
                "rank": row.rank,
                "id": row.agent.id,
                "name": row.agent.name,
                "sha256": row.agent.sha256,
                "sims": row.agent.sims,
                "version": row.agent.version,
                "elo": round(row.rating.elo, 2),
                "se": round(row.rating.se, 2),
                "margin": round(row.rating.margin, 2),
                "games": row.rating.games,
                "wins": row.rating.wins,
                "link": row.rating.link.value,
            }
            for row in board.rows
        ],
        "seats": [{"elo": round(elo, 2), "se": round(se, 2)} for elo, se in board.ratings.seats()],
        "consistency": {
            "chi_square": round(fit.chi_square, 3),
            "freedom": round(fit.freedom, 3),
            "p_value": fit.p_value,
            "worst": list(fit.worst),
            "triads": fit.triads,
            "sure_triads": fit.sure_triads,
        },
    }


def text_table(board: Leaderboard) -> str:
    """The table as text, with notes on what it does not know."""
    tally = board.tally
    anchor = "heuristic-v1 has" if board.ratings.anchored else "heuristic-v1 did not play: the mean of the agents is"
    names = [printable(row.agent.name)[:NAME_COLUMNS_MAX] for row in board.rows]
    width = max(map(len, [*names, "agent"]))
    lines = [
        f"{tally.key}: {tally.games:,} games in {tally.matches:,} matches; {anchor} {ANCHOR_ELO:.0f} Elo",
        f"{'':>4}  {'agent':{width}}  {'sims':>6}  {'elo':>6}  {'±95 %':>6}  {'games':>7}  {'wins':>7}",
    ]
    for row, name in zip(board.rows, names, strict=True):
        rating = row.rating
        sims = "-" if row.agent.sims is None else row.agent.sims
        mark = "" if rating.link is Link.MEASURED else f"  {rating.link.value}"
        lines.append(
            f"{row.rank:>4}  {name:{width}}  {sims:>6}  {rating.elo:>6.0f}  {rating.margin:>6.0f}  {rating.games:>7}  "
            f"{rating.wins:>7}{mark}"
        )
    lines += [MEANINGS[link] for link in Link if link is not Link.MEASURED and _has(board, link)]
    return "\n".join([*lines, *_notes(board)])


def _has(board: Leaderboard, link: Link) -> bool:
    return any(row.rating.link is link for row in board.rows)


def _notes(board: Leaderboard) -> list[str]:
    seats = [f"seat {seat}: {elo:+.0f} ± {Z * se:.0f}" for seat, (elo, se) in enumerate(board.ratings.seats(), start=1)]
    fit = board.consistency
    residual = "too few games to test the fit" if fit.p_value is None else f"residual p = {fit.p_value:.2g}"
    if fit.p_value is not None and fit.p_value < ALARM:
        worst = " and ".join(printable(board.tally.agents[agent].name) for agent in fit.worst)
        residual += f": one number per agent does not explain the games, least those of {worst}"
    return [
        f"beginning in {', '.join(seats)} Elo",
        f"{residual}; {fit.sure_triads} sure rings of three that beat each other ({fit.triads} by any margin)",
    ]
