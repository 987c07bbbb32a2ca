"""What a candidate must show against whom before it is promoted.

The table holds shares of two-player games. With more players it means the same odds against each single opponent: a
share s of two is the odds o = s / (1 - s), and o / (o + P - 1) the share of first places among P - 1 such opponents.
H1 lies a fixed odds ratio above H0, wherever somebody moves H0 to.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import pi

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.odds import share_at, share_of_elo

ALPHA = 0.05  # chance that an equal candidate is promoted in one champion's reign
BETA = 0.05  # chance that a row stops a candidate as strong as H1
GAMES_MIN = 50  # games against an opponent before a decision, where nothing else is wished


class Role(StrEnum):
    """Whom a candidate meets, in this order."""

    RANDOM = "random"
    HEURISTIC = "heuristic"
    CHAMPION = "champion"
    ANCHOR = "anchor"  # the best ever and others once beaten: one row each


class Needs(StrEnum):
    """What an opponent is there to show."""

    PROOF = "proof"  # undecided at the cap is not passed
    NO_DISPROOF = "no disproof"  # only a proven loss fails


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares of two-player games that a candidate must exceed; RulesError outside (0, 1)."""

    random: float = 0.85
    heuristic: float = 0.60
    champion: float = 0.50

    def __post_init__(self) -> None:
        for share in (self.random, self.heuristic, self.champion):
            if not 0 < share < 1:
                raise RulesError(f"a threshold is a share between 0 and 1, not {share}")


@dataclass(frozen=True, slots=True)
class GateRow:
    """One opponent of a candidate; the shares are those for the number of players that the row was made for."""

    opponent: Role
    h0: float  # share of games won
    h1: float
    cap: int  # games; a block that would exceed it is not begun
    needs: Needs


DOCUMENTED = Thresholds()
# (opponent, H0, H1, cap, needs) with two players
TABLE = (
    GateRow(Role.RANDOM, DOCUMENTED.random, 0.92, 300, Needs.PROOF),
    GateRow(Role.HEURISTIC, DOCUMENTED.heuristic, 0.68, 400, Needs.PROOF),
    GateRow(Role.CHAMPION, DOCUMENTED.champion, 0.55, 2000, Needs.PROOF),
    GateRow(Role.ANCHOR, share_of_elo(-35), share_of_elo(0), 400, Needs.NO_DISPROOF),
)


def gate_rows(players: int, thresholds: Thresholds = DOCUMENTED) -> dict[Role, GateRow]:
    """The rows of the gate by opponent; RulesError unless players are 2..4 and every share leaves room for H1."""
    wished = {
        Role.RANDOM: thresholds.random,
        Role.HEURISTIC: thresholds.heuristic,
        Role.CHAMPION: thresholds.champion,
    }
    return {row.opponent: _row(row, wished.get(row.opponent, row.h0), players) for row in TABLE}


def alpha_of(candidate: int, alpha: float = ALPHA) -> float:
    """The error rate at which the k-th candidate (from 1) of a reign is tested; over all k they sum to `alpha`."""
    if candidate < 1:
        raise RulesError(f"candidates of a reign are counted from 1, not {candidate}")
    return alpha * 6 / (pi * candidate) ** 2


def _row(row: GateRow, h0: float, players: int) -> GateRow:
    low = share_at(h0, players)
    odds = h0 / (1 - h0) * (row.h1 / (1 - row.h1)) / (row.h0 / (1 - row.h0))
    high = share_at(odds / (1 + odds), players)
    if not low < high < 1:
        raise RulesError(f"{row.opponent}: no share can be told from a threshold of {h0}")
    return GateRow(row.opponent, low, high, row.cap, row.needs)
