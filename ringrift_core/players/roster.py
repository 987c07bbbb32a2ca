"""The roster: players and judges by name, as commands and job specs give them.

A judge is `random`, `heuristic` or the path of a checkpoint; a player is also `greedy`, or a judge with `:N` for a
search of N simulations, `:0` for its policy alone. torch is imported for a checkpoint only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.heuristic import HEURISTIC_V1_DIGEST, HeuristicEvaluator
from ringrift_core.players.player import GreedyPlayer, HeuristicPlayer, Player, PolicyPlayer, RandomPlayer
from ringrift_core.players.search_player import SearchPlayer
from ringrift_core.search.evaluator import UNIFORM_DIGEST, Evaluator, UniformEvaluator

SIMPLE: dict[str, Callable[[np.random.Generator], Player]] = {
    "random": RandomPlayer,
    "greedy": GreedyPlayer,
    "heuristic": HeuristicPlayer,
}
NET_SIMS = 64  # of a net when no number is given
SIMS_MAX = 100_000
BATCH = 128  # positions at a time where nothing measured says better


@dataclass(frozen=True, slots=True)
class Judge:
    """An evaluator, its name and the digest (hex) of what is behind it."""

    name: str
    sha256: str
    evaluator: Evaluator
    batch: int  # positions that it judges best at a time


def judge_of(name: str, key: ConfigKey, *, device: str = "auto", deterministic: bool = False) -> Judge:
    """The judge of a name; RulesError or StorageError says why there is none."""
    if name == "random":
        return Judge("uniform", UNIFORM_DIGEST, UniformEvaluator(), BATCH)
    if name == "heuristic":
        return Judge("heuristic-v1", HEURISTIC_V1_DIGEST, HeuristicEvaluator(), BATCH)
    path = Path(name)
    if not path.suffix and not path.exists():
        raise RulesError(
            f"there is nobody called {name!r} here: random, heuristic, or the path of a checkpoint (.pth); "
            "greedy and people play, but judge no positions"
        )
    from ringrift_core.nn.checkpoint import load_checkpoint  # noqa: PLC0415 - torch takes seconds to import
    from ringrift_core.nn.tuning import choose_device, make_evaluator  # noqa: PLC0415

    checkpoint = load_checkpoint(path, key)
    evaluator = make_evaluator(checkpoint.net, choose_device(device), deterministic=deterministic)
    return Judge(f"{path.stem} v{checkpoint.head.version}", checkpoint.sha256, evaluator, evaluator.batch)


def player_of(text: str, key: ConfigKey, rng: np.random.Generator) -> Player:
    """The player of `NAME[:SIMS]`; RulesError or StorageError says why there is none."""
    name, sims = _parse(text)
    if sims is None and name in SIMPLE:
        return SIMPLE[name](rng)
    if name == "greedy":
        raise RulesError("greedy has no search; heuristic:64 is the heuristic with 64 simulations")
    judge = judge_of(name, key)
    if sims == 0:
        return PolicyPlayer(f"{judge.name}:0", judge.evaluator, rng)
    number = NET_SIMS if sims is None else sims
    return SearchPlayer(f"{judge.name}:{number}", judge.evaluator, number, rng)


def _parse(text: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.+?)(?::([0-9]{1,7}))?", text)
    if match is None:
        raise RulesError(f"there is no player {text!r}: {', '.join(SIMPLE)}, or the path of a checkpoint, with :SIMS")
    name, sims = match[1], match[2]
    if sims is not None and int(sims) > SIMS_MAX:
        raise RulesError(f"{text!r}: a search has at most {SIMS_MAX} simulations")
    return name, None if sims is None else int(sims)
