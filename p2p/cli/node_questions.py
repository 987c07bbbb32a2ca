"""`ringrift-p2p status`, `jobs`, `nodes`, `models`, `config`: what a node says of itself."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import quote

import typer

from p2p.cli.asking import AsGivenOption, Asked, FolderOption, UrlOption, answer, as_object, node_meant

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

NO_TERMINAL_WIDTH = 140  # columns
WATCH_S = 1.0  # between two pictures; a node makes a status a second

WatchOption = Annotated[bool, typer.Option("--watch", help="Show it anew every second, until Ctrl-C.")]
JobArgument = Annotated[str | None, typer.Argument(metavar="ID", help="A job: what it is, why it stands so.")]
PathArgument = Annotated[str | None, typer.Argument(metavar="PATH", help="A setting, or a section, such as training.")]


def status(
    url: UrlOption = None, data_dir: FolderOption = None, watch: WatchOption = False, as_json: AsGivenOption = False
) -> None:
    """Say how a node stands: champions, what is expected next, what waits and why, jobs."""
    node = node_meant(url, data_dir)
    if watch:
        _watch(node, as_json=as_json)
        return
    content = answer(node, "/status")
    if as_json:
        typer.echo(content)
    else:
        console().print(status_view(content))


def jobs(
    job_id: JobArgument = None, url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False
) -> None:
    """List the jobs, or say of one what it is, what became of it, and why it waits or runs there."""
    from p2p.cli.answers import JobRow, rows_of
    from p2p.cli.node_view import job_lines, jobs_table

    if job_id is not None and (not job_id.strip(".") or quote(job_id, safe="") != job_id):
        raise typer.BadParameter(f"{job_id[:100]!r} is no id of a job; ringrift-p2p jobs lists them")
    content = answer(node_meant(url, data_dir), "/jobs" if job_id is None else f"/jobs/{job_id}")
    if as_json:
        typer.echo(content)
    elif job_id is not None:
        said = as_object(content)
        inner = said.get("job")
        typer.echo("\n".join(job_lines(inner if isinstance(inner, dict) else said)))
    else:
        found = as_object(content)
        total = found.get("total")
        rows = rows_of(JobRow, found, "jobs")
        console().print(jobs_table(rows, total if isinstance(total, int) else len(rows)))


def nodes(url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False) -> None:
    """List the nodes of the cluster: who is alive, what they have."""
    from p2p.cli.answers import NodeRow, rows_of
    from p2p.cli.node_view import nodes_table

    content = answer(node_meant(url, data_dir), "/nodes")
    if as_json:
        typer.echo(content)
    else:
        console().print(nodes_table(rows_of(NodeRow, as_object(content), "nodes")))


def models(url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False) -> None:
    """List the nets of all games: versions, roles, Elo."""
    from p2p.cli.answers import ModelRow, rows_of
    from p2p.cli.node_view import models_table

    content = answer(node_meant(url, data_dir), "/models")
    if as_json:
        typer.echo(content)
    else:
        console().print(models_table(rows_of(ModelRow, as_object(content), "models")))


def config(
    path: PathArgument = None, url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False
) -> None:
    """Say which settings a node works with: value, who said it, meaning."""
    if path is not None and as_json:
        raise typer.BadParameter("--json prints all settings; leave out the path")
    content = answer(node_meant(url, data_dir), "/config")
    if as_json:
        typer.echo(content)
    else:
        typer.echo("\n".join(setting_lines(as_object(content), path)))


def setting_lines(said: Mapping[str, object], path: str | None) -> list[str]:
    """A line on each setting at or below a path; ConfigError when there is none."""
    from config.catalog import catalog, unknown
    from p2p.cli.answers import as_line
    from p2p.cli.node_view import value_text
    from ringrift_core.errors import RingriftError

    settings, sources = said.get("settings"), said.get("provenance")
    if not isinstance(settings, dict) or not isinstance(sources, dict):
        raise RingriftError("the node is of another version (its answer has other settings); --json shows what it says")
    lines = []
    for name, value in _leaves(settings, "", frozenset(map(str, sources))):
        if path is None or name == path or name.startswith(f"{path}."):
            known = catalog().get(name)
            meaning = "unknown to this version" if known is None else known.meaning
            lines.append(
                f"{as_line(name)}: {value_text(value)} ({value_text(sources.get(name, 'default'))}): {meaning}"
            )
    if path is not None and not lines:
        raise unknown(path)
    return lines


def status_view(content: bytes) -> "RenderableType":
    """A status as a picture; RingriftError when it is of another version."""
    from pydantic import ValidationError
    from rich.console import Group
    from rich.text import Text

    from managers.status_records import Status
    from p2p.cli.answers import Place, read
    from p2p.cli.loop_view import view_of
    from p2p.cli.node_view import place_line
    from ringrift_core.errors import RingriftError

    try:
        picture = view_of(Status.model_validate_json(content))
    except ValidationError:
        as_object(content)
        raise RingriftError("the node is of another version; --json shows what it says") from None
    line = place_line(read(Place, as_object(content)))
    return Group(Text(line), picture) if line else picture


def console() -> "Console":
    """Where tables are printed; wide where it is no terminal."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=NO_TERMINAL_WIDTH, highlight=False)


def _watch(node: Asked, *, as_json: bool) -> None:
    """Show one status after the other until Ctrl-C; NodeUnreachable when the node ends."""
    from rich.live import Live
    from rich.text import Text

    try:
        if as_json:
            _watching(node, typer.echo)
        with Live(Text("asks"), console=console(), auto_refresh=False) as live:
            _watching(node, lambda content: live.update(status_view(content), refresh=True))
    except KeyboardInterrupt:
        return


def _watching(node: Asked, show: Callable[[bytes], None]) -> NoReturn:
    while True:
        show(answer(node, "/status"))
        time.sleep(WATCH_S)


def _leaves(tree: Mapping[str, object], prefix: str, named: frozenset[str]) -> Iterator[tuple[str, object]]:
    """The settings in nested sections, by their paths; what a source names is a setting, whatever its value is."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and path not in named:
            yield from _leaves(value, f"{path}.", named)
        else:
            yield path, value
