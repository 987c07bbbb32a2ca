"""What the commands share: options that mean the same everywhere, and what they do first."""

from pathlib import Path
from typing import Annotated

import typer

GameOption = Annotated[str | None, typer.Option("--game", help="Config key, such as hex8_2p.")]
BoardOption = Annotated[str | None, typer.Option("--board-type", help="square8, square19, hex8 or hexagonal.")]
PlayersOption = Annotated[int | None, typer.Option("--num-players", help="2, 3 or 4.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SEED_MAX = (1 << 63) - 1
PathsArgument = Annotated[list[Path], typer.Argument(help="Files, or folders to search.", show_default=False)]
ProfileOption = Annotated[str | None, typer.Option(help="Which defaults hold: local, demo or production.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="A setting (repeatable).")]
NodeConfOption = Annotated[
    Path | None, typer.Option(help="Variables of this machine (default: /etc/ringrift/node.conf, where there is one).")
]


def print_version(asked: bool) -> None:
    """Print the installed version and exit, if that was asked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(version("ringrift"))
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=print_version)
]


def prepare() -> None:
    """Compile the rules where that was never done, with a note on standard error."""
    from ringrift_core.kernel_cache import Part, ensure

    ensure(Part.ALL, lambda line: typer.echo(line, err=True))


def config_key(game: str | None, board_type: str | None, num_players: int | None) -> str:
    """The game named by --game, or by --board-type and --num-players (default hex8 with two)."""
    if game is None:
        return f"{board_type or 'hex8'}_{2 if num_players is None else num_players}p"
    if board_type is not None or num_players is not None:
        raise typer.BadParameter("say either --game or --board-type and --num-players")
    return game


def now_s() -> float:
    """Seconds since the epoch."""
    from datetime import UTC, datetime

    return datetime.now(UTC).timestamp()
