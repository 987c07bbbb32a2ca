"""What other nodes fetch: files by digest, whole or in ranges, the digests of their chunks, and what there is.

Files are read in threads, piece by piece; a reader that does not read is ended by the connection's limits.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from p2p.exchange.byte_range import Unsatisfiable, range_of
from p2p.exchange.catalogue import Catalogue
from p2p.exchange.refs import KINDS, ChunkList, Kind, ManifestPage, page_of
from p2p.http.errors import RequestError
from p2p.http.json_answer import Handlers, text_answer
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey

PIECE_BYTES = 1 << 18  # read at once


def blob_handlers(catalogue: Catalogue, champions: Callable[[], Mapping[str, str]]) -> Handlers:
    """The handlers; `champions` tells the digests of the canonical files here as last verified, by configuration."""

    async def manifest(request: web.Request) -> web.Response:
        kind, game = _kind(request.query.get("kind")), _game(request.query.get("game"))
        contents = await asyncio.to_thread(catalogue.look)
        refs, cursor = contents.of(kind, game), request.query.get("cursor")
        unchanged = request.query.get("unless") == contents.root
        try:
            page, more = ((), None) if unchanged else page_of(refs, cursor)
        except ValueError:
            raise RequestError(f"cursor is {str(cursor)[:20]!r}; write `next` of an answer") from None
        answer = ManifestPage(root=contents.root, total=len(refs), refs=page, next=more, champions=dict(champions()))
        return text_answer(await asyncio.to_thread(answer.model_dump_json))

    async def chunks(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(catalogue.chunks, _digest(request))
        if found is None:
            raise _missing(request)
        return text_answer(ChunkList(size_bytes=found[0], chunks=found[1]).model_dump_json())

    async def blob(request: web.Request) -> web.StreamResponse:
        sha256 = _digest(request)
        path = catalogue.latest.paths.get(sha256) or (await asyncio.to_thread(catalogue.look)).paths.get(sha256)
        if path is None:
            raise _missing(request)
        return await _sent(request, path, sha256)

    return {"GET /manifest": manifest, "GET /blobs/{sha256}": blob, "GET /blobs/{sha256}/chunks": chunks}


async def _sent(request: web.Request, path: Path, sha256: str) -> web.StreamResponse:
    """A file, or the range of it that is asked for."""
    try:
        handle = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise _missing(request) from None
    try:
        size = os.fstat(handle).st_size
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"', "Content-Type": "application/octet-stream"}
        try:
            asked = range_of(request.headers.get("Range"), size)
        except Unsatisfiable:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        part = range(size) if asked is None else asked
        if asked is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        answer = web.StreamResponse(status=200 if asked is None else 206, headers=headers)
        answer.content_length = len(part)
        await answer.prepare(request)
        if request.method != "HEAD":
            with suppress(ConnectionError):  # whoever asked is gone
                await _streamed(answer, handle, part)
        return answer
    finally:
        await asyncio.to_thread(os.close, handle)


async def _streamed(answer: web.StreamResponse, handle: int, part: range) -> None:
    at = part.start
    while at < part.stop:
        piece = await asyncio.to_thread(os.pread, handle, min(PIECE_BYTES, part.stop - at), at)
        if not piece:  # shorter than it was
            answer.force_close()
            return
        await answer.write(piece)
        at += len(piece)
    await answer.write_eof()


def _digest(request: web.Request) -> str:
    sha256 = request.match_info["sha256"]
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise RequestError("a blob is named by its SHA-256: 64 digits, 0 to 9 and a to f")
    return sha256


def _missing(request: web.Request) -> RequestError:
    return RequestError(f"{request.match_info['sha256']} is not here, or not whole", 404)


def _kind(text: str | None) -> Kind | None:
    found = next((kind for kind in KINDS if kind == text), None)
    if text is not None and found is None:
        raise RequestError(f"kind is {text[:20]!r}; write {', '.join(KINDS)}")
    return found


def _game(text: str | None) -> str | None:
    try:
        return None if text is None else str(ConfigKey.parse(text))
    except RulesError as error:
        raise RequestError(str(error)) from None
