"""`ringrift sync`: a node looks at once at what the other nodes hold, and fetches what it should have."""

from typing import Annotated

import typer

from p2p.cli.asking import AsGivenOption, FolderOption, UrlOption, answer, as_object, node_meant

WHATS = ("games", "models", "all")


def sync(
    what: Annotated[str, typer.Argument(help="games, models or all.")] = "all",
    url: UrlOption = None,
    data_dir: FolderOption = None,
    as_json: AsGivenOption = False,
) -> None:
    """Bring to a node now what it should have of other nodes: shards, champions, gauntlets."""
    if what not in WHATS:
        raise typer.BadParameter(f"there is no {what!r}; say {', '.join(WHATS)}")
    content = answer(node_meant(url, data_dir), "/admin/sync", "POST", {"what": what})
    if as_json:
        typer.echo(content)
        return
    from p2p.cli.answers import as_line

    said = as_object(content)
    nodes, problems = said.get("nodes"), said.get("problems")
    asked = len(nodes) if isinstance(nodes, list) else 0
    more = "" if said.get("done") else "; it goes on"
    typer.echo(
        f"asked {asked} other nodes, {said.get('files', 0)} files came{more}" if asked else "no other node is there"
    )
    for problem in problems if isinstance(problems, list) else []:
        typer.echo(as_line(str(problem)))
