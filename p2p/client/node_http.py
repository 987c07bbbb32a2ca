"""Asking a node over HTTP, in the caller's thread: bounded answers, timeouts, errors that say what to do.

Redirects are not followed and proxies not used: the token goes to the node that was named and nowhere else, no message
has it. The command lines and the documented accessors both stand on it.
"""

import ipaddress
import json
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import IO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from config.environment import ConfigError, p2p_url, process_environment, secret_of
from managers.line import one_line
from p2p.client.attached import attached
from p2p.client.node_errors import NodeRefusal, NodeUnreachable, reason_of
from ringrift_core.errors import RingriftError, RulesError

ANSWER_BYTES_MAX = 4 << 20
ERROR_BYTES_MAX = 64 << 10
PART_BYTES = 1 << 16
TIMEOUT_S = 15.0  # for an answer
SILENCE_S = 45.0  # of a stream of events, three heartbeats
LINE_BYTES_MAX = 1 << 20  # of a stream
WORDS_MAX = 1000  # characters of a refusal
TOKEN = "RINGRIFT_ADMIN_TOKEN"  # noqa: S105 - the name of the variable


class Answer(BaseModel):
    """What a node says; what this version does not know of is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Fault(Answer):
    code: str = ""
    message: str
    details: tuple[object, ...] | Mapping[str, object] = ()


class _FaultAnswer(Answer):
    error: _Fault


Form = TypeVar("Form", bound=BaseModel)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is a refusal: urllib would take the token along."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> None:
        """None: urllib makes an HTTPError of it."""


@dataclass(frozen=True)
class NodeHttp:
    """The door to one node."""

    url: str  # http or https, without a slash at the end
    token: str | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    elsewhere: str = "say in RINGRIFT_P2P_URL where it is"  # what to do when the node is not at the URL

    def __post_init__(self) -> None:
        """ConfigError for a token that no header can carry."""
        text = self.token
        if text is not None and (not text.isascii() or not text.isprintable() or " " in text):
            raise ConfigError(f"{TOKEN} is no token; write the one line of the node's token")

    @property
    def exposure(self) -> str:
        """Who else can read the token on its way, as a warning; "" when nobody can."""
        parts = urlsplit(self.url)
        if self.token is None or parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return ""
        return f"{TOKEN} goes to {self.url} unencrypted: whoever is on the way can read it; use https, or a tunnel"

    def get(
        self,
        path: str,
        form: type[Form],
        query: Mapping[str, str | int] | None = None,
        *,
        fine: tuple[int, ...] = (),
    ) -> Form:
        """The answer to a question; statuses in `fine` are answers too.

        NodeUnreachable where no node answers, RulesError and NodeRefusal for a refusal, RingriftError for what is no
        answer to this question.
        """
        return self._read(self.ask("GET", _with(path, query), fine=fine), form)

    def post(self, path: str, form: type[Form], body: Mapping[str, object]) -> Form:
        """The answer to an order; errors as those of `get`."""
        return self._read(self.ask("POST", path, body), form)

    def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, fine: tuple[int, ...] = ()
    ) -> bytes:
        """The answer as it came, a JSON object; errors as those of `get`, but for the last."""
        content = None if body is None else json.dumps(body).encode()
        status, answer = self._exchanged(self._request(method, path, content))
        if status not in fine and not 200 <= status < 300:
            raise self._refusal(status, answer)
        if not is_object(answer):
            raise self._stranger(status)
        return answer

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str | int], last_id: str) -> Iterator[Iterator[bytes]]:
        """The lines of an event stream, as they come; NodeUnreachable when it breaks off or is silent too long."""
        request = self._request("GET", _with(path, query))
        request.add_header("Accept", "text/event-stream")
        request.add_header("Last-Event-ID", last_id)
        with self._answering():
            try:
                response = _opener().open(request, timeout=SILENCE_S)
            except urllib.error.HTTPError as error:
                with error:
                    raise self._refusal(error.code, error.read(ERROR_BYTES_MAX)) from None
            with response:
                yield _lines(response)

    def _request(self, method: str, path: str, body: bytes | None = None) -> urllib.request.Request:
        headers = {"Accept": "application/json", "User-Agent": "ringrift-client"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return urllib.request.Request(  # noqa: S310 - the configuration takes http and https only
            f"{self.url}{path}", data=body, headers=headers, method=method
        )

    def _exchanged(self, request: urllib.request.Request) -> tuple[int, bytes]:
        """Status and body of whatever answers."""
        with self._answering():
            try:
                with _opener().open(request, timeout=self.timeout_s) as response:
                    return response.status, self._whole(response)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, self._whole(error)

    def _read(self, content: bytes, form: type[Form]) -> Form:
        try:
            return form.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = f"{'.'.join(map(str, first['loc'])) or 'answer'}: {first['msg']}"
            raise RingriftError(
                f"{self.url} answers something else than this version expects ({where[:200]})"
            ) from error

    def _whole(self, response: HTTPResponse | urllib.error.HTTPError) -> bytes:
        """The body, if it is not too large and comes in time."""
        content, deadline = bytearray(), self.monotonic() + self.timeout_s
        while part := response.read1(PART_BYTES) if isinstance(response, HTTPResponse) else response.read(PART_BYTES):
            content += part
            if len(content) > ANSWER_BYTES_MAX:
                raise RingriftError(
                    f"{self.url} answers with more than {ANSWER_BYTES_MAX >> 20} MiB; it is no node of RingRift"
                )
            if self.monotonic() > deadline:
                raise TimeoutError(f"no whole answer in {self.timeout_s:g} s")
        return bytes(content)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            words = reason_of(reason) if isinstance(reason, BaseException) else str(reason)
            if isinstance(error, RemoteDisconnected) and self.url.startswith("http:"):
                words = "it ends the connection; perhaps it speaks https"
            raise NodeUnreachable(
                f"no node answers at {self.url} ({words}); start one with `ringrift-p2p`, or {self.elsewhere}"
            ) from error

    def _refusal(self, status: int, content: bytes) -> RingriftError:
        """A refusal in the words of the node, and what to do about it; NodeUnreachable when no node says it."""
        try:
            fault = _FaultAnswer.model_validate_json(content).error
        except ValidationError:
            return self._stranger(status)
        words = one_line("; ".join((fault.message, *_told(fault.details))), WORDS_MAX)
        if status == 400:
            return RulesError(words)
        if status == 401:
            words += f"; {f'set {TOKEN} to' if self.token is None else f'{TOKEN} is not'} the node's token"
        elif status == 403:
            words += f"; {TOKEN} is the token of a person who may"
        return NodeRefusal(words, status, fault.code)

    def _stranger(self, status: int) -> NodeUnreachable:
        where = f"{self.url} is no node of RingRift, or something stands before it (status {status})"
        return NodeUnreachable(f"what answers at {where}; {self.elsewhere}")


def node_http() -> NodeHttp:
    """The node that the environment names; RulesError on the thread of a node of this process."""
    if (here := attached()) is not None:
        here.refuse_here()
    http = NodeHttp(p2p_url(), secret_of(TOKEN, process_environment()))
    if http.exposure:
        warnings.warn(http.exposure, stacklevel=3)
    return http


def is_object(content: bytes) -> bool:
    """Whether bytes are a JSON object."""
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def is_loopback(host: str) -> bool:
    """Whether a host name can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _with(path: str, query: Mapping[str, str | int] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    while line := response.readline(LINE_BYTES_MAX):
        yield line
        if not line.endswith(b"\n"):
            return  # cut: the cursor of what came before it is where to go on


def _told(details: tuple[object, ...] | Mapping[str, object]) -> Iterator[str]:
    if isinstance(details, Mapping):
        yield from (f"{name}: {value}" for name, value in details.items())
    else:
        yield from map(str, details)
