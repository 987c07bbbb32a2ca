"""The gate before real nets: none of many with random weights passes, and how games of equal nets hang together.

    python benchmarks/gate_nets.py random --nets 200 --game square8_2p
    python benchmarks/gate_nets.py equal NET.pth --pairs 1000 --out pairs.json

`random` puts nets with the random weights of seeds 1, 2, ... to the gauntlet and counts who passes every row; the
heuristic, whom they cannot beat, is met first, because a search alone beats random players too often to end soon.
`equal` lets a net meet itself, both sides drawing their decisions in the first turns, from the openings of the book,
and writes how many openings were won 0, 1, .. P times: benchmarks/gate_statistics.py --pairs resamples them.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numba
import numpy as np
import torch

from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings, opponents_of
from ringrift_core.evaluation.match import play_match
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.sprt import Outcome
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.checkpoint import CheckpointHead, load_checkpoint, save_checkpoint
from ringrift_core.nn.net import Net
from ringrift_core.players.roster import agent_of

DRAWN_TURNS = 8  # of each side
MATCH_PAIRS = 250


def random_nets(game: str, nets: int) -> dict[str, object]:
    """Gauntlets of nets with random weights."""
    key = ConfigKey.parse(game)
    games, promoted, shares, outcomes = 0, 0, [], Counter[str]()
    random, heuristic = opponents_of(key)
    for seed in range(1, nets + 1):
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory(prefix="ringrift-") as made:
            path = Path(made) / f"random{seed}.pth"
            save_checkpoint(path, Net(key, "nano"), CheckpointHead(0, "2026-01-01T00:00:00+00:00"))
            gauntlet = GameGauntlet(key, GauntletSettings(seed=seed), Path(made))
            agent, now = agent_of(str(path), key), datetime.now(UTC)
            results = [gauntlet.run(agent, [heuristic], now)]
            if results[0].verdict is Outcome.PASSED:
                results.append(gauntlet.run(agent, [random], now))
        promoted += len(results) == 2 and results[1].verdict is Outcome.PASSED
        games += sum(result.rows[0].games for result in results)
        shares.append(results[0].rows[0].share)
        outcomes[str(results[0].verdict)] += 1
        print(f"net {seed}: {results[-1].reason}", file=sys.stderr)
    return {
        "game": game,
        "nets": nets,
        "promoted": promoted,
        "against_heuristic": dict(outcomes),
        "games": games,
        "share_against_heuristic": [round(float(np.quantile(shares, q)), 3) for q in (0.0, 0.5, 1.0)],
    }


def equal_nets(path: Path, pairs: int, sims: int, out: Path) -> dict[str, object]:
    """How a net fares against itself, by opening."""
    key = load_checkpoint(path).net.key
    agent = agent_of(f"{path}:{sims}", key, drawn_turns=DRAWN_TURNS)
    counts = np.zeros(key.players + 1, np.int64)
    book = Book.of(key)
    for number, first in enumerate(range(0, pairs, MATCH_PAIRS)):
        players = [agent.player(np.random.default_rng([number, seat])) for seat in range(key.players)]
        openings = book.draw(min(MATCH_PAIRS, pairs - first), number)
        counts += np.array(play_match(key, players, openings).blocks())
    out.write_text(json.dumps(counts.tolist()) + "\n")
    return {"game": str(key), "sims": sims, "drawn_turns": DRAWN_TURNS, "blocks": counts.tolist(), "out": str(out)}


def main() -> None:
    """Run what was asked for and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_random = kinds.add_parser("random")
    of_random.add_argument("--nets", type=int, default=200)
    of_random.add_argument("--game", default="square8_2p")
    of_equal = kinds.add_parser("equal")
    of_equal.add_argument("net", type=Path)
    of_equal.add_argument("--pairs", type=int, default=1000)
    of_equal.add_argument("--sims", type=int, default=16)
    of_equal.add_argument("--out", type=Path, default=Path("pairs.json"))
    asked = parser.parse_args()
    numba.set_num_threads(1)
    started = perf_counter()
    report = (
        random_nets(asked.game, asked.nets)
        if asked.kind == "random"
        else equal_nets(asked.net, asked.pairs, asked.sims, asked.out)
    )
    print(json.dumps(report | {"seconds": round(perf_counter() - started, 1), "cpu": cpu_name()}))


if __name__ == "__main__":
    main()
