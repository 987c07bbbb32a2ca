"""heuristic-v1 against random and greedy players on all boards, and how fast it judges, as one JSON object.

`python benchmarks/heuristic.py`; docs/design/players.md has the figures.
"""

import json
from time import perf_counter
from typing import Any

import numba
import numpy as np

from ringrift_core.evaluation.match import play_match
from ringrift_core.evaluation.openings import random_openings
from ringrift_core.game import GameBatch
from ringrift_core.players.heuristic import HEURISTIC_V1, judge
from ringrift_core.players.player import GreedyPlayer, HeuristicPlayer, Player, RandomPlayer, best, positions_of

SMALL, LARGE = ("square8", "hex8"), ("square19", "hexagonal")
GAMES = {("random", 2): 200, ("random", 3): 100, ("random", 4): 100, ("greedy", 2): 200}
GAMES_LARGE = 40
SEED = 20_000  # far from the seeds of tests and tuning
SPEED_GAMES = {"square8": 64, "hex8": 64, "square19": 8, "hexagonal": 8}


def opponent(name: str, seed: int) -> Player:
    """A player to measure against."""
    rng = np.random.default_rng(seed)
    return RandomPlayer(rng) if name == "random" else GreedyPlayer(rng)


def strength(board: str, name: str, players: int, games: int) -> dict[str, Any]:
    """First places of heuristic-v1 among equal opponents, with 95 % bounds over blocks."""
    others = [opponent(name, SEED + seat) for seat in range(1, players)]
    started = perf_counter()
    key = f"{board}_{players}p"
    openings = random_openings(key, -(-games // players), SEED)
    result = play_match(key, [HeuristicPlayer(np.random.default_rng(SEED)), *others], openings)
    share, low, high = result.share(0)
    return {
        "config": result.key,
        "opponents": f"{players - 1} {name}",
        "games": len(result.games),
        "wins": result.wins[0],
        "share": round(share, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "mean_plies": round(sum(game.plies for game in result.games) / len(result.games), 1),
        "games_per_s": round(len(result.games) / (perf_counter() - started), 1),
    }


def speed(key: str, games: int) -> dict[str, Any]:
    """Decisions judged per second on one core, in random games, carrying out included."""
    batch = GameBatch.start(key, games)
    rng = np.random.default_rng(SEED)
    decisions, spent = 0, 0.0
    while not batch.over.all():
        batch.advance()
        rows = np.flatnonzero(~batch.over)
        if not len(rows):
            break
        positions = positions_of(batch, rows)
        started = perf_counter()
        judge(HEURISTIC_V1, positions)
        spent += perf_counter() - started
        decisions += len(positions.legal.ids)
        batch.apply(best(positions.legal, np.zeros(len(positions.legal.ids), np.int64), rng), rows)
    return {
        "config": key,
        "decisions_per_s": round(decisions / spent),
        "us_per_decision": round(1e6 * spent / decisions, 2),
    }


def main() -> None:
    """Measure and print."""
    numba.set_num_threads(1)
    judge(HEURISTIC_V1, positions_of(GameBatch.start("hex8_2p", 1), np.arange(1)))  # compile before the clock runs
    matches = [
        strength(board, name, players, games if board in SMALL else GAMES_LARGE)
        for board in (*SMALL, *LARGE)
        for (name, players), games in GAMES.items()
    ]
    report = {"matches": matches, "speed": [speed(f"{board}_2p", games) for board, games in SPEED_GAMES.items()]}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
