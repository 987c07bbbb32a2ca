"""Records as answers, and handlers by their routes."""

from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel

from p2p.http.errors import Handler, RequestError

Handlers = Mapping[str, Handler]  # by method and pattern, such as "GET /jobs/{id}"
LIMIT_MAX = 1000  # rows in an answer
LIMIT = 100


def json_answer(record: BaseModel, status: int = 200) -> web.Response:
    """A record as JSON; large ones are written as text in a thread (`text_answer`)."""
    return text_answer(record.model_dump_json(), status)


def text_answer(content: str | bytes, status: int = 200) -> web.Response:
    """JSON that was written before."""
    return web.Response(body=content, status=status, content_type="application/json")


def limit_of(request: web.Request) -> int:
    """How many rows are asked for; RequestError for what is no number from 1 to LIMIT_MAX."""
    text = request.query.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX):
        raise RequestError(f"limit is {text[:20]!r}; write a number from 1 to {LIMIT_MAX}")
    return int(text)
