"""What a node holds for others: what its name says, in rooms of its own, noticed when it comes and goes."""

import hashlib
from pathlib import Path

import pytest

from p2p.exchange.catalogue import Catalogue
from p2p.exchange.refs import root_of
from ringrift_core.blob import CHUNK_BYTES, BlobRef, chunk_digests
from tests.exchange_files import GAME, Holder, content_of, fresh, put_shard


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    return Holder(tmp_path)


def put_record(path: Path, content: bytes) -> str:
    """A file that is named as matches and gauntlets are."""
    sha256 = hashlib.sha256(content).hexdigest()
    path.mkdir(parents=True, exist_ok=True)
    (path / f"{sha256[:16]}.json").write_bytes(content)
    return sha256


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_file_has_the_reference_of_its_bytes(tmp_path: Path, size: int):
    content = content_of(3)[:size]
    (tmp_path / "file").write_bytes(content)
    ref, chunks = chunk_digests(tmp_path / "file")
    assert ref == BlobRef.of(content)
    assert list(chunks) == [
        hashlib.sha256(content[at : at + CHUNK_BYTES]).hexdigest() for at in range(0, size, CHUNK_BYTES)
    ]


def test_shards_matches_and_gauntlets_are_held_the_newest_first(holder: Holder):
    old, new = (put_shard(holder.folder.shards(GAME), bytes([hour]), hour=hour, rows=hour + 1) for hour in (1, 2))
    fetched = put_shard(holder.folder.fetched_shards(GAME), b"of another node", hour=3)
    match = put_record(holder.folder.results(GAME), b"{}")
    gauntlet = put_record(holder.folder.gauntlets(GAME), b"{} ")
    contents = holder.catalogue.look()
    shards = contents.of("shard", GAME)
    assert [(ref.sha256, ref.own) for ref in shards] == [
        (fetched.blob.sha256, False), (new.blob.sha256, True), (old.blob.sha256, True),
    ]  # fmt: skip
    assert [ref.rows for ref in shards] == [10, 3, 2]
    assert [ref.sha256 for ref in contents.of("match", GAME)] == [match]
    assert [ref.sha256 for ref in contents.of("gauntlet", None)] == [gauntlet]
    assert contents.of("shard", "square8_2p") == ()
    assert contents.root == root_of(contents.refs)


def test_the_manifest_of_a_shard_is_a_blob_of_its_own(holder: Holder):
    manifest = put_shard(holder.folder.shards(GAME), b"games")
    contents = holder.catalogue.look()
    (ref,) = contents.refs
    assert ref.manifest == hashlib.sha256(manifest.dump()).hexdigest()
    assert contents.paths[ref.manifest].read_bytes() == manifest.dump()
    assert contents.paths[ref.sha256].read_bytes() == b"games"


def test_what_is_not_what_its_name_says_is_not_held(holder: Holder):
    shards = holder.folder.shards(GAME)
    right = put_shard(shards, b"games")
    (shards / f"{'0' * 16}.json").write_bytes(right.dump())
    (shards / f"{'0' * 16}.npz").write_bytes(b"games")
    short = put_shard(shards, b"cut off")
    (shards / f"{short.stem}.npz").write_bytes(b"cut")
    put_shard(holder.folder.shards("hex8_3p"), b"elsewhere")  # a shard of hex8_2p
    put_record(holder.folder.results(GAME), b"{}")
    (holder.folder.results(GAME) / f"{'1' * 16}.json").write_bytes(b"{} under another name")
    (holder.folder.results(GAME) / "notes.json").write_bytes(b"{}")
    assert [ref.kind for ref in holder.catalogue.look().refs] in (["shard", "match"], ["match", "shard"])


def test_files_outside_of_the_rooms_are_never_held(holder: Holder):
    models = holder.folder.models
    (models / "versions").mkdir(parents=True)
    for path in (models / f"canonical_{GAME}.pth", models / "versions" / f"{'a' * 64}.pth", holder.root / "secret"):
        path.write_bytes(b"x")
    sha256 = hashlib.sha256(b"x").hexdigest()
    (models / "versions" / f"{sha256}.pth").write_bytes(b"x")  # not in the index: nobody knows its game
    assert holder.catalogue.look().refs == ()
    assert holder.catalogue.look().paths == {}


def test_what_comes_and_goes_is_noticed(holder: Holder):
    looked = []
    for number in range(3):
        put_shard(holder.folder.shards(GAME), bytes([number]))
        looked.append(len(holder.catalogue.look().refs))
    for _ in range(3):  # the folder rests
        assert len(holder.catalogue.look().refs) == 3
    last = put_shard(holder.folder.shards(GAME), b"last")
    looked.append(len(holder.catalogue.look().refs))
    (holder.folder.shards(GAME) / f"{last.stem}.json").unlink()
    looked.append(len(holder.catalogue.look().refs))
    assert looked == [1, 2, 3, 4, 3]


def test_a_look_is_at_most_one_a_second(tmp_path: Path):
    now = [0.0]
    holder = Holder(tmp_path)
    catalogue = Catalogue(holder.folder, lambda: now[0])
    assert catalogue.look().refs == ()
    put_shard(holder.folder.shards(GAME), b"games")
    assert catalogue.look().refs == ()
    now[0] = 1.0
    assert len(catalogue.look().refs) == 1


def test_a_damaged_file_has_no_chunks(holder: Holder):
    manifest = put_shard(holder.folder.shards(GAME), b"games")
    assert holder.catalogue.chunks(manifest.blob.sha256) == (5, (manifest.blob.sha256,))
    (holder.folder.shards(GAME) / f"{manifest.stem}.npz").write_bytes(b"gamez")
    assert holder.catalogue.chunks(manifest.blob.sha256) is None
    assert holder.catalogue.chunks("0" * 64) is None


def test_an_own_shard_comes_before_a_fetched_copy_of_it(holder: Holder):
    put_shard(holder.folder.fetched_shards(GAME), b"games")
    put_shard(holder.folder.shards(GAME), b"games")
    (ref,) = Catalogue(holder.folder, fresh()).look().refs
    assert ref.own
