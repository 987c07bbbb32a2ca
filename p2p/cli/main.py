"""`ringrift`: the commands for people and scripts."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ringrift_core.errors import RingriftError

app = typer.Typer(
    name="ringrift",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Measure how fast things are.", no_args_is_help=True)
app.add_typer(bench, name="bench")
shards = typer.Typer(help="Look into shards of selfplay games and check them.", no_args_is_help=True)
app.add_typer(shards, name="shards")

GameOption = Annotated[str | None, typer.Option("--game", help="Config key, such as hex8_2p.")]
BoardOption = Annotated[str | None, typer.Option("--board-type", help="square8, square19, hex8 or hexagonal.")]
PlayersOption = Annotated[int | None, typer.Option("--num-players", help="2, 3 or 4.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PathsArgument = Annotated[list[Path], typer.Argument(help="Files, or folders to search.", show_default=False)]


def print_version(asked: bool) -> None:
    """Print the installed version and exit, if that was asked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(version("ringrift"))
        raise typer.Exit


@app.callback()
def ringrift(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """RingRift: play the game, check the engine, train stronger players."""


def prepare() -> None:
    """Compile the rules where that was never done, with a note on standard error."""
    from ringrift_core.commands.warmup import ensure_compiled

    ensure_compiled(lambda line: typer.echo(line, err=True))


def config_key(game: str | None, board_type: str | None, num_players: int | None) -> str:
    """The game named by --game, or by --board-type and --num-players (default hex8 with two)."""
    if game is None:
        return f"{board_type or 'hex8'}_{2 if num_players is None else num_players}p"
    if board_type is not None or num_players is not None:
        raise typer.BadParameter("say either --game or --board-type and --num-players")
    return game


@app.command()
def play(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    agents: Annotated[str, typer.Option(help="Who plays, by seat: human or random; the rest is random.")] = "human",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the computer players.")] = 0,
    swap: Annotated[bool, typer.Option(help="Offer seat 2 the swap (two players only).")] = True,
    record: Annotated[Path | None, typer.Option(help="Write the record of the game to this file.")] = None,
) -> None:
    """Play a game in the terminal; ? explains every phase."""
    from rich.console import Console

    from ringrift_core.commands.play import agent_names
    from ringrift_core.commands.play import play as play_game
    from ringrift_core.game import Game
    from ringrift_core.game.config_key import ConfigKey

    prepare()
    key = ConfigKey.parse(config_key(game, board_type, num_players))
    play_game(
        Game.start(key, swap=swap and key.players == 2),
        agent_names(agents),
        seed,
        record,
        Console(),
    )


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="FILE[:GAME_ID[:PLY]]", help="A recorded game and a ply of it.")],
    svg: Annotated[str | None, typer.Option(help="Write a picture to this file (- for standard output).")] = None,
) -> None:
    """Show a position of a recorded game, as text or as an SVG picture."""
    from ringrift_core.commands.show import show as show_position

    prepare()
    typer.echo(show_position(target, svg))


@app.command("verify-traces")
def verify_traces(paths: PathsArgument) -> None:
    """Check recorded games of the reference engine, every ply."""
    from ringrift_core.commands.verify_traces import verify_traces as verify

    prepare()
    raise typer.Exit(verify(paths, typer.echo))


@app.command("verify-vectors")
def verify_vectors(paths: PathsArgument) -> None:
    """Check the hand-made single-step vectors of the reference."""
    from ringrift_core.commands.verify_vectors import verify_vectors as verify

    prepare()
    raise typer.Exit(verify(paths, typer.echo))


@app.command()
def warmup() -> None:
    """Compile the rules ahead of time, once per machine and version."""
    from ringrift_core.commands.warmup import warmup as compile_all

    compile_all(typer.echo)


@bench.command()
def engine(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    games: Annotated[int | None, typer.Option(min=1, help="Games per run (default: about two seconds' worth).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the games.")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="Runs on one core and on all, alternating.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Random legal play: plies and games per second, on one core and on all."""
    from ringrift_core.commands.bench_engine import bench_engine, json_report, text_report
    from ringrift_core.game.config_key import ConfigKey

    prepare()
    key = ConfigKey.parse(config_key(game, board_type, num_players))
    report = bench_engine(key, games=games, seed=seed, runs=runs)
    typer.echo(json.dumps(json_report(report)) if as_json else text_report(report))


def now_s() -> float:
    """Seconds since the epoch."""
    from datetime import UTC, datetime

    return datetime.now(UTC).timestamp()


@shards.command("ls")
def shards_ls(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of shards.")],
    as_json: JsonOption = False,
) -> None:
    """List the shards of a folder, damaged manifests included."""
    from ringrift_core.commands.shards import list_shards

    list_shards(folder, now_s(), typer.echo, as_json=as_json)


@shards.command("check")
def shards_check(
    paths: PathsArgument,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Move what is wrong to quarantine/.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check shards: digests, rules, every game replayed, duplicates within a folder."""
    from ringrift_core.commands.shards import check_shards

    prepare()
    raise typer.Exit(check_shards(paths, now_s(), typer.echo, move=quarantine, as_json=as_json))


@shards.command("show")
def shards_show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A shard.")],
    game: Annotated[int | None, typer.Argument(metavar="[GAME]", help="Number of a game in it, from 0.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the manifest of a shard, or a game of it ply by ply with its policy targets."""
    from ringrift_core.commands.shards import show_shard

    prepare()
    show_shard(file, game, typer.echo, as_json=as_json)


def main() -> NoReturn:
    """Run a command; an expected error is one line on standard error and exit code 2."""
    try:
        app()
    except RingriftError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except (OSError, UnicodeError) as error:
        typer.echo(f"error: {str(error).encode('ascii', 'backslashreplace').decode()}", err=True)
        sys.exit(2)
    sys.exit(0)
