"""Talking to the node of a data folder, through its socket."""

import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from p2p.http.errors import RequestError
from p2p.http.node_socket import read_record
from ringrift_core.errors import RingriftError

ANSWER_BYTES_MAX = 4 << 20
TIMEOUT_S = 15.0


class NotRunning(RingriftError):  # noqa: N818 - a state of affairs, for callers to act on
    """No node works in the folder."""


async def request(
    data_dir: Path,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, object]:
    """The answer of the node in a data folder, an object.

    NotRunning when there is no node, RequestError with its words when it refuses, RingriftError without an answer.
    """
    content = await fetch(data_dir, method, path, body, timeout_s=timeout_s)
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RingriftError(f"the node in {data_dir} answers something else than this version expects; restart it")
    return found


async def fetch(
    data_dir: Path,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> bytes:
    """The same as it came."""
    record = read_record(data_dir)
    if record is None:
        raise NotRunning(f"no node runs in {data_dir}")
    limit = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(record.socket), timeout=limit) as session,
            session.request(method, f"http://node{path}", json=body) as response,
        ):
            content = await _whole(response)
            if response.status >= 400 and path != "/health":
                raise _refusal(response.status, content)
            return content
    except (aiohttp.ClientConnectorError, FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"no node runs in {data_dir}") from None
    except TimeoutError:
        pid = record.pid
        raise RingriftError(f"the node in {data_dir} (process {pid}) does not answer in {timeout_s:g} s") from None
    except aiohttp.ClientError as error:
        raise RingriftError(f"the node in {data_dir} broke off: {error}") from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise RingriftError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


def _refusal(status: int, content: bytes) -> RequestError:
    try:
        error = json.loads(content)["error"]
        details = tuple(str(it) for it in error.get("details", ()))
        return RequestError("; ".join((str(error["message"]), *details)), status)
    except (ValueError, LookupError, TypeError, AttributeError):
        return RequestError(f"the node refuses it with status {status}", status)
