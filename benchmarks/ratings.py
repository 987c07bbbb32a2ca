"""How long a rating fit takes: `python benchmarks/ratings.py [AGENTS [GAMES]]`, JSON.

Seconds of CPU time. Simulated games of random line-ups, the worst case: hardly two games are equal, so that little can
be summed up.
"""

import json
import statistics
import sys
from collections import Counter
from time import process_time

import numpy as np

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.evaluation.consistency import check
from ringrift_core.evaluation.rating import rate
from ringrift_core.evaluation.tally import Finish, Tally
from ringrift_core.game.config_key import ConfigKey

RUNS = 5
SPREAD = 1.0  # standard deviation of strengths, natural units: 174 Elo


def simulated(players: int, agents: int, games: int, seed: int) -> Tally:
    """Games of random line-ups by the Plackett-Luce model."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, SPREAD, agents)
    lineups = rng.permuted(np.tile(np.arange(agents, dtype=np.int16), (games, 1)), axis=1)[:, :players]
    luck = strengths[lineups] + rng.gumbel(size=lineups.shape)
    places = (-luck).argsort(axis=1).argsort(axis=1) + 1
    ids = [f"{agent:016x}:64" for agent in range(agents)]
    finishes = Counter(
        Finish(tuple(ids[agent] for agent in row), tuple(map(int, order)))
        for row, order in zip(lineups, places, strict=True)
    )
    return Tally(ConfigKey("hex8", players), finishes, {}, 1)


def main() -> None:
    """Print seconds of the fit and of the checks of it."""
    given = [int(word) for word in sys.argv[1:3]]
    agents, games = given + [200, 100_000][len(given) :]
    results = []
    for players in (2, 3, 4):
        tally = simulated(players, agents, games, seed=1)
        fits, checks = [], []
        for _ in range(RUNS):
            start = process_time()
            ratings = rate(tally)
            middle = process_time()
            check(ratings)
            fits.append(middle - start)
            checks.append(process_time() - middle)
        results.append(
            {
                "players": players,
                "different_games": len(tally.finishes),
                "fit_s": round(statistics.median(fits), 3),
                "check_s": round(statistics.median(checks), 3),
            }
        )
    print(json.dumps({"agents": agents, "games": games, "cpu": cpu_name(), "results": results}))


if __name__ == "__main__":
    main()
