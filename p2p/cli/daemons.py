"""`ringrift daemons`: the services of a node; say how they stand, stop one, start it, restart it."""

from typing import Annotated

import typer

from p2p.cli.asking import AsGivenOption, Asked, FolderOption, UrlOption, answer, as_object, node_meant

NAME_CHARS_MAX = 128


def daemons(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A daemon, as --status names it.", show_default=False)
    ] = None,
    action: Annotated[
        str | None, typer.Argument(metavar="ACTION", help="start, stop or restart.", show_default=False)
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Say how all of them stand (the default).")] = False,
    url: UrlOption = None,
    data_dir: FolderOption = None,
    as_json: AsGivenOption = False,
) -> None:
    """Say how the daemons of a node stand, or start, stop or restart one of them."""
    if name is not None and status:
        raise typer.BadParameter("--status shows all daemons; leave out the name")
    if (name is None) != (action is None):
        raise typer.BadParameter("say a daemon and start, stop or restart; or nothing, to see them all")
    node = node_meant(url, data_dir)
    if name is None or action is None:
        _show(node, as_json=as_json)
        return
    if action not in {"start", "stop", "restart"}:
        raise typer.BadParameter(f"there is no {action!r}; say start, stop or restart")
    if not name.replace("_", "").isalnum() or not name.isascii() or len(name) > NAME_CHARS_MAX:
        raise typer.BadParameter(f"{name!r} is no daemon; ringrift daemons names them")
    content = answer(node, f"/admin/daemons/{name}/{action}", "POST", {})
    typer.echo(content if as_json else f"{name}: {_became(as_object(content))}")


def _show(node: Asked, *, as_json: bool) -> None:
    from p2p.cli.answers import DaemonRow, table_of
    from p2p.cli.node_questions import console
    from p2p.cli.node_view import daemons_table

    content = answer(node, "/admin/daemons")
    if as_json:
        typer.echo(content)
    else:
        console().print(daemons_table(table_of(DaemonRow, as_object(content), "daemons")))


def _became(content: dict[str, object]) -> str:
    """What became of an order, in the words of the node."""
    from p2p.cli.answers import as_line

    for key in ("state", "status", "reason"):
        word = content.get(key)
        if isinstance(word, str) and word:
            return str(as_line(word))
    return "done"
