"""NodeCalls: this node's signed calls to the other nodes of its cluster, over one shared session.

    async with NodeCalls(caller, addresses_of, breaker) as calls:
        content = await calls.ask("node-2", "GET", "/manifest?kind=net", timeout_s=5.0, bytes_max=1 << 20)

    CallError           what every call may raise; `node` is who was called
      Unreachable         no connection, or it broke off; what was sent may have been taken or not
      CallRefused         the node answers that it will not: status, code, details
      AnswerTooLarge      more than the caller takes
      CallTimedOut        no whole answer in time; what was sent may have been taken or not

The addresses of a node are tried in their order, the one that answered last before all others. An answer that says that
somebody else lives at an address leads to the next one. Only a question is sent twice by itself. The circuit breaker
counts who cannot be reached or is silent; a refusal is an answer. Neither redirects nor proxies are followed, no
encoding but the plain one is asked for. Clocks: where a node says `clock_off`, calls to it are dated by its clock from
then on, as far as that is within OFFSET_MAX_S; the clock of this machine is never touched.
"""

import asyncio
import json
import secrets
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from yarl import URL

from managers.circuit_breaker import CircuitBreaker
from managers.line import one_line
from p2p.client.node_errors import reason_of
from p2p.identity.envelope import HEADER, NONCE_BYTES, Address, Call, seal
from p2p.identity.node_key import NodeKey
from ringrift_core.errors import InvariantError, RingriftError

CONNECTIONS_MAX = 64
CONNECTIONS_PER_NODE_MAX = 6
CONNECT_S = 4.0  # to one address
KEPT_S = 8.0  # an idle connection; less than a node keeps it, so that none is closed under a call
ERROR_BYTES_MAX = 64 << 10
PART_BYTES = 1 << 16
LINE_BYTES_MAX = 8190  # of an answer's headers
OFFSET_LEAST_S = 0.01  # a node that has just begun takes nothing that is dated before
OFFSET_MAX_S = 900.0  # a liar gets no call that is good later than this
NODES_MAX = 1024  # whose offsets and addresses are remembered
ELSEWHERE = frozenset({"other_audience", "other_host", "other_cluster"})  # codes of one who lives at a former address
QUESTIONS = frozenset({"GET", "HEAD"})

T = TypeVar("T")


class CallError(RingriftError):
    """A call to another node went wrong."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node}: {message}")
        self.node = node


class Unreachable(CallError):  # noqa: N818 - a state of affairs, for callers to act on
    """No connection, or it broke off."""


class CallTimedOut(CallError):  # noqa: N818
    """No whole answer in time."""


class AnswerTooLarge(CallError):  # noqa: N818
    """The answer has more bytes than the caller takes."""


class CallRefused(CallError):  # noqa: N818
    """The node answers that it will not."""

    def __init__(self, node: str, status: int, code: str, message: str, details: Mapping[str, object]) -> None:
        super().__init__(node, f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom calls are signed."""

    node: str
    cluster_id: Callable[[], str]  # "" while there is none yet
    key: NodeKey
    epoch: Callable[[], int]  # that this node knows of
    wall: Callable[[], float]  # unix seconds
    nonce: Callable[[], bytes] = lambda: secrets.token_bytes(NONCE_BYTES)


@dataclass(frozen=True, slots=True)
class Asked:
    """One call."""

    node: str
    method: str
    target: str  # path with query
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 10.0  # for all of it, the answer's last byte included
    silence_s: float | None = None  # between two parts of the answer


