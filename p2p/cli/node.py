"""`ringrift-p2p`: run a node; ask one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from p2p.cli.doctor import doctor
from p2p.cli.ending import ended
from p2p.cli.events import events
from p2p.cli.node_questions import config as config_command
from p2p.cli.node_questions import jobs, models, nodes, status
from p2p.cli.options import NodeConfOption, ProfileOption, SetOption, VersionOption
from p2p.cli.voters import voters

if TYPE_CHECKING:
    from config.yaml_file import Plain

NOT_JOINED = (
    "note: nodes do not join each other in this version: this one keeps its peers in its settings and works as a "
    "cluster of one"
)

PeersOption = Annotated[
    str | None, typer.Option(help="Nodes that it asks first, separated by commas, such as gpu-1:8770,gpu-2:8770.")
]
AdvertiseOption = Annotated[
    str | None, typer.Option(help="HOST:PORT that others are told (default: where it listens).")
]
ExpectOption = Annotated[
    int | None,
    typer.Option(help="Nodes that must agree before a cluster is founded (default: a majority of the peers)."),
]
SpotOption = Annotated[
    bool | None, typer.Option("--spot", help="This machine may be taken away at any time: it never votes.")
]

app = typer.Typer(
    name="ringrift-p2p",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (status, jobs, events, nodes, models, config_command, doctor):
    app.command()(command)
app.add_typer(voters, name="voters")


@app.callback(invoke_without_command=True)
def ringrift_p2p(
    context: typer.Context,
    node_id: Annotated[str | None, typer.Option(help="Name of this node (default: the host name).")] = None,
    peers: PeersOption = None,
    port: Annotated[
        int | None, typer.Option(help="Port that it listens at (default: 8770); 0: a free one, which is said.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address that it listens at (default: 127.0.0.1); others need an admin token.")
    ] = None,
    advertise: AdvertiseOption = None,
    bootstrap_expect: ExpectOption = None,
    spot: SpotOption = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the node (default: the setting, else this one).")
    ] = None,
    profile: ProfileOption = None,
    config: Annotated[Path | None, typer.Option(help="Settings, such as config/unified_loop.yaml.")] = None,
    node_conf: NodeConfOption = None,
    assignments: SetOption = None,
    game: Annotated[
        str | None, typer.Option("--game", help="Config keys, separated by commas, such as hex8_2p,square8_2p.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificates that it shows, its own first.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of --tls-cert.")] = None,
    admin_token_file: Annotated[
        Path | None, typer.Option(help="Holds the token of the people who may change something.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What happens as one JSON object per line.")] = False,
    version: VersionOption = False,  # noqa: ARG001 - its callback prints it
) -> None:
    """Run a node of RingRift until SIGTERM or Ctrl-C; with a command below: ask one."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from p2p.cli.loop import games_of, run, settings_of
    from p2p.membership.addresses import own_addresses, strangers
    from p2p.node import NodeWish

    flags = {
        "node.node_id": node_id,
        "node.peers": None if peers is None else peers_of(peers),
        "node.port": port,
        "node.host": host,
        "node.advertise": advertise,
        "node.bootstrap_expect": bootstrap_expect,
        "node.spot": spot,
        "node.data_dir": _text(data_dir),
        "node.tls_cert": _text(tls_cert),
        "node.tls_key": _text(tls_key),
        "node.admin_token_file": _text(admin_token_file),
    }
    wished: dict[str, Plain] = {path: value for path, value in flags.items() if value is not None}
    loaded = settings_of(config, profile, assignments or [], wished, games_of(game, None, None), node_conf)
    for remark in loaded.remarks:
        typer.echo(f"note: {remark}", err=True)
    if strangers(loaded.settings.node.peers, own_addresses(loaded.settings.node)):
        typer.echo(NOT_JOINED, err=True)
    raise typer.Exit(run(loaded, NodeWish(must_listen=True), plain=True, as_json=as_json))


def peers_of(text: str) -> tuple[str, ...]:
    """The addresses in a list with commas; the settings judge each."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def main() -> NoReturn:
    """Run a command; an expected error is one line on standard error, and an exit code."""
    ended(app)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _refuse_options(context: typer.Context) -> None:
    """BadParameter for an option before a command: it is the command's to have it, or nobody's."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next((it.opts[0] for it in context.command.params if it.name == name), name)
            raise typer.BadParameter(
                f"{option} before a command does nothing; write it after {context.invoked_subcommand}, if that has it"
            )
