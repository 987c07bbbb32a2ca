"""`ringrift-p2p up`: a cluster of real nodes on this machine."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2p.cli.options import ProfileOption, SetOption

if TYPE_CHECKING:
    from config.loading import Loaded
    from config.sections import NodeSettings
    from config.yaml_file import Plain
    from p2p.local_cluster.nodes import Ending, Order, Screen
    from p2p.local_cluster.plan import NodePlan, Told

FOLDER = Path("out/cluster")
END_S = 15.0  # that a node may take for its end beside jobs.stop_seconds
TOKEN_BYTES = 32
PLAY_SIMS = 64  # as the gate plays


def up(
    nodes: Annotated[int, typer.Option(min=1, max=64, help="Nodes; the cores are divided among them.")] = 3,
    profile: ProfileOption = None,
    until_champion: Annotated[
        bool, typer.Option("--until-champion", help="End when every node has a champion of every game installed.")
    ] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="End after so long.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of the cluster; each node has one in it.")] = FOLDER,
    port: Annotated[
        int | None, typer.Option(help="Port of every node, or where addresses are few of the first (default: 8770).")
    ] = None,
    game: Annotated[
        str | None, typer.Option("--game", help="Config keys, separated by commas, such as hex8_2p,square8_2p.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings, such as config/unified_loop.yaml.")] = None,
    assignments: SetOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines in place of a live picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Run a cluster of several nodes on this machine until Ctrl-C; goes on where it was stopped."""
    from p2p.cli.loop import games_of, settings_of
    from p2p.local_cluster.plan import Told, assigned, plan_of
    from ringrift_core.cores import usable_cores

    sets, games = assigned(assignments or []), games_of(game, None, None)
    wished: dict[str, Plain] = {"node.data_dir": str(data_dir)}
    if port is not None:
        wished["node.port"] = port
    loaded = settings_of(config, profile, assignments or [], wished, games)
    node = loaded.settings.node
    refuse_tls(node)
    plans = plan_of(node, nodes, node.cores or usable_cores(), many_hosts=sys.platform == "linux")
    settings_of(config, profile, assignments or [], {**wished, "node.peers": plans[0].peers}, games)
    for remark in loaded.remarks:
        typer.echo(f"note: {remark}", err=True)
    told = Told(profile, config, games, sets)
    with alone_in(node.data_dir.absolute()):
        refuse_taken(plans)
        make_token(plans[0].token_file)
        for stranger in left_over(plans):
            typer.echo(f"note: {stranger} is there from a larger cluster and stays down; say --nodes", err=True)
        order = order_of(loaded, plans, told, minutes, until_champion=until_champion)
        raise typer.Exit(run(order, node.data_dir.absolute(), plain=plain, as_json=as_json))


# ---- before anything is started ----


