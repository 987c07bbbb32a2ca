"""`ringrift`: the commands for people and scripts."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from p2p.cli.bench import bench
from p2p.cli.daemons import daemons
from p2p.cli.ending import ended
from p2p.cli.loop import loop
from p2p.cli.old_names import old_names
from p2p.cli.options import (
    SEED_MAX,
    BoardOption,
    GameOption,
    JsonOption,
    PathsArgument,
    PlayersOption,
    VersionOption,
    config_key,
    now_s,
    prepare,
)
from p2p.cli.promote import promote
from p2p.cli.sync import sync

app = typer.Typer(
    name="ringrift",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(loop)
app.add_typer(bench, name="bench")
app.command()(promote)
app.command()(daemons)
app.command()(sync)
app.command("old-names")(old_names)
net = typer.Typer(help="Checkpoints of nets.", no_args_is_help=True)
app.add_typer(net, name="net")
shards = typer.Typer(help="Look into shards of selfplay games and check them.", no_args_is_help=True)
app.add_typer(shards, name="shards")
results = typer.Typer(help="Stored matches and gauntlets.", no_args_is_help=True)
app.add_typer(results, name="results")


@app.callback()
def ringrift(version: VersionOption = False) -> None:
    """RingRift: play the game, check the engine, train stronger players."""


@app.command()
def play(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    agents: Annotated[
        str,
        typer.Option(
            help="Who plays, by seat: human, random, greedy, heuristic or the path of a net; heuristic:64 and PATH:64 "
            "search with 64 simulations, PATH:0 is the policy alone. The rest is random."
        ),
    ] = "human",
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
    target: Annotated[
        str, typer.Argument(metavar="FILE[:GAME[:PLY]]", help="A recorded game or one of a match, and a ply of it.")
    ],
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
def warmup(
    first: Annotated[
        bool,
        typer.Option("--first", help="Only what games need that no net plays; the rest is compiled when it is used."),
    ] = False,
) -> None:
    """Compile the rules ahead of time, once per machine and version."""
    from ringrift_core import kernel_cache

    if first:
        kernel_cache.ensure(kernel_cache.Part.FIRST, typer.echo)
    else:
        kernel_cache.warmup(typer.echo)


@app.command()
def selfplay(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    games: Annotated[int, typer.Option(min=0, help="Games to play; 0 plays until you stop it with Ctrl-C.")] = 1000,
    model: Annotated[str, typer.Option(help="Who judges positions: heuristic, random, or a net (.pth).")] = "heuristic",
    sims: Annotated[int, typer.Option(min=0, help="Simulations per full search; 0 plays the policy alone.")] = 16,
    out: Annotated[Path, typer.Option(help="Folder of the shards.")] = Path("data/shards"),
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run (default: a new one).")] = None,
    full_share: Annotated[
        float | None, typer.Option(help="Share of full searches (default 1, from 32 simulations on 0.3).")
    ] = None,
    cheap_sims: Annotated[
        int | None, typer.Option(min=0, help="Simulations of the other searches (default: a quarter).")
    ] = None,
    opening_max: Annotated[int, typer.Option(min=0, help="A game begins with 0 to so many random decisions.")] = 6,
    opponent: Annotated[
        list[str] | None, typer.Option(help="MODEL=SHARE: play this share of the games against it (repeatable).")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Worker processes (default: one per core).")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Games side by side per process (default: measured).")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    deterministic: Annotated[
        bool,
        typer.Option(help="One process unless said, fp32, shards cut by number of games: same command, same shards."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Play games against itself and write them to shards."""
    from ringrift_core.commands.selfplay import selfplay as run

    prepare()
    asked = {
        "game": config_key(game, board_type, num_players),
        "games": games,
        "model": model,
        "sims": sims,
        "out": out,
        "full_share": full_share,
        "cheap_sims": cheap_sims,
        "opening_max": opening_max,
        "slots": slots,
        "device": device,
        "deterministic": deterministic,
    }
    raise typer.Exit(run(asked, seed=seed, opponents=opponent or [], processes=processes, as_json=as_json))


@app.command()
def train(
    data: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of shards.", show_default=False)],
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; one that was begun there goes on.")] = Path("runs/1"),
    parent: Annotated[Path | None, typer.Option(help="The checkpoint to go on from.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of a net with random weights, in place of a parent.")] = None,
    steps: Annotated[int, typer.Option(min=0, help="Steps (0: twice over the window, as the rows allow).")] = 0,
    batch: Annotated[int, typer.Option(min=2, help="Rows per step, of all processes together.")] = 256,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    passes: Annotated[float, typer.Option(help="Samples that may be drawn per row ever made.")] = 4.0,
    max_age_hours: Annotated[float, typer.Option(help="Largest age of the newest shard (0: any).")] = 48.0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between saved states.")] = 500,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16; auto is bf16 on CUDA.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    processes: Annotated[int, typer.Option(min=1, max=64, help="Ranks, by torchrun; one per GPU.")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads per process (default: half of the cores).")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="Seed (default: a fresh one).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a net on shards; writes a candidate with its lineage."""
    from ringrift_core.commands.train import default_threads
    from ringrift_core.commands.train import train as run

    prepare()
    asked = {
        "game": config_key(game, board_type, num_players),
        "data": tuple(data),
        "out": out,
        "parent": parent,
        "size": size,
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "passes": passes,
        "max_age_hours": max_age_hours,
        "save_every": save_every,
        "precision": precision,
        "device": device,
        "threads": threads or default_threads(processes),
    }
    raise typer.Exit(run(asked, seed=seed, processes=processes, as_json=as_json))


