"""Games that nobody played: simulated results of agents with known strengths, and stored matches of given results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from ringrift_core.evaluation.odds import ELO_PER_UNIT
from ringrift_core.evaluation.rating import ANCHOR
from ringrift_core.evaluation.stored_match import MatchAgent, StoredGame, StoredMatch
from ringrift_core.evaluation.tally import Finish, Tally
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import HEURISTIC_V1_DIGEST

HEURISTIC = MatchAgent(name="heuristic-v1", sha256=HEURISTIC_V1_DIGEST, sims=None)
START = datetime(2026, 1, 1, tzinfo=UTC)
_decisions = count()


def tally(finishes: Mapping[Finish, int], board: str = "hex8") -> Tally:
    """A tally of agents without labels."""
    return Tally(ConfigKey(board, len(next(iter(finishes)).agents)), dict(finishes), {}, 1)


def name(number: int) -> str:
    """An id; number 0 is the anchor."""
    return f"{number:016x}:64" if number else ANCHOR


def simulate(
    lineups: Sequence[Sequence[int]], elo: Sequence[float], seats: Sequence[float], seed: int
) -> Counter[Finish]:
    """One game of each line-up (agents by seat) by the Plackett-Luce model: strengths with Gumbel noise, sorted."""
    rng = np.random.default_rng(seed)
    who = np.array(lineups)
    luck = (np.array(elo)[who] + np.array(seats)) / ELO_PER_UNIT + rng.gumbel(size=who.shape)
    places = (-luck).argsort(axis=1).argsort(axis=1) + 1
    return Counter(
        Finish(tuple(map(name, row)), tuple(map(int, order))) for row, order in zip(who, places, strict=True)
    )


def round_robin(agents: int, games: int) -> list[tuple[int, int]]:
    """Every pair, each side first in half of the games."""
    return [
        pair
        for one in range(agents)
        for other in range(one)
        for pair in ((one, other), (other, one))
        for _ in range(games // 2)
    ]


def net(number: int, version: int | None = None, evaluations: int | None = None, sims: int = 64) -> MatchAgent:
    """A net that does not exist."""
    label = f"net v{version if version is not None else number}"
    return MatchAgent(name=label, sha256=f"{number:016x}{0:048x}", sims=sims, version=version, evaluations=evaluations)


def stored(
    agents: Sequence[MatchAgent], winners: Sequence[int], key: str | None = None, day: int = 0, seed: int = 1
) -> StoredMatch:
    """A match with these winners (player by game); the others come in in the order of the players."""
    players = len(agents)
    games = []
    for number, winner in enumerate(winners):
        ranks = [2 + (player if player < winner else player - 1) for player in range(players)]
        ranks[winner] = 1
        games.append(
            StoredGame(
                opening=number // players,
                rotation=number % players,
                winner=winner,
                ranks=tuple(ranks),
                reason="made up",
                plies=1,
                decisions=divmod(next(_decisions), 1 << 16),
            )
        )
    return StoredMatch(
        config_key=key or f"hex8_{players}p",
        agents=tuple(agents),
        book=None,
        seed=seed,
        purpose="match",
        created_at=START + timedelta(days=day),
        games=tuple(games),
    )
