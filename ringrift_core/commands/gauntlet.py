"""`ringrift gauntlet`: a candidate tested against one opponent after the other."""

import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.environment import gauntlet_games, promotion_rates
from ringrift_core.commands.progress import progress
from ringrift_core.commands.workers import SIGNALLED
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings, Standing, opponents_of
from ringrift_core.evaluation.gauntlet_result import GauntletResult
from ringrift_core.evaluation.sprt import Outcome, Sprt
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import Agent, agent_of

HEAD = (
    f"{'opponent':10} {'agent':28} {'games':>5} {'wins':>5} {'share':>6}  {'95 %':14} {'H0':>6} {'H1':>6} "
    f"{'LLR':>6}  {'bounds':14} outcome"
)


@dataclass(frozen=True, slots=True)
class GauntletWish:
    """What somebody asks for; names as the roster has them."""

    game: str
    candidate: str
    champion: str | None
    anchors: tuple[str, ...]
    games: int | None
    games_max: int | None
    candidate_number: int
    sims: int
    seed: int
    out: Path
    deterministic: bool


def gauntlet(wish: GauntletWish, *, as_json: bool) -> int:
    """Run the command; returns its exit code: 0 passed, 1 not passed."""
    key = ConfigKey.parse(wish.game)
    runner = GameGauntlet(key, settings_of(wish), wish.out)

    def agent(text: str) -> Agent:
        return agent_of(text, key, net_sims=wish.sims, deterministic=wish.deterministic)

    candidate = agent(wish.candidate)
    champion = agent(wish.champion) if wish.champion else None
    opponents = opponents_of(key, champion, [agent(text) for text in wish.anchors])
    with progress() as line:
        try:
            result = runner.run(
                candidate, opponents, datetime.now(UTC), lambda row: line.show(progress_line(wish.candidate, row))
            )
        except KeyboardInterrupt:
            line.remark("stopped: rows that were finished are kept as matches, there is no verdict")
            return SIGNALLED + signal.SIGINT
    path = runner.keep(result)
    print(result.model_dump_json() if as_json else f"{table(result)}\n{path}")
    return 0 if result.verdict is Outcome.PASSED else 1


def settings_of(wish: GauntletWish) -> GauntletSettings:
    """The settings of a gauntlet: what is asked for, else what the environment says, else the defaults."""
    games = gauntlet_games() if wish.games is None else wish.games
    if wish.games is None and games is not None and wish.games_max is not None:
        games = min(games, wish.games_max)
    return GauntletSettings(
        seed=wish.seed,
        games=games,
        games_max=wish.games_max,
        candidate_number=wish.candidate_number,
        thresholds=Thresholds(**promotion_rates()),
    )


def progress_line(candidate: str, standing: Standing) -> str:
    """One line about a row under way."""
    low, high = standing.bounds
    return (
        f"{candidate} against {standing.opponent} ({standing.name}): {standing.wins} of {standing.games} games, at "
        f"most {standing.cap}; LLR {standing.llr:.2f} of {low:.2f} .. {high:.2f}"
    )


def table(result: GauntletResult) -> str:
    """The result row by row, and the verdict."""
    lines = [f"{result.candidate.name} on {result.config_key}, seed {result.seed}, {result.book.name}", HEAD]
    for row in result.rows:
        low, high = Sprt(row.h0, row.h1, row.alpha, row.beta).bounds
        lines.append(
            f"{row.opponent:10} {row.agent.name[:28]:28} {row.games:5} {row.wins:5} {row.share:6.1%}  "
            f"{f'{row.low:.1%}-{row.high:.1%}':14} {row.h0:6.1%} {row.h1:6.1%} {row.llr:6.2f}  "
            f"{f'{low:.2f} .. {high:.2f}':14} {row.outcome}"
        )
    return "\n".join([*lines, f"{result.verdict}: {result.reason}"])
