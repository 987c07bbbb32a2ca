"""Calls of a node that is in no cluster yet, by address: with the cluster token, since no member knows its key.

PeerError says who answers what. Neither redirects nor proxies are followed, so that the token goes nowhere else.
"""

import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from managers.line import one_line
from p2p.client.node_errors import reason_of
from p2p.identity.credentials import CLUSTER_VARIABLE, Token
from p2p.membership.admission import Admitted, JoinForm
from p2p.membership.bootstrap import Adoption, Card
from ringrift_core.errors import InvariantError, RingriftError

CONNECT_S = 3.0
ANSWER_S = 5.0  # to a question
JOIN_S = 20.0  # a record has to be brought into the log
ANSWER_BYTES_MAX = 1 << 20

Form = TypeVar("Form", bound=BaseModel)


class PeerError(RingriftError):
    """A peer does not answer, or refuses; `code` and `details` as it says them, "" where it says nothing."""

    def __init__(self, message: str, code: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}


class PeerCalls:
    """Asks peers; `async with` opens and closes the session."""

    def __init__(self, token: Token | None, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: peers are asked over https."""
        self._token = token
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Accept-Encoding": "identity", "User-Agent": "ringrift-node"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        self._session = aiohttp.ClientSession(
            headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def who(self, address: str) -> Card:
        """Who a peer is."""
        return await self._ask("GET", address, "/cluster/who", None, Card, ANSWER_S)

    async def adopt(self, address: str, adoption: Adoption) -> Card:
        """Propose an id to a peer; its card says what it has adopted."""
        return await self._ask("POST", address, "/cluster/adopt", adoption, Card, ANSWER_S)

    async def join(self, address: str, form: JoinForm) -> Admitted:
        """Ask a member to be let in."""
        return await self._ask("POST", address, "/cluster/join", form, Admitted, JOIN_S)

    async def _ask(
        self, method: str, address: str, path: str, body: BaseModel | None, form: type[Form], limit_s: float
    ) -> Form:
        if self._session is None:
            raise InvariantError("peers are asked within the block of PeerCalls")
        url = f"{'http' if self._tls is None else 'https'}://{address}{path}"
        try:
            async with self._session.request(
                method,
                url,
                data=None if body is None else body.model_dump_json().encode(),
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls,
                timeout=aiohttp.ClientTimeout(total=limit_s, sock_connect=CONNECT_S),
            ) as answer:
                content, status = await _whole(answer, address), answer.status
        except TimeoutError:
            raise PeerError(f"{address} does not answer in {limit_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise PeerError(f"{address} cannot be asked: {reason_of(error.os_error)}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PeerError(f"{address} cannot be asked: {one_line(str(error) or type(error).__name__)}") from error
        if status != 200:
            raise self._refusal(address, status, content)
        try:
            return form.model_validate_json(content)
        except ValidationError:
            raise PeerError(f"{address} answers something else than this version expects") from None

    def _refusal(self, address: str, status: int, content: bytes) -> PeerError:
        """A refusal in the peer's words, and what to do about a token."""
        try:
            error = json.loads(content)["error"]
            code, message, details = str(error["code"]), one_line(str(error["message"])), error.get("details")
        except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
            return PeerError(f"{address} answers {status} and says nothing of a node")
        if code == "no_credential":
            message = f"it wants the cluster token: set {CLUSTER_VARIABLE} on all nodes"
        if code == "wrong_token":
            message = f"it has another cluster token, or none: set the same {CLUSTER_VARIABLE} on all nodes"
        if code == "not_found":
            message = "it is of a version that lets no nodes join: update it"
        return PeerError(f"{address}: {message}", code, details if isinstance(details, dict) else None)


async def _whole(answer: aiohttp.ClientResponse, address: str) -> bytes:
    content = bytearray()
    async for part in answer.content.iter_chunked(1 << 14):
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise PeerError(f"{address} answers with more than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)
