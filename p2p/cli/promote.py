"""`ringrift promote`: make a net champion, by its games or by force; take one back."""

from pathlib import Path
from typing import Annotated

import typer

from p2p.cli.options import BoardOption, GameOption, JsonOption, PlayersOption, config_key, prepare

BY_HAND = "by hand, with ringrift promote"
INTERRUPTED = 130  # exit code after Ctrl-C


def promote(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    gauntlet: Annotated[bool, typer.Option("--gauntlet", help="Judge the net of --model (the default).")] = False,
    model: Annotated[Path | None, typer.Option(help="The net (.pth), wherever it lies.")] = None,
    candidate: Annotated[Path | None, typer.Option(help="The same as --gauntlet --model.")] = None,
    games: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Least games per opponent (default 50).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Play the gauntlet; promote nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Promote without games, a blocked net too.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the history: of --force and --rollback.")] = BY_HAND,
    sync_to_cluster: Annotated[
        bool, typer.Option("--sync-to-cluster", help="Bring the champion to every node; for now there is one.")
    ] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Take the champion back and block its net.")] = False,
    to_version: Annotated[
        int | None, typer.Option(min=1, help="Roll back to this version (default: the champion before).")
    ] = None,
    daemon: Annotated[bool, typer.Option("--daemon", help="Go on judging and promoting; train nothing.")] = False,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two remarks of --daemon.")] = 300,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the node (default: the current one).")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings, a YAML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a net and make it champion if it passes; or force it, or take the champion back."""
    if sum((model is not None, candidate is not None, rollback, daemon)) != 1:
        raise typer.BadParameter("say one of --model, --candidate, --rollback and --daemon")
    if force and (model is None or gauntlet or dry_run):
        raise typer.BadParameter("--force belongs to --model and plays no games")
    if (gauntlet or dry_run) and (rollback or daemon):
        raise typer.BadParameter("--gauntlet and --dry-run belong to --model or --candidate")
    if to_version is not None and not rollback:
        raise typer.BadParameter("--to-version belongs to --rollback")
    from p2p.promotion import PromoteWish
    from p2p.promotion_command import promote_net, roll_back, run_daemon, settings_of
    from ringrift_core.game.config_key import ConfigKey

    key = ConfigKey.parse(config_key(game, board_type, num_players))
    named = (game, board_type, num_players) != (None, None, None)
    settings = settings_of(config, data_dir, daemon=daemon, games=(str(key),) if named else None)
    prepare()
    path = model or candidate
    try:
        if daemon:
            code = run_daemon(settings, interval)
        elif path is None:
            code = roll_back(settings, key, to_version, reason, as_json=as_json)
        else:
            wish = PromoteWish(key, path, games, force=force, reason=reason)
            code = promote_net(settings, wish, dry=dry_run, sync=sync_to_cluster, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo("stopped; a gauntlet that was begun goes on when this command, or a loop, runs again", err=True)
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code)
