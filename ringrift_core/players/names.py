"""Players by name, for whoever reads results and never plays: no kernels here, roster.py has the players themselves."""

import hashlib
from dataclasses import dataclass

HEURISTIC_V1_DIGEST = "f557dad18b93fabbf9f0d9075224837b52ac284a4c3d87456deb3afe19f7c6eb"
UNIFORM_DIGEST = hashlib.sha256(b"uniform").hexdigest()  # the judge that knows nothing
RULES_OF_THUMB = frozenset({HEURISTIC_V1_DIGEST, UNIFORM_DIGEST})  # judges that are no nets
NET_SIMS = 64  # of a net that is judged, and when no number is given


@dataclass(frozen=True, slots=True)
class Named:
    """A player without a judge, as stored matches have it."""

    label: str
    sha256: str  # stands for what it does


SIMPLE = {
    "random": Named("random", hashlib.sha256(b"random").hexdigest()),
    "greedy": Named("greedy", hashlib.sha256(b"greedy").hexdigest()),
    "heuristic": Named("heuristic-v1", HEURISTIC_V1_DIGEST),
}
