"""HttpNodeProbe: asks another node's `/health`, which is open to everybody."""

from collections.abc import Callable, Iterable

import aiohttp
from pydantic import ConfigDict, ValidationError

from managers.health import Health
from managers.ports import ProbedHealth, ProbeError

ANSWER_BYTES_MAX = 64 << 10
FAILING = 503  # `/health` of a node that fails has a body too


class _Said(Health):
    """What of an answer counts here; other versions say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HttpNodeProbe:
    """One request per question; nothing is kept open."""

    def __init__(self, address_of: Callable[[str], str | None]) -> None:
        """`address_of` gives HOST:PORT of a node, None where none is known."""
        self._address_of = address_of

    async def health(self, node: str, timeout_s: float) -> ProbedHealth:
        """What a node says of itself; ProbeError when it cannot be asked or says nothing in time."""
        address = self._address_of(node)
        if address is None:
            raise ProbeError(f"no address of {node} is known; name it in node.peers")
        url = f"http://{address}/health"
        try:
            limit = aiohttp.ClientTimeout(total=timeout_s)
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status not in {200, FAILING}:
                    raise ProbeError(f"{url} answers with status {response.status}")
                content = await _whole(response.content, url)
        except TimeoutError:
            raise ProbeError(f"{url} does not answer in {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProbeError(f"{url} cannot be asked: {str(error) or type(error).__name__}") from error
        try:
            said = _Said.model_validate_json(content)
        except ValidationError:
            raise ProbeError(f"{url} answers something else than this version expects") from None
        return ProbedHealth(said.status, said.reasons, said.degraded)


def addresses_of(peers: Iterable[str]) -> dict[str, str]:
    """Addresses by node, of nodes that are called as their hosts are."""
    return {peer.rpartition(":")[0]: peer for peer in peers}


async def _whole(stream: aiohttp.StreamReader, url: str) -> bytes:
    content = bytearray()
    async for part in stream.iter_chunked(1 << 14):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise ProbeError(f"{url} answers with more than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)
