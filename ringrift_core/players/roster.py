"""The roster: players and judges by name, as commands and job specs give them.

A judge is `random`, `heuristic` or the path of a checkpoint; a player is also `greedy`, or a judge with `:N` for a
search of N simulations, `:0` for its policy alone. No player of the roster adds noise to its search. torch is imported
for a checkpoint only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.stored_match import MatchAgent
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.heuristic import HeuristicEvaluator
from ringrift_core.players.names import HEURISTIC_V1_DIGEST, NET_SIMS, SIMPLE, UNIFORM_DIGEST
from ringrift_core.players.player import GreedyPlayer, HeuristicPlayer, Player, PolicyPlayer, RandomPlayer
from ringrift_core.players.search_player import SearchPlayer
from ringrift_core.search.evaluator import Evaluator, UniformEvaluator

MAKERS: dict[str, Callable[[np.random.Generator], Player]] = {
    "random": RandomPlayer,
    "greedy": GreedyPlayer,
    "heuristic": HeuristicPlayer,
}  # of the players in SIMPLE
SIMS_MAX = 100_000
NAME_MAX = 180  # characters of a label, the number of simulations not counted
BATCH = 128  # positions at a time where nothing measured says better


@dataclass(frozen=True, slots=True)
class Judge:
    """An evaluator, its name and the digest (hex) of what is behind it."""

    name: str
    sha256: str
    evaluator: Evaluator
    batch: int  # positions that it judges best at a time
    version: int | None = None  # of a net
    evaluations: int | None = None  # positions judged in the selfplay that made a net, where its checkpoint says


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who can be seated: who it is, and its players, which share one judge."""

    identity: MatchAgent
    player: Callable[[np.random.Generator], Player]  # a new one, with its own generator


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
    head = checkpoint.head
    made_of = head.data.get("evaluations")
    return Judge(
        f"{path.stem} v{head.version}",
        checkpoint.sha256,
        evaluator,
        evaluator.batch,
        head.version,
        made_of if type(made_of) is int and made_of >= 0 else None,
    )


def player_of(text: str, key: ConfigKey, rng: np.random.Generator) -> Player:
    """The player of `NAME[:SIMS]`; RulesError or StorageError says why there is none."""
    return agent_of(text, key).player(rng)


def agent_of(
    text: str,
    key: ConfigKey,
    *,
    net_sims: int = NET_SIMS,
    drawn_turns: int = 0,
    device: str = "auto",
    deterministic: bool = False,
) -> Agent:
    """The agent of `NAME[:SIMS]`; RulesError or StorageError says why there is none.

    A net without a number searches with `net_sims` simulations. `drawn_turns` has judges draw their decisions in the
    first turns of a game: for experiments that need different games from one opening; the identity does not show it.
    """
    name, sims = _parse(text)
    if sims is None and name in SIMPLE:
        known = SIMPLE[name]
        return Agent(MatchAgent(name=known.label, sha256=known.sha256, sims=None), MAKERS[name])
    if name == "greedy":
        raise RulesError("greedy has no search; heuristic:64 is the heuristic with 64 simulations")
    judge = judge_of(name, key, device=device, deterministic=deterministic)
    number = net_sims if sims is None else sims
    label = f"{judge.name[:NAME_MAX]}:{number}"

    def player(rng: np.random.Generator) -> Player:
        if number == 0:
            return PolicyPlayer(label, judge.evaluator, rng, drawn_turns)
        return SearchPlayer(label, judge.evaluator, number, rng, drawn_turns=drawn_turns)

    identity = MatchAgent(
        name=label, sha256=judge.sha256, sims=number, version=judge.version, evaluations=judge.evaluations
    )
    return Agent(identity, player)


def _parse(text: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.+?)(?::([0-9]{1,7}))?", text)
    if match is None:
        raise RulesError(f"there is no player {text!r}: {', '.join(SIMPLE)}, or the path of a checkpoint, with :SIMS")
    name, sims = match[1], match[2]
    if sims is not None and int(sims) > SIMS_MAX:
        raise RulesError(f"{text!r}: a search has at most {SIMS_MAX} simulations")
    return name, None if sims is None else int(sims)
