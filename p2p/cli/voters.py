"""`ringrift-p2p voters`: who agrees on the state; what only a person may decide about it, in a folder at rest."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from p2p.cli.asking import AsGivenOption, FolderOption, UrlOption, answer, as_object, node_meant

voters = typer.Typer(
    help="Say who agrees on the state; what only a person may decide about it.", invoke_without_command=True
)

RestingOption = Annotated[Path, typer.Option("--data-dir", help="Data folder of a node that does not run.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@voters.callback()
def _group(
    context: typer.Context, url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False
) -> None:
    if context.invoked_subcommand is None:
        _show(url, data_dir, as_json=as_json)
    elif url is not None or data_dir is not None or as_json:
        raise typer.BadParameter(f"write options after {context.invoked_subcommand}")


@voters.command("list")
def list_voters(url: UrlOption = None, data_dir: FolderOption = None, as_json: AsGivenOption = False) -> None:
    """Say who votes, who leads, who is missing, and what the choice of voters waits for (the default)."""
    _show(url, data_dir, as_json=as_json)


@voters.command()
def recover(data_dir: RestingOption = Path(), yes: YesOption = False) -> None:
    """Go on alone, as a new cluster, with the state that one voter has, where most of the others are gone for good."""
    from p2p.membership.recovery import recover as go_on
    from p2p.membership.recovery import recoverable

    root = data_dir.absolute()
    with recoverable(root) as found:
        typer.echo("\n".join(found.lines()))
        _confirm(found.node, yes=yes, what="the name of this node")
        done = go_on(found, datetime.now(UTC))
    typer.echo(f"this node is the cluster {done.cluster_id} now, alone; its old log is kept in {done.kept}")
    typer.echo(f"start it: ringrift-p2p --data-dir {root}, with --port and what else it had")
    typer.echo(
        "every other node that was in the old cluster and lives: end it, then ringrift-p2p voters leave --data-dir "
        "FOLDER, then start it with --peers and the address of this one"
    )


@voters.command()
def leave(data_dir: RestingOption = Path(), yes: YesOption = False) -> None:
    """Forget the cluster of a node that is at rest, its log kept aside; its next start comes into one by --peers."""
    from p2p.membership.leaving import leavable
    from p2p.membership.leaving import leave as forget

    with leavable(data_dir.absolute()) as found:
        typer.echo("\n".join(found.lines()))
        _confirm(found.node, yes=yes, what="the name of this node")
        kept = forget(found, datetime.now(UTC))
    typer.echo("this node is in no cluster now; its key, nets and games are where they were")
    if kept is not None:
        typer.echo(f"its log is kept in {kept}")


@voters.command("forget-id")
def forget_id(data_dir: RestingOption = Path()) -> None:
    """Forget the id of a cluster that this node has adopted and that was never founded; refused where it has a log."""
    from p2p.membership.forgetting import forget

    found = forget(data_dir.absolute())
    if found is None:
        typer.echo("this node has adopted no cluster")
        return
    typer.echo(
        f"forgot the cluster {found.cluster_id}, proposed by {found.proposer}; the next start adopts another one"
    )


def _show(url: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    from p2p.cli.answers import VotersSaid, read
    from p2p.cli.node_questions import console
    from p2p.cli.node_view import voters_lines, voters_table

    content = answer(node_meant(url, data_dir), "/cluster/voters")
    if as_json:
        typer.echo(content)
        return
    said = read(VotersSaid, as_object(content))
    typer.echo("\n".join(voters_lines(said)))
    if said.voters:
        console().print(voters_table(said.voters))


def _confirm(word: str, *, yes: bool, what: str) -> None:
    """Have a person type a word; RingriftError where it is another one."""
    from ringrift_core.errors import RingriftError

    if yes:
        return
    if typer.prompt(f"type {what} ({word}) to go on", default="", show_default=False) != word:
        raise RingriftError("nothing was changed")
