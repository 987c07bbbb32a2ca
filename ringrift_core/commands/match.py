"""`ringrift match`: players of the roster against each other, in every seat, with bounds."""

import json

import numpy as np

from ringrift_core.commands.play import agent_names
from ringrift_core.errors import RulesError
from ringrift_core.evaluation.match import MatchResult, play_match
from ringrift_core.evaluation.openings import openings_for
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import player_of

PLAYERS = 1  # in the seeds of the players; those of the openings are made from the seed alone


def match(game: str, agents: str, games: int, seed: int, *, as_json: bool) -> str:
    """Play a match and report it; the last agent named fills the seats that are left."""
    key = ConfigKey.parse(game)
    names = agent_names(agents)
    if not 1 < len(names) <= key.players:
        seats = f"2 to {key.players}" if key.players > 2 else "two"
        raise RulesError(f"a match of {key} has {seats} agents, not {len(names)}")
    names += names[-1:] * (key.players - len(names))
    rngs = map(np.random.default_rng, np.random.SeedSequence([seed, PLAYERS]).spawn(len(names)))
    players = [player_of(name, key, rng) for name, rng in zip(names, rngs, strict=True)]
    openings, _ = openings_for(key, games, seed)
    result = play_match(key, players, openings)
    return json.dumps(report(result, names)) if as_json else text_report(result, names)


def report(result: MatchResult, names: list[str]) -> dict[str, object]:
    """The JSON form."""
    players = [
        {"agent": name, "player": player, "wins": wins, "mean_rank": round(rank, 4), **_bounds(result, number)}
        for number, (name, player, wins, rank) in enumerate(
            zip(names, result.names, result.wins, result.mean_ranks, strict=True)
        )
    ]
    return {"game": result.key, "games": len(result.games), "players": players}


def text_report(result: MatchResult, names: list[str]) -> str:
    """One line per player."""
    lines = [f"{result.key}, {len(result.games)} games, every opening in each rotation of the seats"]
    for number, name in enumerate(names):
        share, low, high = result.share(number)
        lines.append(f"{name:24} wins {result.wins[number]:5}  {share:6.1%}  [{low:.1%}, {high:.1%}]")
    return "\n".join(lines)


def _bounds(result: MatchResult, number: int) -> dict[str, float]:
    return dict(zip(("share", "low", "high"), (round(value, 4) for value in result.share(number)), strict=True))
