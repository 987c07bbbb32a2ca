"""`ringrift gate`: the strength regression gate for pipelines."""

from pathlib import Path

from config.environment import promotion_rates
from ringrift_core.commands.progress import progress
from ringrift_core.errors import RulesError
from ringrift_core.evaluation.strength_gate import (
    CI_GAMES,
    NIGHTLY_GAMES,
    GateReport,
    Mode,
    frozen_matches,
    model_matches,
    model_of,
    run_gate,
)
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import prepare_folder, sync_folder, write_whole


def gate(mode: str, game: str | None, model: Path | None, seed: int, output: Path | None) -> int:
    """Run the command; returns its exit code: 0 passed, 1 not passed. The report is written either way."""
    if mode not in list(Mode):
        raise RulesError(f"there is no mode {mode!r}: {', '.join(Mode)}")
    how = Mode(mode)
    if output is not None:
        prepare_folder(output.parent)
    agent = None
    if model is not None and game is not None:
        key = ConfigKey.parse(game)
        agent = model_of(str(model), key)
        matches = model_matches(key, agent.identity.name, how, Thresholds(**promotion_rates()))
    else:
        names = (game,) if game else CI_GAMES if how is Mode.CI else NIGHTLY_GAMES
        matches = [match for name in names for match in frozen_matches(ConfigKey.parse(name), how)]
    with progress() as line:
        report = run_gate(matches, how, seed, agent, line.show)
    if output is not None:
        write_whole(output, (report.model_dump_json(indent=1) + "\n").encode())
        sync_folder(output.parent)
    print(table(report))
    return 0 if report.passes else 1


def table(report: GateReport) -> str:
    """One line per match, and the verdict."""
    lines = []
    for match in report.matches:
        wish = "proven above" if match.require_significance else "at least"
        lines.append(
            f"{'ok' if match.passes else 'FAILED':6} {match.name}: {match.wins} of {match.decisive_games} "
            f"({match.win_rate:.1%}, {match.win_rate_ci_low:.1%}-{match.win_rate_ci_high:.1%}), wanted: {wish} "
            f"{match.min_win_rate:.1%}{'' if match.blocking else ' (not blocking)'}"
        )
    return "\n".join([*lines, f"{report.mode} gate, seed {report.seed}: {'passed' if report.passes else 'failed'}"])
