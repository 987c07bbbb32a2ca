"""Does more search play better? Search of n simulations against fewer, one judge, as one JSON object.

    python benchmarks/search_strength.py [--judge heuristic|PATH] [--games 400] [--game hex8_2p ...]

Each pair of players meets in blocks of all seat rotations over random openings, without noise; n = 0 is the policy
alone. The bounds are over blocks, at 95 %; in games of p players fair is 1/p for the one that searches more.
"""

import argparse
import json
from time import perf_counter

import numba
import numpy as np

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.evaluation.match import play_match
from ringrift_core.evaluation.openings import random_openings
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import player_of

GAMES = ("hex8_2p", "square8_2p", "hex8_3p", "square8_4p")
RUNGS = ((16, 0), (64, 16))
SEED = 41


def rung(key: ConfigKey, judge: str, more: int, less: int, games: int) -> dict[str, object]:
    """One searcher of `more` simulations against others of `less`."""
    names = [f"{judge}:{more}"] + [f"{judge}:{less}"] * (key.players - 1)
    rngs = map(np.random.default_rng, np.random.SeedSequence([SEED, 1]).spawn(key.players))
    players = [player_of(name, key, rng) for name, rng in zip(names, rngs, strict=True)]
    started = perf_counter()
    result = play_match(key, players, random_openings(key, -(-games // key.players), SEED))
    share, low, high = result.share(0)
    return {
        "game": str(key),
        "more": more,
        "less": less,
        "games": len(result.games),
        "wins": result.wins[0],
        "share": round(share, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "fair": round(1 / key.players, 4),
        "significant": low > 1 / key.players,
        "games_per_s": round(len(result.games) / (perf_counter() - started), 2),
    }


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--judge", default="heuristic")
    parser.add_argument("--games", type=int, default=400)
    parser.add_argument("--game", action="append")
    asked = parser.parse_args()
    numba.set_num_threads(1)
    keys = [ConfigKey.parse(name) for name in asked.game or GAMES]
    results = [rung(key, asked.judge, *pair, asked.games) for key in keys for pair in RUNGS]
    print(json.dumps({"judge": asked.judge, "results": results, "cpu": cpu_name()}))


if __name__ == "__main__":
    main()
