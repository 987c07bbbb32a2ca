"""`ringrift-p2p voters`: what only a person may decide about who votes."""

from pathlib import Path
from typing import Annotated

import typer

voters = typer.Typer(help="What only a person may decide about who votes.", no_args_is_help=True)


@voters.callback()
def _group() -> None:
    pass


@voters.command("forget-id")
def forget_id(
    data_dir: Annotated[Path, typer.Option(help="Data folder of a node that does not run.")] = Path(),
) -> None:
    """Forget the id of a cluster that this node has adopted and that was never founded; refused where it has a log."""
    from p2p.membership.forgetting import forget

    found = forget(data_dir.absolute())
    if found is None:
        typer.echo("this node has adopted no cluster")
        return
    typer.echo(
        f"forgot the cluster {found.cluster_id}, proposed by {found.proposer}; the next start adopts another one"
    )
