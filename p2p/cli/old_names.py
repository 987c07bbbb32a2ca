"""`ringrift old-names`: what stands for a name of the documents, deprecated or not."""

from typing import Annotated

import typer

from p2p.cli.options import JsonOption


def old_names(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A script, module or class, or a part of one; without it all deprecated names."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what to use in place of an older name, script or module."""
    import json

    from p2p.client.documented import DEPRECATED, IMPORTS, MODULES, SCRIPTS, Documented
    from ringrift_core.errors import RulesError

    everything = (*DEPRECATED, *SCRIPTS, *MODULES, *IMPORTS)
    found = DEPRECATED if name is None else tuple(row for row in everything if meant(name, row.theirs))
    if not found:
        raise RulesError(f"{str(name)[:100]!r} is no name of the documents; docs/reference/python.md lists them")

    def words(row: Documented) -> str:
        where = f" ({row.target.partition(':')[0]})" if row.target else ""
        return f"{row.ours.replace('`', '')}{where}" if row.now else f"not in this version; {row.ours.replace('`', '')}"

    if as_json:
        rows = [{"name": row.theirs, "now": row.now, "use": words(row)} for row in found]
        typer.echo(json.dumps({"names": rows}))
        return
    width = max(len(row.theirs) for row in found)
    for row in found:
        typer.echo(f"{row.theirs:<{width}}  {words(row)}")


def meant(word: str, theirs: str) -> bool:
    """Whether a word is a name, or a part of it, however its parts are separated."""
    plain = word.strip().lower().replace("/", ".")
    return bool(plain) and plain.removesuffix(".py") in theirs.lower().replace("/", ".")