@app.command()
def match(
    agents: Annotated[str, typer.Argument(help="Two players or more, such as heuristic:64,greedy (see play).")],
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    games: Annotated[
        int, typer.Option(min=1, max=100_000, help="Games, rounded up to whole rotations of the seats.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of openings and players.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Let players meet in every seat; first places with 95 % bounds."""
    from ringrift_core.commands.match import match as run

    prepare()
    typer.echo(run(config_key(game, board_type, num_players), agents, games, seed, as_json=as_json))


@app.command()
def gauntlet(
    candidate: Annotated[
        str | None,
        typer.Argument(
            metavar="[CANDIDATE]", help="Who is judged: a net (.pth), or any agent such as heuristic:64 (see play)."
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The same, as the path of a net.")] = None,
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    champion: Annotated[str | None, typer.Option(help="The champion to beat, if there is one.")] = None,
    anchor: Annotated[
        list[str] | None, typer.Option(help="The best ever, or somebody beaten before (repeatable).")
    ] = None,
    games: Annotated[int | None, typer.Option(min=1, help="Least games per opponent (default 50).")] = None,
    max_games: Annotated[int | None, typer.Option(min=1, help="Most games per opponent (default: the gate's).")] = None,
    candidate_number: Annotated[int, typer.Option(min=1, help="Candidates of this champion's reign so far.")] = 1,
    sims: Annotated[int, typer.Option(min=0, max=100_000, help="Simulations of a net without a number.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Seed of openings and players.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the matches and results.")] = Path("results"),
    deterministic: Annotated[bool, typer.Option(help="Nets in fp32: same command, same games.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Test a candidate against random, heuristic, the champion and anchors, until one is not beaten."""
    from ringrift_core.commands.gauntlet import GauntletWish
    from ringrift_core.commands.gauntlet import gauntlet as run

    if (candidate is None) == (model is None):
        raise typer.BadParameter("say one candidate, as an argument or as --model")
    prepare()
    wish = GauntletWish(
        game=config_key(game, board_type, num_players),
        candidate=candidate or str(model),
        champion=champion,
        anchors=tuple(anchor or ()),
        games=games,
        games_max=max_games,
        candidate_number=candidate_number,
        sims=sims,
        seed=seed,
        out=out,
        deterministic=deterministic,
    )
    raise typer.Exit(run(wish, as_json=as_json))


@app.command()
def gate(
    mode: Annotated[str, typer.Option(help="ci: a minute on one core; nightly: more games and more boards.")] = "ci",
    game: Annotated[
        str | None, typer.Option("--game", help="The game of the net; without a net, the only game that is checked.")
    ] = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    model: Annotated[
        Path | None, typer.Option(help="Check this net against random and heuristic, not the frozen players.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Seed of openings and players.")] = 1,
    output_json: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
) -> None:
    """Strength regression gate: matches of fixed length, the same for the same seed."""
    from ringrift_core.commands.gate import gate as run

    asked = any(wish is not None for wish in (game, board_type, num_players))
    key = config_key(game, board_type, num_players) if asked or model else None
    prepare()
    raise typer.Exit(run(mode, key, model, seed, output_json))


@results.command("check")
def results_check(paths: PathsArgument, as_json: JsonOption = False) -> None:
    """Check stored matches and gauntlets: names, openings, every game replayed, every count and verdict."""
    from ringrift_core.commands.results import check_results

    prepare()
    raise typer.Exit(check_results(paths, typer.echo, as_json=as_json))


@app.command()
def tournament(
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    agents: Annotated[
        str,
        typer.Option(help="Who plays, separated by commas: names of players, paths of nets, with :SIMS (see play)."),
    ] = "",
    games: Annotated[
        int, typer.Option(min=1, max=100_000, help="Games per pairing, rounded up to whole rotations of the seats.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Seed of openings and players.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the matches.")] = Path("results"),
    baselines: Annotated[
        bool, typer.Option("--include-baselines/--no-baselines", help="Let random and heuristic play too.")
    ] = True,
    leaderboard_only: Annotated[
        bool, typer.Option("--leaderboard-only", help="Play nothing; rate what is stored.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let everybody play everybody, store the matches, and rate all that are stored."""
    from ringrift_core.commands.tournament import Wish, standings
    from ringrift_core.commands.tournament import tournament as run

    key = config_key(game, board_type, num_players)
    if not leaderboard_only:
        prepare()
        run(Wish(key, agents, games, seed, baselines), out, lambda line: typer.echo(line, err=True))
    typer.echo(standings(key, out, as_json=as_json))


@app.command()
def curve(
    results: Annotated[list[Path], typer.Argument(help="Folders of matches, or matches.", show_default=False)],
    svg: Annotated[str | None, typer.Option(help="Write a picture to this file (- for standard output).")] = None,
    game: Annotated[
        str | None, typer.Option(help="Config key, such as hex8_2p (default: the only one there is).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how nets got stronger: win rates and Elo over the positions judged in selfplay."""
    from ringrift_core.commands.curve import curve as run

    typer.echo(run(results, svg, game, as_json=as_json))


@net.command("new")
def net_new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The checkpoint to write.")],
    game: GameOption = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    size: Annotated[str, typer.Option(help="nano, micro, small, base or large.")] = "nano",
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Seed of the weights.")] = 0,
) -> None:
    """Write a net with random weights."""
    from ringrift_core.commands.net import new_net

    typer.echo(new_net(path, config_key(game, board_type, num_players), size, seed))


@net.command("show")
def net_show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint.")], as_json: JsonOption = False
) -> None:
    """Say what a checkpoint is, or why it is refused."""
    from ringrift_core.commands.net import show_net

    typer.echo(show_net(path, as_json=as_json))


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
    """Run a command; an expected error is one line on standard error, and an exit code."""
    ended(app)
