"""Which node a command asks, and how: through the Unix socket of a data folder, or over HTTP.

`--url`, else the socket of `--data-dir`, else the URL of the environment, else the socket of this folder where a node
works in it, else port 8770 of this machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.environment import DEFAULT_URL, URL, URLS, ConfigError, p2p_url, process_environment, secret_of, shown
from ringrift_core.errors import RingriftError

if TYPE_CHECKING:
    from p2p.client.node_http import NodeHttp

TOKEN = "RINGRIFT_ADMIN_TOKEN"  # noqa: S105 - the name of the variable
NO_ROUTE = "there is no such path"  # what a node says of a path that it does not know (p2p/http/guard.py)

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The node that is asked (default: RINGRIFT_P2P_URL, else the node of this folder, else port 8770 here).",
    ),
]
FolderOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Data folder of a node on this machine, asked through its socket.")
]
AsGivenOption = Annotated[bool, typer.Option("--json", help="Print the answer of the node as it is.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """A node that is asked, through one of the two."""

    http: "NodeHttp | None" = None
    data_dir: Path = Path()


def node_meant(url: str | None, data_dir: Path | None, environment: Mapping[str, str] | None = None) -> Asked:
    """The node that options and environment name; ConfigError for what is no URL, or when both options are said."""
    variables = process_environment() if environment is None else environment
    if url is not None and data_dir is not None:
        raise ConfigError("say either --url or --data-dir")
    if url is not None:
        return _over_http(said_url(url), variables)
    if data_dir is not None:
        return Asked(data_dir=data_dir)
    if any(variables.get(name) for name in URLS):
        return _over_http(p2p_url(variables), variables)
    from p2p.http.node_socket import read_record

    return _over_http(DEFAULT_URL, variables) if read_record(Path()) is None else Asked()


def _over_http(url: str, variables: Mapping[str, str]) -> Asked:
    """A node over HTTP, with a loud word where others can read the token on its way."""
    from p2p.client.node_http import NodeHttp

    elsewhere = "say --url or --data-dir" if url == DEFAULT_URL else "say another --url"
    http = NodeHttp(url, secret_of(TOKEN, variables), elsewhere=elsewhere)
    if http.exposure:
        typer.echo(f"warning: {http.exposure}", err=True)
    return Asked(http)


def said_url(text: str) -> str:
    """The URL of `--url`, without a slash at its end; ConfigError when it is none."""
    try:
        return str(URL.read(text))
    except ValueError:
        raise ConfigError(f"--url is {shown(text)}; write {URL.write}") from None


def answer(node: Asked, path: str, method: str = "GET", body: Mapping[str, object] | None = None) -> bytes:
    """What a node answers, a JSON object as it came.

    NodeUnreachable when none does, RingriftError with its words when it refuses.
    """
    try:
        if node.http is not None:
            return node.http.ask(method, path, body)
        return _through_socket(node.data_dir, path, method, body)
    except RingriftError as error:
        if str(error) == NO_ROUTE:
            raise RingriftError(_no_route(node, path.partition("?")[0])) from None
        raise


def as_object(content: bytes) -> dict[str, object]:
    """The object in an answer; RingriftError when it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RingriftError("the node is of another version: its answer is no object; restart it")
    return found


def _through_socket(data_dir: Path, path: str, method: str, body: Mapping[str, object] | None) -> bytes:
    import asyncio

    from p2p.client.node_errors import NodeUnreachable
    from p2p.http.node_client import NotRunning, fetch

    try:
        content = asyncio.run(fetch(data_dir, method, path, body))
    except NotRunning:
        folder = data_dir.absolute()
        raise NodeUnreachable(f"no node runs in {folder}; start it: ringrift-p2p --data-dir {folder}") from None
    as_object(content)
    return content


def _no_route(node: Asked, path: str) -> str:
    from urllib.parse import urlsplit

    more = "" if node.http is None else urlsplit(node.http.url).path
    advice = f"leave {more} out of its URL" if more else "it is of another version"
    return f"the node knows no {more}{path}: {advice}"
