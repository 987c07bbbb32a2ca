"""Bodies before a handler sees them: whole, in time, JSON, and not nested too deeply.

The depth is counted without recursion, before anything parses the text.
"""

import asyncio
import json
import re

from aiohttp import web

from p2p.http.errors import RequestError

DEPTH_MAX = 32  # of lists and objects in each other
# A string that never ends counts to the end, so that each byte is looked at once
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


async def read_body(request: web.Request, limit_s: float, bytes_max: int) -> bytes:
    """The body of a request; RequestError when it is encoded, too long, or does not come in time.

    One without a length is read up to the application's own limit before it is found to be too long.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise RequestError("send the body as it is, without Content-Encoding", 415)
    if (request.content_length or 0) > bytes_max:
        raise RequestError("the body is too long", 413)
    try:
        async with asyncio.timeout(limit_s):
            content = await request.read()
    except TimeoutError:
        raise RequestError(f"the body has not come within {limit_s:g} s", 408) from None
    except web.HTTPRequestEntityTooLarge:
        raise RequestError("the body is too long", 413) from None
    except (web.RequestPayloadError, web.HTTPException, ConnectionError) as error:
        raise RequestError("the body is broken off or badly sent") from error
    if len(content) > bytes_max:
        raise RequestError("the body is too long", 413)
    return content


def check_json(content: bytes) -> None:
    """RequestError when a body is neither empty nor JSON in UTF-8 of at most DEPTH_MAX levels."""
    if not content:
        return
    if too_deep(content, DEPTH_MAX):
        raise RequestError(f"the body is nested more than {DEPTH_MAX} levels deep")
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON") from None


def too_deep(content: bytes, depth_max: int) -> bool:
    """Whether lists and objects are nested deeper; time proportional to the length, whatever the content."""
    depth = 0
    for token in _TOKEN.finditer(content):
        letter = token[0][:1]
        if letter in b"[{":
            depth += 1
            if depth > depth_max:
                return True
        elif letter in b"]}":
            depth -= 1
    return False
