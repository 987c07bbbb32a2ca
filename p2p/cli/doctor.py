"""`ringrift-p2p doctor`: whether a node can work here, one line per check, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2p.cli.options import NodeConfOption, ProfileOption, SetOption, now_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from config.loading import Loaded
    from config.schema import Settings
    from config.yaml_file import Plain
    from p2p.doctor.facts import SettingsFacts
    from p2p.doctor.finding import Finding

FORM = "ringrift.doctor/1"
FAILED = 1  # exit code


def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the node (default: the setting, else this one).")
    ] = None,
    peers: Annotated[
        str | None, typer.Option(help="Other nodes to try, separated by commas (default: the setting).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the node, a YAML file.")] = None,
    node_conf: NodeConfOption = None,
    profile: ProfileOption = None,
    assignments: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check machine, settings and folder of a node, running or not; one line per check, with what to do."""
    import json

    from config.environment import process_environment
    from p2p.cli.loop import settings_of
    from p2p.cli.node import peers_of
    from p2p.doctor.examination import gathered, judged
    from p2p.doctor.finding import Level

    settings, said = settings_said(
        lambda wished: settings_of(config, profile, assignments or [], wished, None, node_conf), data_dir
    )
    asked = None if peers is None else peers_of(peers)
    findings = judged(gathered(settings, said, asked, process_environment(), now_s))
    failed = any(it.level is Level.FAIL for it in findings)
    if as_json:
        rows = [it.model_dump(mode="json") for it in findings]
        typer.echo(json.dumps({"form": FORM, "ok": not failed, "findings": rows}))
    else:
        typer.echo("\n".join(report(findings)))
    raise typer.Exit(FAILED if failed else 0)


def settings_said(
    load: "Callable[[dict[str, Plain]], Loaded]", data_dir: Path | None
) -> "tuple[Settings, SettingsFacts]":
    """The settings, or the defaults where they cannot be read, and what is to be said of them."""
    from config.environment import ConfigError
    from config.schema import Settings
    from config.sections import NodeSettings
    from p2p.doctor.facts import SettingsFacts

    wished: dict[str, Plain] = {} if data_dir is None else {"node.data_dir": str(data_dir)}
    try:
        loaded = load(wished)
    except ConfigError as error:
        node = NodeSettings() if data_dir is None else NodeSettings(data_dir=data_dir)
        return Settings(node=node), SettingsFacts(trouble=str(error))
    return loaded.settings, SettingsFacts(remarks=loaded.remarks)


def report(findings: "Iterable[Finding]") -> list[str]:
    """The lines for a person."""
    rows = list(findings)
    width = max(len(it.check) for it in rows)
    return [f"{it.level.value:<5}{it.check:<{width}}  {it.text}{f'; {it.advice}' if it.advice else ''}" for it in rows]
