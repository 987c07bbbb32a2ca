"""Probes of other nodes: whether they are reached, answer `/health`, and have our time."""

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime

import aiohttp
from pydantic import ValidationError

from p2p.client.node_errors import reason_of
from p2p.doctor.facts import PeerFacts
from p2p.membership.bootstrap import Card

TOGETHER_MAX = 16  # peers that are asked at once
PEERS_MAX = 256
CONNECT_S = 5.0
ANSWER_S = 10.0
ANSWER_BYTES_MAX = 64 << 10
HALF_SECOND = 0.5  # the header says whole seconds


def peers_found(
    addresses: Sequence[str], now_s: Callable[[], float], *, tls: bool = False, token: str | None = None
) -> tuple[PeerFacts, ...]:
    """Facts about nodes by their addresses; `now_s` is the clock of this machine, unix seconds.

    `token`, that of the cluster, lets a node say in which cluster it is; on loopback it is not needed.
    """
    several = tuple(dict.fromkeys(addresses))[:PEERS_MAX]
    return asyncio.run(_all(several, now_s, "https" if tls else "http", token))


async def _all(
    addresses: Sequence[str], now_s: Callable[[], float], scheme: str, token: str | None
) -> tuple[PeerFacts, ...]:
    places = asyncio.Semaphore(TOGETHER_MAX)
    limit = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)

    async def one(session: aiohttp.ClientSession, address: str) -> PeerFacts:
        async with places:
            facts = await peer_found(session, f"{scheme}://{address}/health", address, now_s)
            if not facts.health:
                return facts
            cluster = await cluster_found(session, f"{scheme}://{address}/cluster/who", token)
            return facts.model_copy(update={"cluster": cluster})

    async with aiohttp.ClientSession(timeout=limit) as session:
        return tuple(await asyncio.gather(*(one(session, address) for address in addresses)))


async def peer_found(session: aiohttp.ClientSession, url: str, address: str, now_s: Callable[[], float]) -> PeerFacts:
    """What one of them says of itself."""
    facts = PeerFacts(address=address)
    before = now_s()
    try:
        async with session.get(url, allow_redirects=False) as response:
            middle = (before + now_s()) / 2
            date = response.headers.get("Date", "")
            content = await response.content.read(ANSWER_BYTES_MAX)
    except aiohttp.InvalidURL:
        return facts.model_copy(update={"trouble": "it is no HOST:PORT"})
    except aiohttp.ClientConnectorCertificateError as error:
        return facts.model_copy(update={"connects": True, "trouble": reason_of(error.certificate_error)})
    except aiohttp.ClientConnectorError as error:
        tls = isinstance(error.os_error, ssl.SSLError)
        return facts.model_copy(update={"connects": tls, "trouble": reason_of(error.os_error)})
    except TimeoutError:
        return facts.model_copy(update={"trouble": f"no answer in {ANSWER_S:g} s"})
    except (aiohttp.ClientError, OSError) as error:
        words = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ServerDisconnectedError) and url.startswith("http:"):
            words = "it ends the connection; perhaps it speaks https"
        return facts.model_copy(update={"connects": True, "trouble": words})
    health = _health(content)
    trouble = "" if health else f"/health answers {response.status} and says nothing of a node"
    ahead = _ahead_s(date, middle)
    return facts.model_copy(update={"connects": True, "health": health, "ahead_s": ahead, "trouble": trouble})


async def cluster_found(session: aiohttp.ClientSession, url: str, token: str | None) -> str:
    """The id of a node's cluster, or of the one it waits for; "" where it does not tell."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with session.get(url, allow_redirects=False, headers=headers) as response:
            card = Card.model_validate_json(await response.content.read(ANSWER_BYTES_MAX))
    except (TimeoutError, aiohttp.ClientError, OSError, ValidationError):
        return ""
    return card.cluster_id or ("" if card.adopted is None else card.adopted.cluster_id)


def _health(content: bytes) -> str:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    status = found.get("status") if isinstance(found, dict) else None
    return status if isinstance(status, str) else ""


def _ahead_s(date: str, at_s: float) -> float | None:
    """How far the clock behind a Date header is ahead of ours."""
    try:
        return parsedate_to_datetime(date).timestamp() + HALF_SECOND - at_s
    except (ValueError, TypeError, OverflowError):
        return None
