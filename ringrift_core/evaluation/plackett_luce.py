"""The Plackett-Luce model: strengths from orders of finishing, by Newton's method (docs/design/evaluation.md).

The first place goes to i with probability exp(s_i) / sum of exp(s) over all in the game, the next one likewise among
the rest; with two in a game this is Bradley-Terry (Plackett 1975, Luce 1959). s is the strength of an agent plus the
advantage of the seat it began in. Weak Gaussian priors keep everything finite.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from ringrift_core.errors import InvariantError

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
ROUNDS_MAX = 200  # Newton needs about ten
STEP_MIN = 1e-10  # natural units of strength; 1e-8 Elo


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders of finishing without ties, best first."""

    agents: IndexArray  # [orders, players]; one agent may come several times
    seats: IndexArray  # [orders, players]
    weights: FloatArray  # [orders]: how many games


@dataclass(frozen=True, slots=True, eq=False)
class Strengths:
    """What was fitted, in natural units; only differences mean something."""

    agents: FloatArray  # [agents], sum 0
    seats: FloatArray  # [players], sum 0
    covariance: FloatArray  # [agents + players, agents + players], right for differences


def fit(orders: Orders, agents: int, precision: float) -> Strengths:
    """The most probable strengths under Gaussian priors of this `precision` > 0 around the mean of each kind."""
    players = orders.agents.shape[1]
    prior = _prior(agents, players, precision)
    strengths = np.zeros(agents + players)
    value, gradient, information = _judge(orders, strengths, prior)
    for _ in range(ROUNDS_MAX):
        step = cho_solve(cho_factor(information), gradient)
        if np.abs(step).max() < STEP_MIN:
            covariance = cho_solve(cho_factor(information), np.eye(len(strengths)))
            return Strengths(strengths[:agents], strengths[agents:], covariance)
        while (judged := _judge(orders, strengths + step, prior))[0] < value - 1e-9 * abs(value):
            step /= 2
        strengths = strengths + step
        value, gradient, information = judged
    raise InvariantError("the fit of the ratings does not settle")


def _prior(agents: int, players: int, precision: float) -> FloatArray:
    """Precision of the priors; the last term holds the two sums, which nothing else depends on, at 0."""
    kinds = np.zeros((2, agents + players))
    kinds[0, :agents] = 1
    kinds[1, agents:] = 1
    return precision * np.eye(agents + players) + kinds.T @ kinds


def _judge(orders: Orders, strengths: FloatArray, prior: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Logarithm of the posterior, its gradient and minus its Hessian, exactly."""
    games, players = orders.agents.shape
    number = len(strengths)
    places = (orders.agents, orders.seats + number - players)  # two parameters of everyone in a game
    sums = strengths[places[0]] + strengths[places[1]]
    value = -0.5 * strengths @ prior @ strengths
    slope = np.zeros((games, players))
    curve = np.zeros((games, players, players))
    weights = orders.weights
    for place in range(players - 1):
        left = sums[:, place:]
        top = left.max(axis=1)
        odds = np.exp(left - top[:, None])
        total = odds.sum(axis=1)
        value += weights @ (left[:, 0] - top - np.log(total))
        chance = odds / total[:, None]
        slope[:, place:] -= weights[:, None] * chance
        slope[:, place] += weights
        curve[:, place:, place:] -= weights[:, None, None] * chance[:, :, None] * chance[:, None, :]
        diagonal = np.arange(place, players)
        curve[:, diagonal, diagonal] += weights[:, None] * chance
    gradient = sum(np.bincount(index.ravel(), slope.ravel(), number) for index in places) - prior @ strengths
    information = prior.copy()
    for one in places:
        for other in places:
            cells = (one[:, :, None] * number + other[:, None, :]).ravel()
            information += np.bincount(cells, curve.ravel(), number * number).reshape(number, number)
    return float(value), gradient, information
