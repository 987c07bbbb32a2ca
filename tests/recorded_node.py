"""A node that gives recorded answers, on threads of its own: `with RecordedNode({...}) as node`, then `node.url`."""

import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Given = Any  # JSON, or (status, JSON), or bytes as they are, or a list of these, one per question
NOTHING = (404, {"error": {"code": "not_found", "message": "there is no such path"}})
STREAM_S = 20.0  # that a stream stays open at most


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class RecordedNode:
    """The answers by "METHOD /path"; `streams` are what GET /events sends as server-sent events, one after another."""

    answers: Mapping[str, Given] = field(default_factory=dict)
    streams: Sequence[bytes] = ()
    tls: tuple[Path, Path] | None = None  # certificate and key, PEM

    def __post_init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.released = threading.Event()  # streams wait for it
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._turns: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"node": self}))
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def of(self, question: str) -> list[Asked]:
        """Those that asked "METHOD /path"."""
        return [it for it in self.asked if f"{it.method} {it.path}" == question]

    def given(self, question: str) -> Given:
        """The answer to a question, now."""
        given = self.answers.get(question, NOTHING)
        return given[min(self._turn(question), len(given) - 1)] if isinstance(given, list) else given

    def stream(self) -> bytes:
        """What the next stream sends before it breaks off; without more of them it waits for the end."""
        self.released.wait(STREAM_S)
        turn = self._turn("stream")
        if turn < len(self.streams):
            return self.streams[turn]
        self._ended.wait(STREAM_S)
        return b""

    def _turn(self, what: str) -> int:
        with self._lock:
            turn = self._turns.get(what, 0)
            self._turns[what] = turn + 1
        return turn


class _Handler(BaseHTTPRequestHandler):
    node: RecordedNode

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(text) if text else None
        headers = {name.title(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.node.asked.append(asked)
        if headers.get("Accept") == "text/event-stream":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.node.stream())
            return
        given = self.node.given(f"{asked.method} {asked.path}")
        status, content = given if isinstance(given, tuple) else (200, given)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status in {301, 302}:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:  # who asked has read enough
            return
