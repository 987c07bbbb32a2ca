"""Nodes that hold files for tests of the exchange: shards that are only named right, holders that misbehave."""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from managers.node_folder import NodeFolder
from p2p.exchange.arrivals import Admit, Arrivals
from p2p.exchange.catalogue import Catalogue
from p2p.exchange.download import Patience
from p2p.exchange.fetcher import Fetcher
from p2p.exchange.refs import Ref
from p2p.http.blob_api import blob_handlers
from p2p.http.errors import Handler
from p2p.http.node_calls import NodeCalls
from ringrift_core.blob import CHUNK_BYTES, BlobRef, chunk_digests
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry.admission import AdmittedNet
from ringrift_core.selfplay.manifest import ARRAYS, MANIFEST, Counts, Manifest, ShardHead, ShardPlayer
from ringrift_core.storage import make_folder

GAME = "hex8_2p"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SOON = Patience(silence_s=0.5, start_s=0.5, least_bytes_s=1 << 20, run_chunks=2)
Mischief = Callable[[web.Request, int, bytes], Awaitable[web.StreamResponse]]  # of a range: its start, its bytes


def content_of(chunks: float, seed: int = 1) -> bytes:
    """Bytes that nobody can guess, of so many chunks."""
    return random.Random(seed).randbytes(int(chunks * CHUNK_BYTES))


def put_shard(folder: Path, content: bytes, *, hour: int = 0, rows: int = 10, game: str = GAME) -> Manifest:
    """A shard whose arrays are any bytes; its manifest names them."""
    head = ShardHead(
        config_key=ConfigKey.parse(game),
        swap=True,
        players=(ShardPlayer("net", "ab" * 32),),
        search={"simulations": 8},
        seed=1,
        host="here",
        created_at=NOON + timedelta(hours=hour),
    )
    manifest = Manifest(BlobRef.of(content), head, RULES_DIGEST, Counts(2, 60, 40, rows))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{manifest.stem}{ARRAYS}").write_bytes(content)
    (folder / f"{manifest.stem}{MANIFEST}").write_bytes(manifest.dump())
    return manifest


@dataclass
class Holder:
    """A node's folder and what it answers of it."""

    root: Path
    champions: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # paths and ranges, in order
    mischief: Mischief | None = None
    drowsy_s: float = 0.0  # before it answers anything
    pretend: dict[str, str] = field(default_factory=dict)  # digests, and those of the files that stand for them

    def __post_init__(self) -> None:
        self.folder = NodeFolder(self.root)
        self.catalogue = Catalogue(self.folder, fresh())

    def handlers(self) -> dict[str, Handler]:
        """The real handlers; what a mischief does is done to blobs only."""
        made = dict(blob_handlers(self.catalogue, lambda: self.champions))
        if self.pretend:
            made |= self._pretending()
        blob = made["GET /blobs/{sha256}"]

        async def noted(request: web.Request) -> web.StreamResponse:
            asked = request.headers.get("Range")
            self.asked.append((request.match_info["sha256"], asked))
            if self.mischief is None or asked is None:
                return await blob(request)
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            path = self.catalogue.latest.paths[request.match_info["sha256"]]
            return await self.mischief(request, first, path.read_bytes()[first : last + 1])

        made["GET /blobs/{sha256}"] = noted
        return {name: self._drowsy(handler) for name, handler in made.items()} if self.drowsy_s else made

    def _drowsy(self, handler: Handler) -> Handler:
        async def late(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(self.drowsy_s)
            return await handler(request)

        return late

    def _pretending(self) -> dict[str, Handler]:
        """Handlers that give other files under the names of some."""

        def path_of(request: web.Request) -> Path:
            asked = request.match_info["sha256"]
            return self.catalogue.look().paths[self.pretend.get(asked, asked)]

        async def chunks(request: web.Request) -> web.StreamResponse:
            blob, digests = chunk_digests(path_of(request))
            return web.json_response({"size_bytes": blob.size_bytes, "chunks": digests})

        async def blob(request: web.Request) -> web.StreamResponse:
            content, asked = path_of(request).read_bytes(), request.headers.get("Range")
            if asked is None:
                return web.Response(body=content)
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            part = content[first : last + 1]
            where = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            return web.Response(status=206, body=part, headers={"Content-Range": where})

        return {"GET /blobs/{sha256}": blob, "GET /blobs/{sha256}/chunks": chunks}

    def ref(self, sha256: str) -> Ref:
        """What it says of a file."""
        return next(ref for ref in self.catalogue.look().refs if ref.sha256 == sha256)


def fresh() -> Callable[[], float]:
    """A clock that moves on with every look, so that each look is one."""
    state = [0.0]

    def tick() -> float:
        state[0] += 10.0
        return state[0]

    return tick


def fetcher_of(calls: NodeCalls, root: Path, patience: Patience = SOON) -> Fetcher:
    """A fetcher into a folder."""
    folder = NodeFolder(root)
    return Fetcher(calls, folder, Arrivals(folder, intake_of(folder)), patience)


def intake_of(folder: NodeFolder) -> Admit:
    """Takes nets without reading them."""

    async def admit(path: str, _key: ConfigKey) -> AdmittedNet:
        target = folder.net(Path(path).stem)
        make_folder(target.parent)
        await asyncio.to_thread(shutil.copy, path, target)
        return AdmittedNet(
            sha256=target.stem, size_bytes=1, version=1, parent=None, evaluations=0, samples_total=0, rules_digest=""
        )

    return admit


def lying(at: int) -> Mischief:
    """One byte is another one, in every answer that holds it."""

    async def lie(_request: web.Request, first: int, body: bytes) -> web.StreamResponse:
        if first <= at < first + len(body):
            body = body[: at - first] + bytes([body[at - first] ^ 1]) + body[at - first + 1 :]
        return web.Response(status=206, body=body)

    return lie


def late(seconds: float) -> Mischief:
    """The right bytes, after a while."""

    async def wait(_request: web.Request, _first: int, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response(status=206, body=body)

    return wait


def breaking(after_bytes: int) -> Mischief:
    """So many bytes, then the connection is gone."""

    async def cut(request: web.Request, _first: int, body: bytes) -> web.StreamResponse:
        answer = await _begun(request, body, after_bytes)
        assert request.transport is not None
        request.transport.abort()
        return answer

    return cut


def stuck(after_bytes: int) -> Mischief:
    """So many bytes, then nothing."""

    async def stop(request: web.Request, _first: int, body: bytes) -> web.StreamResponse:
        answer = await _begun(request, body, after_bytes)
        await asyncio.sleep(30)
        return answer

    return stop


async def _begun(request: web.Request, body: bytes, count: int) -> web.StreamResponse:
    answer = web.StreamResponse(status=206)
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[:count])
    await asyncio.sleep(0.05)  # until it is on its way
    return answer
