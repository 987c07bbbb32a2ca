"""`ringrift bench`: how fast things are."""

import json
from pathlib import Path
from typing import Annotated

import typer

from p2p.cli.options import SEED_MAX, BoardOption, GameOption, JsonOption, PlayersOption, config_key, prepare

bench = typer.Typer(help="Measure how fast things are.", no_args_is_help=True)


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


@bench.command("search")
def bench_search(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    model: Annotated[str, typer.Option(help="Who judges: heuristic, random, or a net (.pth).")] = "heuristic",
    sims: Annotated[list[int] | None, typer.Option(min=0, help="Simulations (repeatable).")] = None,
    slots: Annotated[int, typer.Option(min=1, max=65_536, help="Positions searched side by side.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the positions.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """What a search of n simulations costs: positions judged, cache hits, batch fill."""
    from ringrift_core.commands.bench_search import bench_search as run
    from ringrift_core.commands.bench_search import text_report

    prepare()
    report = run(config_key(game, board_type, num_players), model, sims or [16, 64], slots, seed)
    typer.echo(json.dumps(report) if as_json else text_report(report))


@bench.command("selfplay")
def bench_selfplay(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    size: Annotated[list[str] | None, typer.Option(help="Net sizes (repeatable; default micro and nano).")] = None,
    sims: Annotated[int, typer.Option(min=0, help="Simulations per decision.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a run.")] = 8.0,
    runs: Annotated[int, typer.Option(min=1, help="Runs, taking turns with the bare forward.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Seed of weights and games.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Selfplay on one core against the bare forward of the same net."""
    from ringrift_core.commands.bench_selfplay import bench_selfplay as run
    from ringrift_core.commands.bench_selfplay import text_report

    prepare()
    report = run(config_key(game, board_type, num_players), size or ["micro", "nano"], sims, seconds, runs, seed)
    typer.echo(json.dumps(report) if as_json else text_report(report))


@bench.command("train")
def bench_train(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Shards (default: games made for it).")
    ] = None,
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    size: Annotated[list[str] | None, typer.Option(help="Net sizes (repeatable; default nano and micro).")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Rows per step.")] = 256,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a run.")] = 40,
    runs: Annotated[int, typer.Option(min=1, help="Runs, taking turns with the bare loop.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Training on one thread against a bare PyTorch loop with the same net and batch."""
    from ringrift_core.commands.bench_train import bench_train as run
    from ringrift_core.commands.bench_train import text_report

    prepare()
    sizes = size or ["nano", "micro"]
    report = run(config_key(game, board_type, num_players), folder, sizes, batch=batch, steps=steps, runs=runs)
    typer.echo(json.dumps(report) if as_json else text_report(report))
