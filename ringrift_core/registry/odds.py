"""Shares of first places and Elo differences, by odds against each opponent.

A player among P - 1 equal opponents wins a share o / (o + P - 1) of the games, with odds o = 10^(elo / 400) against
each (Bradley-Terry; Plackett-Luce for three and four players). Losing Elo divides the odds, whatever P is.
"""

import math

import numpy as np
import numpy.typing as npt

ELO_SCALE = 400.0  # Elo points for odds of ten


def share_of_elo(elo: float, players: int) -> float:
    """Expected share of first places of a player so many Elo above each of its `players` - 1 opponents."""
    odds: float = 10.0 ** (elo / ELO_SCALE)
    return odds / (odds + players - 1)


def elo_of_share(share: float, players: int) -> float:
    """The Elo difference to each opponent that a share in (0, 1) means."""
    return ELO_SCALE * math.log10(share * (players - 1) / (1 - share))


def share_after_drop(share: npt.ArrayLike, elo: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What is left of a share in (0, 1) after losing `elo` points; any shapes that fit together."""
    share = np.asarray(share, np.float64)
    odds = share / (1 - share) * 10.0 ** (-np.asarray(elo, np.float64) / ELO_SCALE)
    left: npt.NDArray[np.float64] = odds / (1 + odds)
    return left
