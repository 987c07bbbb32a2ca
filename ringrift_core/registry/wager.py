"""Evidence that may be looked at after every observation: wagers against the claim that a mean is high enough.

Claim: each score in [0, 1] has, given everything before it, a mean of at least m. Somebody who doubts it stakes a fixed
share c of the most that may be staked: the capital is multiplied by 1 + c (m - x) / (1 - m), which is never negative
and does not grow on average while the claim holds. The mean of the capitals of several stakes is the evidence E, and
P(E ever reaches 1 / alpha) <= alpha by Ville, for any distribution of the scores, however often one looks
(Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; Shafer and Vovk).
The order of the scores does not matter, so counts of equal scores are enough. Logarithms are natural.
"""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Shares of the largest stake: small ones find small drops in many games, large ones large drops in few.
STAKES = np.array([0.03, 0.08, 0.16, 0.28, 0.45, 0.65, 0.85, 0.95])
HALVINGS = 40  # of an interval, when a bound is looked for


def log_factors(claimed: npt.ArrayLike, scores: npt.ArrayLike) -> FloatArray:
    """What a score does to the logarithm of the capital, [..., stakes]; 0 < claimed < 1, 0 <= scores <= 1."""
    claimed, scores = np.asarray(claimed, np.float64), np.asarray(scores, np.float64)
    gain = (claimed - scores) / (1 - claimed)
    factors: FloatArray = np.log1p(gain[..., None] * STAKES)
    return factors


def log_evidence(capital: FloatArray) -> FloatArray:
    """The logarithm of the mean capital, [...], of the logarithms of the capitals by stake, [..., stakes]."""
    top = capital.max(axis=-1)
    mean = np.exp(capital - top[..., None]).mean(axis=-1)
    evidence: FloatArray = top + np.log(mean)
    return evidence


def log_capital(claimed: npt.ArrayLike, scores: npt.ArrayLike, counts: npt.ArrayLike) -> FloatArray:
    """The logarithms of the capitals, [..., stakes]; claimed, scores, counts [..., kinds of scores]."""
    capital: FloatArray = (np.asarray(counts, np.float64)[..., None] * log_factors(claimed, scores)).sum(axis=-2)
    return capital


def lowest_credible_mean(counts: npt.ArrayLike, alpha: float) -> FloatArray:
    """Lower bound [...] of a mean, wrong with probability alpha at most; `counts` [..., P + 1] of 0, 1/P, .. 1.

    In [0, 1) for any counts; sequential stopping does no harm.
    """
    counts = np.asarray(counts, np.float64)
    lost = 1 - np.arange(counts.shape[-1]) / (counts.shape[-1] - 1)  # the bound of 1 - x from above
    low, high = np.zeros(counts.shape[:-1]), np.ones(counts.shape[:-1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        refuted = log_evidence(log_capital(middle[..., None], lost, counts)) >= -math.log(alpha)
        low, high = np.where(refuted, low, middle), np.where(refuted, middle, high)
    return 1 - high
