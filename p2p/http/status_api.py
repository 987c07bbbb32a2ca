"""How the node stands: `/health`, `/status`, `/metrics`.

Handlers serve what was made before they were asked: none of them touches a disk or computes for long on the loop's
thread.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from managers.cluster_rows import node_rows
from managers.health import Health
from managers.state.cluster_state import ClusterState
from managers.status_records import Status, encode_status
from p2p.http.answers import HealthAnswer
from p2p.http.errors import RequestError
from p2p.http.json_answer import Handlers, json_answer, text_answer
from p2p.http.metrics import metrics_text
from p2p.http.request_metrics import RequestMetrics

THREAD_S = 10.0  # for a thread to be free
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StatusDoor(Protocol):
    """What the answers are made of."""

    @property
    def status(self) -> Status:
        """The latest status."""

    @property
    def content(self) -> bytes:
        """The same as JSON."""

    @property
    def state(self) -> ClusterState:
        """The replicated state now."""

    @property
    def silent(self) -> Mapping[str, str]:
        """Other nodes that are not heard."""

    @property
    def uptime_s(self) -> float:
        """Since this life began."""

    def health(self) -> Health:
        """How the node is now; quick."""


def status_handlers(door: StatusDoor, metrics: RequestMetrics) -> Handlers:
    """The handlers."""

    async def health(_request: web.Request) -> web.Response:
        found = door.health()
        answer = HealthAnswer(**dict(found), node_id=door.status.node_id, uptime_s=door.uptime_s)
        return json_answer(answer, 503 if found.status == "failing" else 200)

    async def status(request: web.Request) -> web.Response:
        peers = request.query.get("peers")
        if peers not in {None, "full"}:
            raise RequestError(f"peers is {peers[:20]!r}; write full, or leave it out" if peers else "peers is empty")
        if peers is None:
            return text_answer(door.content)
        async with asyncio.timeout(THREAD_S):
            return text_answer(await asyncio.to_thread(with_all_peers, door.status, door.state, door.silent))

    async def scrape(_request: web.Request) -> web.Response:
        counts = metrics.snapshot(len(asyncio.all_tasks()))
        async with asyncio.timeout(THREAD_S):
            text = await asyncio.to_thread(metrics_text, door.status, door.state, counts)
        return web.Response(body=text, headers={"Content-Type": METRICS_TYPE})

    return {"GET /health": health, "GET /status": status, "GET /metrics": scrape}


def with_all_peers(status: Status, state: ClusterState, silent: Mapping[str, str]) -> bytes:
    """A status with every other node, as far as it has room; `silent` are those that are not heard."""
    known = {row.node_id: row for row in status.peers}  # with what was heard of them
    others = [row for row in node_rows(state, status.node_id, silent, status.versions) if not row.self]
    rows = tuple(known.get(it.node_id, it).model_copy(update={"alive": it.alive}) for it in others)
    return encode_status(status.model_copy(update={"peers": rows}))
