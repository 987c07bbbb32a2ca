"""Files over HTTP: whole, in ranges, for members only, and nothing but what is held."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from p2p.exchange.refs import ChunkList, ManifestPage
from p2p.http.node_calls import Asked, CallRefused, NodeCalls
from tests.exchange_files import GAME, Holder, content_of, put_shard
from tests.mesh_nodes import Mesh

CONTENT = content_of(1.2)


def run(holder: Holder, test: Callable[[NodeCalls, str], Awaitable[None]]) -> None:
    async def inside() -> None:
        mesh = Mesh()
        mesh.join("me", "b")
        async with mesh.serving("b", holder.handlers()), mesh.calls("me") as calls:
            await test(calls, f"http://{mesh.addresses['b'][0]}")

    asyncio.run(inside())


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    return Holder(tmp_path, champions={GAME: "c" * 64})


async def got(
    calls: NodeCalls, path: str, asked: str | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    headers = {} if asked is None else {"Range": asked}
    async with calls.open(Asked("b", method, path, headers=headers)) as answer:
        return answer.status, dict(answer.headers), await answer.read()


def test_a_file_comes_whole_or_in_the_range_that_is_asked(holder: Holder):
    blob = put_shard(holder.folder.shards(GAME), CONTENT).blob

    async def test(calls: NodeCalls, _url: str) -> None:
        path, size = f"/blobs/{blob.sha256}", len(CONTENT)
        status, headers, body = await got(calls, path)
        assert (status, body, headers["Accept-Ranges"]) == (200, CONTENT, "bytes")
        status, headers, body = await got(calls, path, "bytes=10-99")
        assert (status, body, headers["Content-Range"]) == (206, CONTENT[10:100], f"bytes 10-99/{size}")
        status, headers, body = await got(calls, path, "bytes=-7")
        assert (status, body) == (206, CONTENT[-7:])
        status, headers, body = await got(calls, path, "bytes=0-1,5-6")
        assert (status, body) == (200, CONTENT)
        status, headers, body = await got(calls, path, "bytes=0-9", "HEAD")
        assert (status, headers["Content-Length"], body) == (206, "10", b"")
        with pytest.raises(CallRefused) as caught:
            await got(calls, path, f"bytes={size}-")
        assert caught.value.status == 416

    run(holder, test)


def test_chunks_and_manifest_say_what_is_held(holder: Holder):
    blobs = [put_shard(holder.folder.shards(GAME), bytes([n]), hour=n).blob for n in range(3)]

    async def test(calls: NodeCalls, _url: str) -> None:
        _, _, body = await got(calls, f"/blobs/{blobs[0].sha256}/chunks")
        assert ChunkList.model_validate_json(body) == ChunkList(size_bytes=1, chunks=(blobs[0].sha256,))
        page = ManifestPage.model_validate_json((await got(calls, f"/manifest?kind=shard&game={GAME}"))[2])
        assert [ref.sha256 for ref in page.refs] == [blob.sha256 for blob in reversed(blobs)]
        assert (page.total, page.next, page.champions) == (3, None, {GAME: "c" * 64})
        same = ManifestPage.model_validate_json((await got(calls, f"/manifest?unless={page.root}"))[2])
        assert (same.root, same.refs) == (page.root, ())
        assert ManifestPage.model_validate_json((await got(calls, "/manifest?kind=net"))[2]).refs == ()

    run(holder, test)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/blobs/{'0' * 64}", 404),
        (f"/blobs/{'0' * 64}/chunks", 404),
        (f"/blobs/{'A' * 64}", 400),
        ("/blobs/canonical_hex8_2p.pth", 400),
        ("/blobs/..%2f..%2fetc", 404),
        ("/manifest?kind=key", 400),
        ("/manifest?game=chess", 400),
        ("/manifest?cursor=1", 400),
    ],
)
def test_what_is_not_held_or_not_asked_rightly_is_refused(holder: Holder, path: str, status: int):
    async def test(calls: NodeCalls, _url: str) -> None:
        with pytest.raises(CallRefused) as caught:
            await got(calls, path)
        assert caught.value.status == status

    run(holder, test)


def test_who_is_no_member_gets_nothing(holder: Holder):
    blob = put_shard(holder.folder.shards(GAME), b"games").blob
    far = {"X-Forwarded-For": "203.0.113.9"}

    async def test(_calls: NodeCalls, url: str) -> None:
        async with aiohttp.ClientSession(headers=far) as session:
            for path in ("/manifest", f"/blobs/{blob.sha256}", f"/blobs/{blob.sha256}/chunks"):
                async with session.get(url + path) as answer:
                    assert answer.status == 401

    run(holder, test)


def test_a_file_that_is_gone_since_is_missing(holder: Holder):
    blob = put_shard(holder.folder.shards(GAME), b"games").blob
    holder.catalogue.look()
    (holder.folder.shards(GAME) / f"{blob.sha256[:16]}.npz").unlink()

    async def test(calls: NodeCalls, _url: str) -> None:
        with pytest.raises(CallRefused) as caught:
            await got(calls, f"/blobs/{blob.sha256}")
        assert caught.value.status == 404

    run(holder, test)
