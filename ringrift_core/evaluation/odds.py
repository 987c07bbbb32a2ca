"""Shares of first places, odds and Elo: one scale for gates, ratings and rollbacks.

A player among P - 1 equal opponents wins a share o / (o + P - 1) of the games, with odds o = 10^(elo / 400) against
each (Bradley-Terry; Plackett-Luce for three and four players). Losing Elo divides the odds, whatever P is.
"""

import math

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import RulesError

ELO_SCALE = 400.0  # Elo points for odds of ten
ELO_PER_UNIT = ELO_SCALE / math.log(10)  # Elo points per natural unit of strength
PLAYERS = range(2, 5)


def share_of_elo(elo: float, players: int = 2) -> float:
    """Expected share of first places of a player so many Elo above each of its `players` - 1 opponents."""
    odds: float = 10.0 ** (elo / ELO_SCALE)
    return odds / (odds + players - 1)


def elo_of_share(share: float, players: int = 2) -> float:
    """The Elo difference to each opponent that a share in (0, 1) means."""
    return ELO_SCALE * math.log10(share * (players - 1) / (1 - share))


def share_at(share_of_two: float, players: int) -> float:
    """The share of first places among `players` at the odds of a two-player share; RulesError outside (0, 1)."""
    if players not in PLAYERS:
        raise RulesError(f"games have 2 to 4 players, not {players}")
    if not 0 < share_of_two < 1:
        raise RulesError(f"a threshold is a share between 0 and 1, not {share_of_two}")
    return share_of_two / (share_of_two + (players - 1) * (1 - share_of_two))


def share_after_drop(share: npt.ArrayLike, elo: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What is left of a share in (0, 1) after losing `elo` points; any shapes that fit together."""
    share = np.asarray(share, np.float64)
    odds = share / (1 - share) * 10.0 ** (-np.asarray(elo, np.float64) / ELO_SCALE)
    left: npt.NDArray[np.float64] = odds / (1 + odds)
    return left
