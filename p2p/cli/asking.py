"""Which node a command asks, and how: through the Unix socket of a data folder, or over HTTP.

`--url`, else the socket of `--data-dir`, else the URL of the environment, else the socket of this folder where a node
works in it, else port 8770 of this machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from config.environment import DEFAULT_URL, URL, URLS, ConfigError, p2p_url, process_environment, shown
from p2p.cli.ending import UnreachableError
from ringrift_core.errors import RingriftError

if TYPE_CHECKING:
    import aiohttp

TOKEN = "RINGRIFT_ADMIN_TOKEN"  # noqa: S105 - the name of the variable
ANSWER_BYTES_MAX = 4 << 20
CONNECT_S = 5.0
TIMEOUT_S = 15.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
UNAUTHORIZED = 401
NOT_FOUND = 404
NO_ROUTE = "Not Found"  # what a node says of a path that it does not know; of a thing it says more

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

    url: str | None = None
    data_dir: Path | None = None
    token: str | None = field(default=None, repr=False)  # goes over HTTP only

    @property
    def words(self) -> str:
        """The options that mean the same node in another command."""
        return f"--url {self.url}" if self.data_dir is None else f"--data-dir {self.data_dir}"


def node_meant(url: str | None, data_dir: Path | None, environment: Mapping[str, str] | None = None) -> Asked:
    """The node that options and environment name; ConfigError for what is no URL, or when both options are said."""
    variables = process_environment() if environment is None else environment
    token = variables.get(TOKEN) or None
    if url is not None and data_dir is not None:
        raise ConfigError("say either --url or --data-dir")
    if url is not None:
        return Asked(url=said_url(url), token=token)
    if data_dir is not None:
        return Asked(data_dir=data_dir)
    if any(variables.get(name) for name in URLS):
        return Asked(url=p2p_url(variables), token=token)
    from p2p.http.node_socket import read_record

    if read_record(Path()) is not None:
        return Asked(data_dir=Path())
    return Asked(url=DEFAULT_URL, token=token)


def said_url(text: str) -> str:
    """The URL of `--url`, without a slash at its end; ConfigError when it is none."""
    try:
        return str(URL.read(text))
    except ValueError:
        raise ConfigError(f"--url is {shown(text)}; write {URL.write}") from None


def answer(node: Asked, path: str, method: str = "GET", body: Mapping[str, object] | None = None) -> bytes:
    """What a node answers, as it came.

    UnreachableError when none does, RequestError with its words when it refuses.
    """
    import asyncio

    return asyncio.run(ask(node, path, method, body))


def told(node: Asked, path: str, method: str = "GET", body: Mapping[str, object] | None = None) -> dict[str, object]:
    """The same as an object; RingriftError when it is none."""
    return as_object(answer(node, path, method, body))


def as_object(content: bytes) -> dict[str, object]:
    """The object in an answer; RingriftError when it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RingriftError("what answers there is no node of RingRift, or one of another version; say another --url")
    return found


async def ask(node: Asked, path: str, method: str = "GET", body: Mapping[str, object] | None = None) -> bytes:
    """The same, for callers with an event loop."""
    from p2p.http.errors import RequestError

    try:
        if node.data_dir is None:
            return await _over_http(node, path, method, body)
        return await _through_socket(node.data_dir, path, method, body)
    except RequestError as error:
        if error.status == NOT_FOUND and str(error) == NO_ROUTE:
            where = path.partition("?")[0]
            raise RequestError(f"the node knows no {where}: it is of another version", NOT_FOUND) from None
        raise


async def _through_socket(data_dir: Path, path: str, method: str, body: Mapping[str, object] | None) -> bytes:
    from p2p.http.node_client import NotRunning, fetch

    try:
        return await fetch(data_dir, method, path, body)
    except NotRunning:
        raise _nobody_in(data_dir) from None


def _nobody_in(data_dir: Path) -> UnreachableError:
    folder = data_dir.absolute()
    return UnreachableError(f"no node runs in {folder}; start it: ringrift-p2p --data-dir {folder}")


async def _over_http(node: Asked, path: str, method: str, body: Mapping[str, object] | None) -> bytes:
    import aiohttp

    assert node.url is not None
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_S)
    headers = {} if node.token is None else {"Authorization": f"Bearer {_sendable(node.url, node.token)}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers) as session,
            session.request(method, node.url + path, json=body, allow_redirects=False) as response,
        ):
            content = await _whole(response, node.url)
    except TimeoutError:
        raise UnreachableError(f"{node.url} does not answer in {TIMEOUT_S:g} s; {_advice(node)}") from None
    except aiohttp.ClientConnectorError as error:
        raise UnreachableError(f"nothing answers at {node.url} ({_reason(error)}); {_advice(node)}") from None
    except aiohttp.ClientError as error:
        raise UnreachableError(
            f"{node.url} broke off ({str(error) or type(error).__name__}); {_advice(node)}"
        ) from None
    if response.status >= 300 and path != "/health":
        raise _refusal(node, response.status, content)
    return content


def _sendable(url: str, token: str) -> str:
    """A token as the header of a request can carry it, with a loud word where others on the way can read it."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{TOKEN} is no token; write the one line of the node's token")
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        typer.echo(f"warning: the token goes to {parts.hostname} unencrypted; use https, or a tunnel", err=True)
    return token


async def _whole(response: "aiohttp.ClientResponse", url: str) -> bytes:
    content = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise RingriftError(f"{url} answers with more than {ANSWER_BYTES_MAX >> 20} MiB; it is no node of RingRift")
    return bytes(content)


def _refusal(node: Asked, status: int, content: bytes) -> RingriftError:
    """The refusal of a node in its own words."""
    from p2p.http.errors import RequestError

    try:
        error = json.loads(content)["error"]
        details = error.get("details") or ()
        parts = [str(error["message"]), *(map(str, details) if isinstance(details, list) else ())]
        message = "; ".join(parts)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        message = f"{node.url} refuses it with status {status}"
    if status == UNAUTHORIZED:
        advice = f"set {TOKEN} to the node's token" if node.token is None else f"{TOKEN} is not the node's token"
        message = f"{message}; {advice}"
    return RequestError(message, status)


def _advice(node: Asked) -> str:
    where = "say --url or --data-dir" if node.url == DEFAULT_URL else "say another --url"
    return f"start a node with ringrift-p2p, or {where}"


def _reason(error: "aiohttp.ClientConnectorError") -> str:
    """Why there is no connection; the text of asyncio names its own calls."""
    import os

    cause = error.os_error
    number = cause.errno or 0
    return os.strerror(number) if number > 0 else cause.strerror or str(cause) or type(cause).__name__
