"""Files come over loopback from holders that lie, break off, hang or differ; what is kept is what its name says."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from p2p.exchange import fetcher as module
from p2p.exchange.download import FetchError
from p2p.exchange.fetcher import SMALL_S, Fetcher
from p2p.exchange.refs import Ref
from ringrift_core.blob import CHUNK_BYTES
from ringrift_core.errors import StorageError
from tests.exchange_files import GAME, Holder, Mischief, breaking, content_of, fetcher_of, late, lying, put_shard, stuck
from tests.mesh_nodes import Mesh

Test = Callable[[Fetcher, dict[str, Holder]], Awaitable[None]]
BIG = content_of(5.3)
WRONG = "0" * 64


def exchange(tmp_path: Path, holders: dict[str, Holder], test: Test) -> None:
    """A test with a fetcher of the node `me` and these holders."""

    async def run() -> None:
        mesh = Mesh()
        mesh.join("me", *holders)
        async with AsyncExitStack() as stack:
            for name, holder in holders.items():
                await asyncio.to_thread(holder.catalogue.look)
                await stack.enter_async_context(mesh.serving(name, holder.handlers()))
            calls = await stack.enter_async_context(mesh.calls("me"))
            await test(fetcher_of(calls, tmp_path / "me"), holders)

    asyncio.run(run())


def holding(tmp_path: Path, names: str, content: bytes = BIG) -> dict[str, Holder]:
    """Nodes that hold the same shard."""
    made = {}
    for name in names:
        made[name] = Holder(tmp_path / name)
        put_shard(made[name].folder.shards(GAME), content)
    return made


def only(holder: Holder) -> Ref:
    """The one file that a node holds."""
    (ref,) = holder.catalogue.look().refs
    return ref


async def fetched(fetcher: Fetcher, holders: dict[str, Holder], ref: Ref) -> Path:
    return await fetcher.fetch(ref.sha256, "shard", GAME, list(holders), ref)


@pytest.mark.parametrize("content", [b"x", content_of(1), content_of(1.5), BIG])
def test_a_shard_comes_whole_with_its_manifest(tmp_path: Path, content: bytes):
    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        ref = only(holders["a"])
        path = await fetched(fetcher, holders, ref)
        assert path == tmp_path / "me" / "data" / "fetched" / GAME / f"{ref.sha256[:16]}.npz"
        assert path.read_bytes() == content
        own = holders["a"].folder.shards(GAME) / path.name
        assert path.with_suffix(".json").read_bytes() == own.with_suffix(".json").read_bytes()
        assert not [*(tmp_path / "me" / "data" / "incoming").glob("*")]
        count = len(holders["a"].asked)
        assert await fetched(fetcher, holders, ref) == path
        assert len(holders["a"].asked) == count

    exchange(tmp_path, holding(tmp_path, "a", content), test)


def test_several_holders_bring_parts_of_one_file(tmp_path: Path):
    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        path = await fetched(fetcher, holders, only(holders["a"]))
        assert path.read_bytes() == BIG
        ranges = [asked for holder in holders.values() for _, asked in holder.asked if asked is not None]
        assert len(ranges) >= 3
        assert all(any(asked is not None for _, asked in holder.asked) for holder in holders.values())

    exchange(tmp_path, holding(tmp_path, "abc"), test)


@pytest.mark.parametrize(
    ("mischief", "word"),
    [
        (lying(CHUNK_BYTES + 5), "not what it should be"),
        (lying(0), "not what it should be"),
        (breaking(CHUNK_BYTES + 1), ""),
        (breaking(0), ""),
        (stuck(10), ""),
    ],
)
def test_a_holder_that_misbehaves_is_left_and_named_and_the_others_bring_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mischief: Mischief, word: str
):
    holders = holding(tmp_path, "ab")
    holders["a"].mischief = mischief
    holders["b"].mischief = late(0.12)  # so that it does not bring everything before `a` has shown itself

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        path = await fetched(fetcher, holders, only(holders["b"]))
        assert path.read_bytes() == BIG

    exchange(tmp_path, holders, test)
    assert not any("b is left" in line for line in caplog.messages)
    assert any("a is left" in line and word in line for line in caplog.messages)


def test_a_holder_that_hardly_answers_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "OTHERS_S", 0.1)
    holders = holding(tmp_path, "ab")
    holders["a"].drowsy_s = 60.0

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        async with asyncio.timeout(SMALL_S / 2):
            path = await fetched(fetcher, holders, only(holders["b"]))
        assert path.read_bytes() == BIG

    exchange(tmp_path, holders, test)


def test_what_only_liars_have_is_not_kept(tmp_path: Path):
    holders = holding(tmp_path, "ab")
    for holder in holders.values():
        holder.mischief = lying(7)

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        with pytest.raises(FetchError, match="chunk 0 is not what it should be"):
            await fetched(fetcher, holders, only(holders["b"]))
        assert not (tmp_path / "me" / "data" / "fetched").exists()

    exchange(tmp_path, holders, test)


def test_a_fetch_goes_on_where_it_broke_off(tmp_path: Path):
    holders = holding(tmp_path, "a")
    holders["a"].mischief = breaking(CHUNK_BYTES + 100)  # of each run: one whole chunk and a part of another

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        holder, ref = holders["a"], only(holders["a"])
        for _ in range(2):
            with pytest.raises(FetchError, match="broke off"):
                await fetched(fetcher, holders, ref)
        holder.mischief = None
        holder.asked.clear()
        path = await fetched(fetcher, holders, ref)
        assert path.read_bytes() == BIG
        asked = [text for _, text in holder.asked if text is not None]
        assert asked[0].startswith(f"bytes={2 * CHUNK_BYTES}-")

    exchange(tmp_path, holders, test)


def test_a_damaged_part_is_fetched_again(tmp_path: Path):
    holders = holding(tmp_path, "a")
    incoming = tmp_path / "me" / "data" / "incoming"
    incoming.mkdir(parents=True)

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        ref = only(holders["a"])
        damaged = bytearray(BIG)
        damaged[3 * CHUNK_BYTES] ^= 1
        (incoming / f"{ref.sha256}.part").write_bytes(damaged + b"too long")
        path = await fetched(fetcher, holders, ref)
        assert path.read_bytes() == BIG
        asked = [text for _, text in holders["a"].asked if text is not None]
        assert asked == [f"bytes={3 * CHUNK_BYTES}-{4 * CHUNK_BYTES - 1}"]

    exchange(tmp_path, holders, test)


def test_chunk_digests_that_are_not_those_of_the_file_are_found_at_the_end(tmp_path: Path):
    """Two nodes hold another file under the name of this one and agree on it; the third one is right."""
    holders = holding(tmp_path, "c") | {name: Holder(tmp_path / name) for name in "ab"}
    other = content_of(2, seed=9)

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        ref = only(holders["c"])
        path = await fetcher.fetch(ref.sha256, "shard", GAME, ["a", "b", "c"], ref.model_copy(update={"chunks": WRONG}))
        assert path.read_bytes() == BIG

    right = only(holders["c"])
    for name in "ab":
        liar = put_shard(holders[name].folder.shards(GAME), other)
        holders[name].pretend = {right.sha256: liar.blob.sha256}
    exchange(tmp_path, holders, test)


def test_a_manifest_of_another_shard_is_refused(tmp_path: Path):
    holders = holding(tmp_path, "a")
    put_shard(holders["a"].folder.shards(GAME), b"another one")

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        big, small = sorted(holders["a"].catalogue.look().refs, key=lambda ref: -ref.size_bytes)
        with pytest.raises(FetchError, match="names another shard"):
            await fetched(fetcher, holders, big.model_copy(update={"manifest": small.manifest}))
        with pytest.raises(FetchError, match="it is of hex8_2p"):
            await fetcher.fetch(small.sha256, "shard", "hex8_3p", ["a"], small)

    exchange(tmp_path, holders, test)


def test_one_digest_is_fetched_once_however_many_ask(tmp_path: Path):
    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        ref = only(holders["a"])
        paths = await asyncio.gather(*(fetched(fetcher, holders, ref) for _ in range(5)))
        assert len(set(paths)) == 1
        assert len([1 for sha256, _ in holders["a"].asked if sha256 == ref.sha256]) == 3

    exchange(tmp_path, holding(tmp_path, "a"), test)


def test_a_full_disk_is_said_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("p2p.exchange.partial_file.shutil.disk_usage", lambda _path: SimpleNamespace(free=len(BIG)))

    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        with pytest.raises(StorageError, match="free some space"):
            await fetched(fetcher, holders, only(holders["a"]))

    exchange(tmp_path, holding(tmp_path, "a"), test)


def test_nobody_who_has_it_is_an_error_with_its_name(tmp_path: Path):
    async def test(fetcher: Fetcher, holders: dict[str, Holder]) -> None:
        ref = only(holders["a"])
        with pytest.raises(FetchError, match="no node that can be reached"):
            await fetcher.fetch(ref.sha256, "shard", GAME, [], ref)
        with pytest.raises(FetchError, match=r"net 00000000.* cannot be fetched: a: .*404"):
            await fetcher.fetch("0" * 64, "net", GAME, ["a"])

    exchange(tmp_path, holding(tmp_path, "a"), test)
