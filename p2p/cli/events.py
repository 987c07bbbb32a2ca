"""`ringrift-p2p events`: what happened, and what happens."""

import json
import time
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

import typer

from p2p.cli.asking import Asked, FolderOption, UrlOption, answer, as_object, node_meant
from p2p.client.node_errors import NodeUnreachable

PAGE = 200  # events in an answer
PAUSE_S = 1.0  # between two questions when there was nothing new
PATIENCE_S = 60.0  # that a node may be away, as when it is restarted, before following ends


def events(
    since: Annotated[
        str | None,
        typer.Option(help="Begin after all events of this number (the first column; default: the earliest kept)."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="TYPE", help="Only events of this type, such as TRAINING_COMPLETED (repeatable)."
        ),
    ] = None,
    url: UrlOption = None,
    data_dir: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print the events of a node; following outlives a restart of the node."""
    node = node_meant(url, data_dir)
    try:
        _print(node, since, types or [], _printer(as_json=as_json), follow=follow)
    except KeyboardInterrupt:
        return


def _print(node: Asked, since: str | None, types: list[str], show: Callable[[object], None], *, follow: bool) -> None:
    """Ask page by page: a page that is not full is the last one for now."""
    from p2p.cli.answers import EventPage, read

    cursor, away_s = since, 0.0
    while True:
        try:
            content = as_object(answer(node, question(cursor, types)))
        except NodeUnreachable:
            if not follow or cursor is None or away_s >= PATIENCE_S:
                raise
            away_s += PAUSE_S
            time.sleep(PAUSE_S)
            continue
        away_s = 0.0
        page = read(EventPage, content)
        if page.gap and cursor is not None:
            typer.echo(f"note: what came right after {cursor} is not kept any more, or was in another folder", err=True)
        given = content["events"]
        assert isinstance(given, list)
        for event in given:
            show(event)
        before, cursor = cursor, str(page.next)
        if not page.events or cursor == before:
            if not follow:
                return
            time.sleep(PAUSE_S)


def question(since: str | None, types: list[str]) -> str:
    """The path that asks for the events after one."""
    wish = {"limit": str(PAGE)}
    if since is not None:
        wish["since"] = since
    if types:
        wish["types"] = ",".join(types)
    return f"/events?{urlencode(wish)}"


def _printer(*, as_json: bool) -> Callable[[object], None]:
    if as_json:
        return lambda event: typer.echo(json.dumps(event))
    from p2p.cli.answers import EventRow, read
    from p2p.cli.node_view import event_line

    return lambda event: typer.echo(event_line(read(EventRow, event)))
