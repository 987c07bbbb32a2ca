"""A tiny HTTP server on a free port of loopback that answers what a test has recorded, and remembers what was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RecordedNode:
    """Answers by method and path; what is not recorded is 404 as a node says it."""

    def __init__(self, url: str, answers: Mapping[str, object]) -> None:
        self.url = url
        self.answers = dict(answers)  # "GET /status" -> content, or (status, content)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []  # "GET /path?query", headers, body

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and body; a list of answers is given one after the other, its last one for ever."""
        nothing = (404, {"error": {"code": "not_found", "message": "Not Found", "details": []}})
        found = self.answers.get(f"{method} {path}", self.answers.get(f"{method} {path.partition('?')[0]}", nothing))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        status, content = found if isinstance(found, tuple) else (200, found)
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()


@contextmanager
def recorded_node(answers: Mapping[str, object]) -> Iterator[RecordedNode]:
    """A server that answers until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            super().handle_one_request()

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            node.asked.append((f"{self.command} {self.path}", dict(self.headers), body))
            status, content = node.answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = respond  # noqa: N815 - the library's names

        def log_message(self, *_words: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    node = RecordedNode(f"http://127.0.0.1:{server.server_address[1]}", answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