def refuse_tls(node: "NodeSettings") -> None:
    """ConfigError for certificates: they are no use on loopback, and the picture asks without."""
    from config.environment import ConfigError

    if node.tls_cert is not None:
        raise ConfigError("node.tls_cert is set; a local cluster speaks plain HTTP on loopback, leave it out here")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep every other cluster out of a folder, by a lock of the kernel; RingriftError when one is there."""
    from managers.state.log_files import DiskFiles, InUseError
    from ringrift_core.errors import RingriftError

    lock = DiskFiles(folder)
    try:
        lock.lock()
    except InUseError:
        raise RingriftError(
            f"{folder}: a local cluster is up there already; Ctrl-C where it runs ends it, another --data-dir (and "
            "--port) has room for a second one"
        ) from None
    try:
        yield
    finally:
        lock.unlock()


def refuse_taken(plans: "tuple[NodePlan, ...]") -> None:
    """RingriftError when a port that a node needs is not free."""
    import socket

    from p2p.http.server import reason_of
    from ringrift_core.errors import RingriftError

    taken = []
    for place in (place for plan in plans for place in plan.ports):
        try:
            socket.create_server(place).close()
        except OSError as error:
            taken.append(f"{place[0]}:{place[1]} ({reason_of(error)})")
    if taken:
        raise RingriftError(
            f"cannot listen at {', '.join(taken)}: another node or cluster may work there, or one that was killed is "
            "still ending; end it, or choose another --port"
        )


def make_token(path: Path) -> None:
    """The token that admits nodes to this cluster, made once, for this user alone."""
    import secrets

    from p2p.identity.private_file import write_new_private

    if not path.exists():
        write_new_private(path, f"{secrets.token_urlsafe(TOKEN_BYTES)}\n".encode())


def left_over(plans: "tuple[NodePlan, ...]") -> list[str]:
    """Folders of nodes that an earlier, larger cluster had."""
    known = {plan.folder.name for plan in plans}
    folder = plans[0].folder.parent
    return sorted(path.name for path in folder.glob("node-*") if path.is_dir() and path.name not in known)


def order_of(
    loaded: "Loaded", plans: "tuple[NodePlan, ...]", told: "Told", minutes: float | None, *, until_champion: bool
) -> "Order":
    """What is to be run."""
    from config.environment import process_environment
    from p2p.local_cluster.child import node_environment
    from p2p.local_cluster.nodes import Order
    from p2p.local_cluster.plan import arguments_of
    from ringrift_core.kernel_cache import Part, can_cache, is_compiled

    settings, folder = loaded.settings, plans[0].folder.parent
    missing = settings.node.computes and can_cache() and not is_compiled(Part.ALL)
    return Order(
        plans=plans,
        arguments={plan.name: arguments_of(plan, told) for plan in plans},
        environment=node_environment(process_environment()),
        games=settings.games,
        drain_s=settings.jobs.stop_seconds + END_S,
        minutes=minutes,
        until_champion=until_champion,
        kernels_log=folder / "logs" / "kernels.log" if missing else None,
    )


# ---- while it runs ----


def run(order: "Order", folder: Path, *, plain: bool, as_json: bool) -> int:
    """Run it, shown on a screen; the exit code."""
    import asyncio
    import resource

    from p2p.cli.up_screen import EndLine
    from p2p.coordination_log import logging_to
    from p2p.local_cluster.nodes import run_cluster

    with ExitStack() as stack:
        stack.enter_context(logging_to(folder / "logs", debug=False))
        screen = screen_of(stack, plain=plain, as_json=as_json)
        screen.say(f"{len(order.plans)} nodes learn {', '.join(order.games)} in {folder}; Ctrl-C ends them")
        ending = asyncio.run(run_cluster(order, screen))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = canonical_files(order, ending)
    cpu_s = used.ru_utime + used.ru_stime
    if as_json:
        line = EndLine(code=ending.code, reached=ending.reached, seconds=ending.seconds, cpu_s=cpu_s, files=files)
        typer.echo(line.model_dump_json())
    else:
        typer.echo("\n".join(last_words(ending, cpu_s, files)))
    return ending.code


def screen_of(stack: ExitStack, *, plain: bool, as_json: bool) -> "Screen":
    """Where it is shown: a live picture in a terminal, else lines."""
    from rich.console import Console

    from p2p.cli.loop_screen import Picture, Writer
    from p2p.cli.up_screen import JsonScreen, PlainScreen, wall
    from p2p.cli.up_view import view_of

    writer = stack.enter_context(Writer())
    if as_json:
        return JsonScreen(writer, sys.stdout, wall)
    console = Console()
    if plain or not console.is_terminal:
        return PlainScreen(writer, sys.stdout)
    return stack.enter_context(Picture(writer, console, view_of))


def canonical_files(order: "Order", ending: "Ending") -> dict[str, tuple[str, ...]]:
    """Where the champions' nets are, of the games that have one, by node."""
    from p2p.local_cluster.sight import installed

    return {
        game: found
        for game in order.games
        if (
            found := tuple(
                str(node.plan.folder / "models" / f"canonical_{game}.pth")
                for node in ending.sight.nodes
                if installed(node, game) is not None
            )
        )
    }


def last_words(ending: "Ending", cpu_s: float, files: Mapping[str, tuple[str, ...]]) -> list[str]:
    """What is left to say: how long it took, where the nets are, how to play one."""
    from managers.milestones import span

    lines = [f"it took {span(ending.seconds)}, and {span(cpu_s)} of CPU time of all processes"]
    for game, paths in files.items():
        lines += [f"champion of {game}: {path}" for path in paths]
    for game, paths in files.items():
        lines.append(f"play it: ringrift play --game {game} --agents human,{paths[0]}:{PLAY_SIMS}")
    return lines
