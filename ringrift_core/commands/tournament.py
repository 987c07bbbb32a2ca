"""`ringrift tournament`: everybody against everybody, stored, and the leaderboard of all that is stored."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ringrift_core.commands.play import agent_names
from ringrift_core.evaluation.leaderboard import json_form, leaderboard, read_tally, text_table
from ringrift_core.evaluation.record import printable
from ringrift_core.evaluation.tournament import Tournament, play_tournament
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import Agent, agent_of

BASELINES = ("random", "heuristic")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    game: str
    agents: str  # separated by commas; may be empty
    games: int  # per pairing
    seed: int
    baselines: bool  # whether random and heuristic play too


def tournament(wish: Wish, out: Path, report: Callable[[str], None]) -> None:
    """Play what the folder has not got; StorageError or RulesError says what is wrong."""
    key = ConfigKey.parse(wish.game)
    names = agent_names(wish.agents) if wish.agents else []
    entrants: dict[str, Agent] = {}
    for name in [*names, *(BASELINES if wish.baselines else ())]:
        agent = agent_of(name, key)
        if agent.identity.id not in entrants:
            entrants[agent.identity.id] = agent
        elif name in names:
            report(f"{name} is the same agent as {printable(entrants[agent.identity.id].identity.name)}: plays once")
    play_tournament(
        Tournament(key, list(entrants.values()), wish.games, wish.seed), out, lambda: datetime.now(UTC), report
    )


def standings(game: str, out: Path, *, as_json: bool) -> str:
    """The leaderboard of everything stored; an empty archive is a StorageError."""
    board = leaderboard(read_tally([out], ConfigKey.parse(game)))
    return json.dumps(json_form(board)) if as_json else text_table(board)
