"""`ringrift loop`: the whole way from selfplay to champion, on this machine; and what may be asked of it."""

import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from p2p.cli.ending import NO_NODE
from p2p.cli.options import SEED_MAX, BoardOption, NodeConfOption, PlayersOption, ProfileOption, SetOption, prepare

if TYPE_CHECKING:
    from config.loading import Loaded
    from config.schema import Settings
    from config.yaml_file import Plain
    from managers.state.cluster_state import Result
    from managers.state.commands import HaltAll, ResumeAll
    from managers.status_records import Status
    from p2p.node import NodeWish, Screen

NO_TERMINAL_WIDTH = 140  # columns
ORDER = {"halt": "halted", "resume": "goes on"}
T = TypeVar("T")


def loop(
    game: Annotated[
        str | None, typer.Option("--game", help="Config keys, separated by commas, such as hex8_2p,square8_2p.")
    ] = None,
    board_type: BoardOption = None,
    num_players: PlayersOption = None,
    config: Annotated[Path | None, typer.Option(help="Settings, such as config/unified_loop.yaml.")] = None,
    node_conf: NodeConfOption = None,
    profile: ProfileOption = None,
    assignments: SetOption = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the loop (default: the setting, else this one).")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="Seed of all jobs.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores that jobs may use (default: all).")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="End after so long.")] = None,
    champions: Annotated[int | None, typer.Option(min=1, help="End when every game has had so many champions.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the loop of the folder; starts none.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how the loop of the folder stands.")] = False,
    halt: Annotated[bool, typer.Option("--halt", help="Stop all jobs; none is started until --resume.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after a halt.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is halted.")] = "no reason given",
    plain: Annotated[bool, typer.Option("--plain", help="Lines in place of a live picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Play, train, judge and promote until you stop it; goes on where it was stopped."""
    if watch + status + halt + resume > 1:
        raise typer.BadParameter("say one of --watch, --status, --halt and --resume")
    flags = {"node.data_dir": None if data_dir is None else str(data_dir), "seed": seed, "node.cores": cores}
    wished = {path: value for path, value in flags.items() if value is not None}
    loaded = settings_of(config, profile, assignments or [], wished, games_of(game, board_type, num_players), node_conf)
    for remark in loaded.remarks:
        typer.echo(f"note: {remark}", err=True)
    if halt or resume:
        order(loaded.settings, "halt" if halt else "resume", reason, as_json=as_json)
    elif status:
        show_status(loaded.settings, as_json=as_json)
    elif watch:
        raise typer.Exit(watch_loop(loaded.settings, as_json=as_json))
    else:
        from p2p.node import NodeWish

        wish = NodeWish(minutes, champions)
        raise typer.Exit(run(loaded, wish, plain=plain, as_json=as_json, prepare=prepare))


# ---- settings ----


def games_of(game: str | None, board_type: str | None, num_players: int | None) -> tuple[str, ...] | None:
    """The games that were named; None: those of the settings."""
    if board_type is not None or num_players is not None:
        if game is not None:
            raise typer.BadParameter("say either --game or --board-type and --num-players")
        return (f"{board_type or 'hex8'}_{2 if num_players is None else num_players}p",)
    return None if game is None else tuple(name.strip() for name in game.split(",") if name.strip())


def settings_of(
    file: Path | None,
    profile: str | None,
    assignments: list[str],
    wished: "Mapping[str, Plain]",
    games: tuple[str, ...] | None,
    node_conf: Path | None = None,
) -> "Loaded":
    """The settings out of all sources; ConfigError when one is wrong, or said twice here."""
    from config.environment import ConfigError
    from config.loading import load, parse_override
    from config.node_conf import NODE_CONF

    overrides = dict(parse_override(text) for text in assignments)
    own = {**wished, **({} if games is None else {"games": games})}
    if twice := sorted(overrides.keys() & own.keys()):
        raise ConfigError(f"{twice[0]} is said twice on the command line; keep one of them")
    if len(overrides) < len(assignments):
        raise ConfigError("a setting is said twice by --set; keep one of them")
    return load(file, profile=profile, overrides={**overrides, **own}, node_conf=node_conf or NODE_CONF)


# ---- the loop itself ----


def run(
    loaded: "Loaded", wish: "NodeWish", *, plain: bool, as_json: bool, prepare: Callable[[], None] | None = None
) -> int:
    """Run a node in the foreground; the exit code. Where nothing is prepared the first job compiles the kernels."""
    settings = loaded.settings
    refuse_second(settings)
    from config.environment import process_environment
    from managers.node_folder import NodeFolder
    from managers.resource_watch import memory_refusal
    from managers.runtime import ServiceFailedError
    from managers.state.log_files import InUseError
    from p2p.coordination_log import logging_to
    from p2p.identity.credentials import load_credentials
    from p2p.node import run_node
    from ringrift_core.errors import RingriftError

    if (refusal := memory_refusal(settings)) is not None:
        raise RingriftError(refusal)
    if settings.node.computes and prepare is not None:
        prepare()
    secrets = load_credentials(settings.node, process_environment()).revealed()
    logs = NodeFolder(settings.node.data_dir.absolute()).logs
    try:
        with ExitStack() as stack:
            stack.enter_context(logging_to(logs, debug=settings.monitoring.debug, secrets=secrets))
            screen = screen_of(stack, plain=plain, as_json=as_json)
            screen.say(f"learning {', '.join(settings.games)} in {settings.node.data_dir.absolute()}; Ctrl-C ends it")
            return answer_of(run_node(settings, wish, screen, loaded.provenance))
    except InUseError:
        refuse_second(settings)
        raise
    except ServiceFailedError as error:
        typer.echo(f"error: {error}; see {logs / 'coordination.log'}", err=True)
        return 1


def screen_of(stack: ExitStack, *, plain: bool, as_json: bool) -> "Screen":
    """Where it is shown: a live picture in a terminal, else lines."""
    from rich.console import Console

    from p2p.cli.loop_screen import JsonScreen, LiveScreen, PlainScreen, Writer

    writer = stack.enter_context(Writer())
    if as_json:
        return JsonScreen(writer, sys.stdout)
    console = Console()
    if plain or not console.is_terminal:
        return PlainScreen(writer, sys.stdout)
    return stack.enter_context(LiveScreen(writer, console))


def refuse_second(settings: "Settings") -> None:
    """RingriftError when a loop works in the folder."""
    from p2p.http.node_client import NotRunning, request
    from p2p.http.node_socket import living_pid
    from ringrift_core.errors import RingriftError

    folder = settings.node.data_dir
    try:
        answer_of(request(folder, "GET", "/health"))
    except NotRunning:
        return
    raise RingriftError(
        f"{folder.absolute()}: a loop works there already (process {living_pid(folder)}); "
        "`ringrift loop --watch` shows it, another --data-dir has room for a second one"
    )


# ---- questions and orders ----


def show_status(settings: "Settings", *, as_json: bool) -> None:
    """Print how the loop stands; from its folder where none runs."""
    status = answer_of(asked(settings))
    if as_json:
        typer.echo(status.model_dump_json())
    else:
        draw(status)


def draw(status: "Status") -> None:
    """Print the picture once."""
    from rich.console import Console

    from p2p.cli.loop_view import view_of

    console = Console()
    (console if console.is_terminal else Console(width=NO_TERMINAL_WIDTH)).print(view_of(status))


def watch_loop(settings: "Settings", *, as_json: bool) -> int:
    """Show the loop until it ends or Ctrl-C; the exit code."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from p2p.cli.loop_view import view_of
    from p2p.http.node_client import NotRunning

    pause_s = settings.monitoring.refresh_seconds
    try:
        if as_json:
            answer_of(watching(settings, lambda status: typer.echo(status.model_dump_json()), pause_s))
        with Live(Text("asks"), console=Console(), auto_refresh=False) as live:
            answer_of(watching(settings, lambda status: live.update(view_of(status), refresh=True), pause_s))
    except KeyboardInterrupt:
        return 0
    except NotRunning as error:
        typer.echo(f"{error}; its last state: ringrift loop --status", err=True)
        return NO_NODE


async def watching(settings: "Settings", show: Callable[["Status"], None], pause_s: float) -> NoReturn:
    """Show one status after the other; NotRunning when there is no loop, or no more."""
    import asyncio

    while True:
        show(await live_status(settings))
        await asyncio.sleep(pause_s)


async def live_status(settings: "Settings") -> "Status":
    """What the loop of the folder says; NotRunning without one."""
    from pydantic import ValidationError

    from managers.status_records import Status
    from p2p.http.node_client import fetch
    from ringrift_core.errors import RingriftError

    try:
        return Status.model_validate_json(await fetch(settings.node.data_dir, "GET", "/status"))
    except ValidationError:
        raise RingriftError("the loop that runs is of another version; restart it") from None


async def asked(settings: "Settings") -> "Status":
    """What the loop of the folder says, else what is in the folder."""
    from managers.status import Sight, status_of
    from managers.steady_clock import SteadyClock
    from p2p.http.node_client import NotRunning
    from p2p.orchestrator import named_as_before, opened_state

    try:
        return await live_status(settings)
    except NotRunning:
        refuse_stranger(settings)
    async with opened_state(settings) as consensus:
        state = consensus.state
        settings = named_as_before(settings, next(iter(state.members), None))
        member = state.members.get(settings.node.node_id)
        sight = Sight(
            state=state,
            settings=settings,
            now=SteadyClock(at_least=state.now)(),
            games=tuple(sorted(state.learners)) or settings.games,
            session=0 if member is None else member.session,
        )
        return status_of(sight)


def order(settings: "Settings", name: str, reason: str, *, as_json: bool) -> None:
    """Halt or resume, through the loop or, where none runs, in its folder."""
    import json

    changed, why = answer_of(ordered(settings, name, reason))
    if as_json:
        typer.echo(json.dumps({"changed": changed, "reason": why}))
    else:
        typer.echo(ORDER[name] if changed else why)


async def ordered(settings: "Settings", name: str, reason: str) -> tuple[bool, str]:
    """Whether the order changed anything, and why not."""
    from p2p.http.node_client import NotRunning, request

    try:
        body = {"reason": reason} if name == "halt" else {}
        answer = await request(settings.node.data_dir, "POST", f"/admin/{name}", body)
        return bool(answer.get("changed")), str(answer.get("reason", ""))
    except NotRunning:
        refuse_stranger(settings)
    from managers.state.commands import HaltAll, ResumeAll
    from p2p.http.admin_api import ADMIN

    result = await written(settings, HaltAll(by=ADMIN, reason=reason) if name == "halt" else ResumeAll(by=ADMIN))
    return result.accepted, result.reason


async def written(settings: "Settings", body: "HaltAll | ResumeAll") -> "Result":
    """A command written into the log of a folder where no loop works."""
    import secrets

    from managers.state.commands import Command, encode
    from managers.steady_clock import SteadyClock
    from p2p.orchestrator import opened_state

    async with opened_state(settings) as consensus:
        at = SteadyClock(at_least=consensus.state.now)()
        command = Command(client=f"command line/{secrets.token_hex(8)}", sequence=1, at=at, body=body)
        return await consensus.propose(encode(command), 30.0)


def refuse_stranger(settings: "Settings") -> None:
    """RingriftError for a folder in which no loop has ever worked: a mistyped one is not made."""
    from managers.node_folder import NodeFolder
    from ringrift_core.errors import RingriftError

    folder = settings.node.data_dir.absolute()
    if not NodeFolder(folder).log.exists():
        raise RingriftError(f"{folder}: no loop has worked there; say --data-dir")


def answer_of(work: Coroutine[None, None, T]) -> T:
    """What a coroutine returns; asyncio is loaded here only, because the other commands start without it."""
    import asyncio

    return asyncio.run(work)
