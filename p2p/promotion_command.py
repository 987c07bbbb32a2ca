"""What `ringrift promote` prints and returns: 0 promoted, or would be; 1 not."""

from pathlib import Path

import typer

from config.loading import load
from config.node_conf import NODE_CONF
from config.schema import Settings
from config.yaml_file import Plain
from managers.promotion_result import PromotionResult
from p2p.promotion import PromoteWish, dry_run, promote, rollback, told_in_a_line, watch
from ringrift_core.commands.progress import progress
from ringrift_core.game.config_key import ConfigKey

HEAD = f"{'opponent':22} {'games':>6} {'wins':>6} {'share':>7}  {'95 %':15} outcome"


def settings_of(
    config: Path | None, data_dir: Path | None, *, daemon: bool, games: tuple[str, ...] | None = None
) -> Settings:
    """The settings of a file, the environment and the options; whoever starts the daemon wants promotions.

    `games` are those that the daemon judges, None those of the settings; a request names its own.
    """
    overrides: dict[str, Plain] = {}
    if data_dir is not None:
        overrides["node.data_dir"] = str(data_dir)
    if daemon:
        overrides["promotion.auto_promote"] = True
        if games is not None:
            overrides["games"] = games
    loaded = load(config, overrides=overrides, node_conf=NODE_CONF)
    for remark in loaded.remarks:
        typer.echo(f"note: {remark}", err=True)
    return loaded.settings


def promote_net(settings: Settings, wish: PromoteWish, *, dry: bool, sync: bool, as_json: bool) -> int:
    """Judge or force a net; the exit code."""
    with progress() as line:
        result = dry_run(settings, wish, line.show) if dry else promote(settings, wish, line.show)
    typer.echo(result.model_dump_json() if as_json else text_of(result))
    if sync and result.promoted:
        typer.echo("--sync-to-cluster: there is one node, and it has the net", err=True)
    return 0 if result.succeeded else 1


def roll_back(settings: Settings, key: ConfigKey, to_version: int | None, reason: str, *, as_json: bool) -> int:
    """Take a champion back; the exit code."""
    result = rollback(settings, key, to_version, reason)
    if as_json:
        typer.echo(result.model_dump_json())
    elif result.success:
        versions = f"version {result.from_version} is blocked, version {result.to_version} is champion"
        typer.echo(f"{result.model_id}: {versions} ({result.reason})\n{result.canonical_path or 'not installed yet'}")
    else:
        typer.echo(f"{result.model_id}: not rolled back: {result.failure_reason}")
    return 0 if result.success else 1


def run_daemon(settings: Settings, interval_s: float) -> int:
    """Judge and promote until a signal comes, or the loop that does so ends; the exit code."""
    watch(settings, interval_s, typer.echo)
    return 0


def text_of(result: PromotionResult) -> str:
    """A result for people."""
    lines = []
    if result.met:
        lines.append(HEAD)
    for who, row in zip(result.win_rates, result.met, strict=True):
        bounds = f"{row.low:.1%}-{row.high:.1%}"
        lines.append(f"{who:22} {row.games:6} {row.wins:6} {row.share:7.1%}  {bounds:15} {row.outcome}")
    if result.elo is not None and result.elo_margin is not None:
        lines.append(f"Elo {result.elo:.0f} +- {result.elo_margin:.0f}")
    lines.append(told_in_a_line(result.model_copy(update={"win_rates": {}})))
    lines += [text for text in (result.canonical_path, result.remark) if text]
    return "\n".join(lines)