class NodeCalls:
    """Calls other nodes; `async with` opens and closes the session."""

    def __init__(
        self,
        caller: Caller,
        addresses_of: Callable[[str], Sequence[str]],
        breaker: CircuitBreaker,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`addresses_of` gives HOST:PORT of a node, the best first, none where it cannot be called; `tls`: https."""
        self._caller = caller
        self._addresses_of = addresses_of
        self._breaker = breaker
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._offsets: OrderedDict[str, float] = OrderedDict()  # s by which the clock of a node is ahead
        self._good: OrderedDict[str, str] = OrderedDict()  # the address that answered last

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX, limit_per_host=CONNECTIONS_PER_NODE_MAX, keepalive_timeout=KEPT_S
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            headers={"Accept-Encoding": "identity", "User-Agent": "ringrift-node"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def begun(self, node: str) -> None:
        """A node has begun a life: it is asked at once, whatever the one before did not answer."""
        self._breaker.forget(node)

    async def ask(
        self, node: str, method: str, path: str, body: bytes = b"", *, timeout_s: float, bytes_max: int
    ) -> bytes:
        """The answer to a call, of at most `bytes_max` bytes; `path` with its query, as it goes onto the wire.

        CallError as the head of the module says.
        """
        async with self.open(Asked(node, method, path, body, timeout_s=timeout_s)) as answer:
            return await _whole(node, answer, bytes_max)

    @asynccontextmanager
    async def part(
        self, node: str, path: str, first: int, stop: int, *, timeout_s: float, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes first..stop-1 of what lies at a path, as they come, at most so many; CallError also within.

        Fewer come where the node closes early or holds less: whoever asks counts them.
        """
        headers = {"Range": f"bytes={first}-{stop - 1}"}
        async with self.open(Asked(node, "GET", path, b"", headers, timeout_s, silence_s)) as answer:
            if answer.status != 206:
                raise CallRefused(node, answer.status, "no_range", "it answers without the range that was asked", {})
            yield _bounded(node, answer, stop - first)

    @asynccontextmanager
    async def open(self, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body is still to be read, within the time of the call; CallError also for what is inside."""
        node, limit = asked.node, asyncio.timeout(asked.timeout_s)
        if not self._breaker.can_execute(node):
            raise Unreachable(node, "it did not answer several times and is left alone for a while")
        try:
            async with limit, _released(await self._dated(asked)) as answer:
                yield answer
        except TimeoutError:
            if not limit.expired():
                raise
            self._breaker.record_failure(node, f"no whole answer in {asked.timeout_s:g} s")
            raise CallTimedOut(node, f"no whole answer in {asked.timeout_s:g} s") from None
        except (Unreachable, CallTimedOut) as error:
            self._breaker.record_failure(node, str(error))
            raise
        except CallError:
            self._breaker.record_success(node)
            raise
        self._breaker.record_success(node)

    async def _dated(self, asked: Asked) -> aiohttp.ClientResponse:
        """The same call once more, by the clock of the other node, where that is what was wrong."""
        try:
            return await self._somewhere(asked)
        except CallRefused as refused:
            if not self._learned(asked.node, refused):
                raise
        return await self._somewhere(asked)

    def _learned(self, node: str, refused: CallRefused) -> bool:
        """Whether a refusal has told how far the clocks are apart, and that may be helped."""
        theirs = refused.details.get("server_time")
        if refused.code != "clock_off" or isinstance(theirs, bool) or not isinstance(theirs, int | float):
            return False
        offset_s = theirs - self._caller.wall()
        if not abs(offset_s) <= OFFSET_MAX_S:
            raise CallRefused(
                node,
                refused.status,
                refused.code,
                f"its clock and ours are {offset_s:.0f} s apart; set the one that is wrong",
                refused.details,
            ) from None
        if abs(offset_s - self._offsets.get(node, 0.0)) < OFFSET_LEAST_S:
            return False  # that is how the call was dated
        _remember(self._offsets, node, offset_s)
        return True

    async def _somewhere(self, asked: Asked) -> aiohttp.ClientResponse:
        """The answer of the first address that gives one; Unreachable where none does."""
        node, reasons = asked.node, []
        addresses = [*self._addresses_of(node)]
        if not addresses:
            raise Unreachable(node, "no address of it is known")
        good = self._good.get(node)
        for address in sorted(addresses, key=lambda it: it != good):
            try:
                answer = await self._answered(asked, address)
            except aiohttp.ClientConnectorError as error:
                reasons.append(f"{address}: {reason_of(error.os_error)}")
            except aiohttp.ConnectionTimeoutError as error:
                reasons.append(f"{address}: {one_line(str(error))}")
            except (aiohttp.ClientError, OSError) as error:
                reasons.append(f"{address}: {one_line(str(error) or type(error).__name__)}")
                if asked.method not in QUESTIONS:
                    break  # it may have been taken
            except CallRefused as error:
                if error.code not in ELSEWHERE:
                    raise
                reasons.append(f"{address}: {one_line(str(error))}")
            else:
                _remember(self._good, node, address)
                return answer
        raise Unreachable(node, "; ".join(reasons))

    async def _answered(self, asked: Asked, address: str) -> aiohttp.ClientResponse:
        """The answer of one address; CallRefused for a refusal, whose body is read."""
        if self._session is None:
            raise InvariantError("calls are made within the block of NodeCalls")
        answer = await self._session.request(
            asked.method,
            URL(f"{'http' if self._tls is None else 'https'}://{address}{asked.target}", encoded=True),
            data=asked.body or None,
            headers={**asked.headers, HEADER: self._sealed(asked)},
            allow_redirects=False,
            ssl=True if self._tls is None else self._tls,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_S, sock_read=asked.silence_s),
        )
        if 200 <= answer.status < 300:
            return answer
        try:
            content = await _whole(asked.node, answer, ERROR_BYTES_MAX)
        except AnswerTooLarge:
            content = b""
        finally:
            answer.close()
        raise _refusal(asked.node, answer.status, content)

    def _sealed(self, asked: Asked) -> str:
        caller = self._caller
        return seal(
            Call.of(asked.method, asked.target, asked.body),
            caller.node,
            Address(asked.node, caller.cluster_id(), caller.epoch()),
            caller.key,
            now=caller.wall() + self._offsets.get(asked.node, 0.0),
            nonce=caller.nonce(),
        )


@asynccontextmanager
async def _released(answer: aiohttp.ClientResponse) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer whose connection goes back to the others at the end, or is closed where something is unread."""
    try:
        yield answer
    finally:
        if answer.content.at_eof():
            answer.release()
        else:
            answer.close()


def _remember(known: OrderedDict[str, T], node: str, value: T) -> None:
    known[node] = value
    known.move_to_end(node)
    while len(known) > NODES_MAX:
        known.popitem(last=False)


async def _whole(node: str, answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    content = bytearray()
    async for part in _bounded(node, answer, bytes_max):
        content += part
    return bytes(content)


async def _bounded(node: str, answer: aiohttp.ClientResponse, bytes_max: int) -> AsyncIterator[bytes]:
    """The parts of a body, until there are too many bytes."""
    left = bytes_max
    if (answer.content_length or 0) > bytes_max:
        raise AnswerTooLarge(node, f"an answer of more than {bytes_max} bytes")
    try:
        async for part in answer.content.iter_chunked(PART_BYTES):
            left -= len(part)
            if left < 0:
                raise AnswerTooLarge(node, f"an answer of more than {bytes_max} bytes")
            yield part
    except TimeoutError:
        raise CallTimedOut(node, "it stopped in the middle of its answer") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(node, f"the connection broke off ({one_line(str(error))})") from error


def _refusal(node: str, status: int, content: bytes) -> CallRefused:
    """A refusal in the node's words, as far as it has any."""
    try:
        told = json.loads(content)
        error = told["error"]
        code, message, details = str(error["code"]), one_line(str(error["message"])), error.get("details")
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        code, message, details = "error", "it refuses without a word that this version knows", None
    return CallRefused(node, status, code[:100], message, details if isinstance(details, dict) else {})
