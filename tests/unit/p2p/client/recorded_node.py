"""A node that gives recorded answers, on a thread of its own: `with RecordedNode({...}) as node`, then `node.url`."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Given = Any  # JSON, or (status, JSON), or bytes as they are, or a list of these, one per question


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

    def __post_init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.streamed = 0
        self._ready = threading.Event()
        self.release: Callable[[], object] = lambda: None  # streams wait for it
        self._end: Callable[[], object] = lambda: None
        self._given: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._thread.join(10)

    def of(self, question: str) -> list[Asked]:
        """Those that asked "METHOD /path"."""
        return [it for it in self.asked if f"{it.method} {it.path}" == question]

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._released = asyncio.Event()
        self._end = lambda: loop.call_soon_threadsafe(self._ended.set)
        self.release = lambda: loop.call_soon_threadsafe(self._released.set)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=5.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._ended.wait()
        self._released.set()  # handlers end by themselves: a transport that is torn away is a warning
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), body)
        self.asked.append(asked)
        if request.headers.get("Accept") == "text/event-stream":
            return await self._stream(request)
        question = f"{asked.method} {asked.path}"
        if question not in self.answers:
            return web.json_response({"error": {"code": "not_found", "message": "there is no such path"}}, status=404)
        given = self.answers[question]
        if isinstance(given, list):
            turn = self._given.get(question, 0)
            self._given[question] = turn + 1
            given = given[min(turn, len(given) - 1)]
        if isinstance(given, bytes):
            return web.Response(body=given)
        status, content = given if isinstance(given, tuple) else (200, given)
        headers = {"Location": "/elsewhere"} if status in {301, 302} else {}
        return web.json_response(content, status=status, headers=headers)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._released.wait()
        turn, self.streamed = self.streamed, self.streamed + 1
        if turn < len(self.streams):
            await response.write(self.streams[turn])  # and then it breaks off
        else:
            await self._ended.wait()
        return response
