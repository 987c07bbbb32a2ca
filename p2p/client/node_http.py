"""Asking a node over HTTP, in the caller's thread: bounded answers, timeouts, errors that say what to do.

Redirects are not followed and proxies not used: the token goes to the node that was named and nowhere else.
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
from http.client import HTTPException, HTTPResponse
from typing import IO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from config.environment import p2p_url, process_environment, secret_of
from p2p.client.attached import attached
from ringrift_core.errors import RingriftError, RulesError

ANSWER_BYTES_MAX = 4 << 20
ERROR_BYTES_MAX = 64 << 10
PART_BYTES = 1 << 16
TIMEOUT_S = 15.0  # for an answer
SILENCE_S = 45.0  # of a stream of events, three heartbeats
LINE_BYTES_MAX = 1 << 20  # of a stream
WORDS_MAX = 1000  # characters of a refusal
TOKEN = "RINGRIFT_ADMIN_TOKEN"  # noqa: S105 - the name of the variable


class NodeUnreachable(RingriftError):  # noqa: N818 - a state of affairs, for callers to act on
    """No node answers at the URL that the message names."""


class NodeRefusal(RingriftError):  # noqa: N818
    """The node answers that it will not; the message has its words."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Answer(BaseModel):
    """What a node says; what this version does not know of is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Fault(Answer):
    code: str = ""
    message: str = ""
    details: tuple[object, ...] | Mapping[str, object] = ()


class _FaultAnswer(Answer):
    error: _Fault = _Fault()


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

    def get(
        self,
        path: str,
        form: type[Form],
        query: Mapping[str, str | int] | None = None,
        *,
        fine: tuple[int, ...] = (),
    ) -> Form:
        """The answer to a question; statuses in `fine` are answers too.

        NodeUnreachable without an answer, RulesError and NodeRefusal for a refusal, RingriftError for what is no answer
        to this question.
        """
        return self._read(self._request("GET", _with(path, query)), form, fine)

    def post(self, path: str, form: type[Form], body: Mapping[str, object]) -> Form:
        """The answer to an order; errors as those of `get`."""
        return self._read(self._request("POST", path, json.dumps(body).encode()), form, ())

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str | int], last_id: str) -> Iterator[Iterator[bytes]]:
        """The lines of an event stream, as they come; NodeUnreachable when it breaks off or is silent too long."""
        request = self._request("GET", _with(path, query))
        request.add_header("Accept", "text/event-stream")
        request.add_header("Last-Event-ID", last_id)
        with self._answering(), _opener().open(request, timeout=SILENCE_S) as response:
            yield _lines(response)

    def _request(self, method: str, path: str, body: bytes | None = None) -> urllib.request.Request:
        headers = {"Accept": "application/json", "User-Agent": "ringrift-client"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.token is not None:
            self._warn()
            headers["Authorization"] = f"Bearer {self.token}"
        return urllib.request.Request(  # noqa: S310 - the configuration takes http and https only
            f"{self.url}{path}", data=body, headers=headers, method=method
        )

    def _warn(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            warnings.warn(
                f"{TOKEN} goes to {self.url} unencrypted: whoever is on the way can read it; use https", stacklevel=5
            )

    def _read(self, request: urllib.request.Request, form: type[Form], fine: tuple[int, ...]) -> Form:
        with self._answering():
            try:
                with _opener().open(request, timeout=self.timeout_s) as response:
                    content = self._whole(response)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in fine:
                        raise _refusal(error.code, error.read(ERROR_BYTES_MAX)) from None
                    content = self._whole(error)
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
                raise RingriftError(f"{self.url}: an answer of more than {ANSWER_BYTES_MAX} bytes")
            if self.monotonic() > deadline:
                raise TimeoutError(f"no whole answer in {self.timeout_s:g} s")
        return bytes(content)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(ERROR_BYTES_MAX)) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise NodeUnreachable(
                f"no node answers at {self.url} ({reason}); start one with `ringrift-p2p`, or say in RINGRIFT_P2P_URL "
                "where it is"
            ) from error


def node_http() -> NodeHttp:
    """The node that the environment names; RulesError on the thread of a node of this process."""
    if (here := attached()) is not None:
        here.refuse_here()
    return NodeHttp(p2p_url(), secret_of(TOKEN, process_environment()))


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


def _refusal(status: int, content: bytes) -> RingriftError:
    """A refusal in the words of the node, and what to do about it."""
    try:
        fault = _FaultAnswer.model_validate_json(content).error
    except ValidationError:
        fault = _Fault()
    words = "; ".join((fault.message, *_told(fault.details))) if fault.message else f"the node answers {status}"
    words = words[:WORDS_MAX]
    if status == 400:
        return RulesError(words)
    if status in {401, 403}:
        words += f"; {TOKEN} is the token of a person who may"
    return NodeRefusal(words, status, fault.code)


def _told(details: tuple[object, ...] | Mapping[str, object]) -> Iterator[str]:
    if isinstance(details, Mapping):
        yield from (f"{name}: {value}" for name, value in details.items())
    else:
        yield from map(str, details)
