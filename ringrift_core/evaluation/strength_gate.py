"""The strength regression gate: matches of fixed length for pipelines, the same for the same seed.

Without a net it checks that the frozen players stand as they always did: a slip in the rules, in the heuristic or in
the search shows as a rate that falls. With a net it checks that net against random and heuristic-v1. Promotion is not
decided here but by the gauntlet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.match import play_match
from ringrift_core.evaluation.odds import share_at
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.thresholds import Role, Thresholds, gate_rows
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import NET_SIMS
from ringrift_core.players.roster import Agent, agent_of


class Mode(StrEnum):
    """How thorough a gate is."""

    CI = "ci"
    NIGHTLY = "nightly"


CI_GAMES = ("square8_2p", "hex8_2p")
NIGHTLY_GAMES = (
    *(*CI_GAMES, "square8_3p", "hex8_3p", "square8_4p", "hex8_4p"),
    *("square19_2p", "hexagonal_2p"),
)
GAMES = {Mode.CI: 100, Mode.NIGHTLY: 400}  # of a match
SEARCH_GAMES = {Mode.CI: 200, Mode.NIGHTLY: 400}  # of heuristic:16 against heuristic: rates nearer to each other
LARGE_GAMES = 60  # of a match on a large board
SMALL_BOARDS = ("square8", "hex8")
RANDOM_RATE, GREEDY_RATE = 0.85, 0.70  # heuristic-v1 against them, as two-player shares; proven, not observed
# observed share of heuristic:16 against heuristic: some three standard errors below what was measured
SEARCH_RATES = {
    "square8_2p": 0.65,
    "hex8_2p": 0.42,
    "square8_3p": 0.42,
    "hex8_3p": 0.50,
    "square8_4p": 0.33,
    "hex8_4p": 0.42,
}


@dataclass(frozen=True, slots=True)
class FixedMatch:
    """One match of a gate: how often the first agent must win."""

    game: str
    agent: str
    opponent: str  # in all other seats
    games: int
    min_win_rate: float
    require_significance: bool = True
    blocking: bool = True

    @property
    def name(self) -> str:
        """What the report calls the match."""
        return f"{self.game} {self.agent} v {self.opponent}"


class MatchReport(BaseModel):
    """One match of a gate that was played; a game always has a winner, so there are no draws."""

    model_config = ConfigDict(frozen=True)

    name: str
    game: str
    agent: str
    opponent: str
    games: int
    wins: int
    losses: int
    draws: int
    decisive_games: int
    win_rate: float
    win_rate_ci_low: float  # 95 %, over blocks
    win_rate_ci_high: float
    min_win_rate: float
    require_significance: bool
    blocking: bool
    passes: bool


class GateReport(BaseModel):
    """The whole gate; equal seeds make equal reports."""

    model_config = ConfigDict(frozen=True)

    form: Literal["ringrift.gate/1"] = "ringrift.gate/1"
    mode: Mode
    seed: int
    rules_digest: str
    model_sha256: str | None
    matches: tuple[MatchReport, ...]
    passes: bool


def frozen_matches(key: ConfigKey, mode: Mode) -> list[FixedMatch]:
    """What the frozen players of one configuration must show."""
    game, players = str(key), key.players
    if key.board_type not in SMALL_BOARDS:
        return [FixedMatch(game, "heuristic", "random", LARGE_GAMES, share_at(GREEDY_RATE, players))]
    return [
        FixedMatch(game, "heuristic", "random", GAMES[mode], share_at(RANDOM_RATE, players)),
        FixedMatch(game, "heuristic", "greedy", GAMES[mode], share_at(GREEDY_RATE, players)),
        FixedMatch(
            game, "heuristic:16", "heuristic", SEARCH_GAMES[mode], SEARCH_RATES[game], require_significance=False
        ),
    ]


def model_matches(key: ConfigKey, model: str, mode: Mode, thresholds: Thresholds) -> list[FixedMatch]:
    """What a net must show: the documented rates, as observed in CI, proven in the nightly run."""
    rows = gate_rows(key.players, thresholds)
    return [
        FixedMatch(str(key), model, role, GAMES[mode], rows[role].h0, require_significance=mode is Mode.NIGHTLY)
        for role in (Role.RANDOM, Role.HEURISTIC)
    ]


def run_gate(
    matches: Sequence[FixedMatch], mode: Mode, seed: int, model: Agent | None, show: Callable[[str], None]
) -> GateReport:
    """Play the matches; `model` is the agent of those that name no player of the roster. RulesError without a match."""
    if not matches:
        raise RulesError("a gate has at least one match")
    reports = []
    for number, match in enumerate(matches):
        show(f"{match.name}: {match.games} games, match {number + 1} of {len(matches)}")
        reports.append(report_of(match, play(match, [seed, number], model)))
    return GateReport(
        mode=mode,
        seed=seed,
        rules_digest=Game.RULES_DIGEST,
        model_sha256=model.identity.sha256 if model else None,
        matches=tuple(reports),
        passes=all(report.passes for report in reports if report.blocking),
    )


def play(match: FixedMatch, seed: list[int], model: Agent | None) -> list[int]:
    """In how many blocks the first agent won 0, 1, .. P games, [P + 1]."""
    key = ConfigKey.parse(match.game)
    agent = model or agent_of(match.agent, key)
    mine, theirs = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    others = [agent_of(match.opponent, key).player(theirs)] * (key.players - 1)
    openings = Book.of(key).draw(-(-match.games // key.players), seed)
    return play_match(key, [agent.player(mine), *others], openings).blocks()


def report_of(match: FixedMatch, blocks: Sequence[int], draws: int = 0) -> MatchReport:
    """The report of a match from its decided games; without any it shows nothing and does not pass."""
    decisive = sum(blocks) * (len(blocks) - 1)
    wins = sum(won * count for won, count in enumerate(blocks))
    rate = wins / decisive if decisive else 0.0
    low, high = block_interval(blocks) if decisive else (0.0, 1.0)
    enough = low > match.min_win_rate if match.require_significance else rate >= match.min_win_rate
    return MatchReport(
        name=match.name,
        game=match.game,
        agent=match.agent,
        opponent=match.opponent,
        games=decisive + draws,
        wins=wins,
        losses=decisive - wins,
        draws=draws,
        decisive_games=decisive,
        win_rate=round(rate, 6),
        win_rate_ci_low=round(low, 6),
        win_rate_ci_high=round(high, 6),
        min_win_rate=round(match.min_win_rate, 6),
        require_significance=match.require_significance,
        blocking=match.blocking,
        passes=decisive > 0 and enough,
    )


def model_of(path: str, key: ConfigKey) -> Agent:
    """A net as the gate judges it: 64 simulations, fp32 on every host."""
    return agent_of(f"{path}:{NET_SIMS}", key, deterministic=True)
