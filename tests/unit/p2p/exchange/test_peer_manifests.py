"""What others say that they hold: learned with small questions, hostile answers change nothing."""

import json
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from p2p.exchange.peer_manifests import PeerManifest
from p2p.exchange.refs import PAGE_MAX, ChunkList, ManifestPage, Ref, page_of, root_of
from ringrift_core.blob import CHUNK_BYTES, BlobRef


def ref(number: int, at: int | None = None) -> Ref:
    sha256 = f"{number:064x}"
    return Ref(
        kind="shard", game="hex8_2p", sha256=sha256, size_bytes=5, chunks=sha256, own=True,
        at=number if at is None else at,
    )  # fmt: skip


def page(refs: list[Ref], shown: list[Ref]) -> ManifestPage:
    return ManifestPage(root=root_of(refs), total=len(refs), refs=tuple(shown), champions={"hex8_2p": "a" * 64})


def test_pages_together_are_the_list_each_once_whatever_comes_between():
    refs = sorted((ref(number, at=number // 3) for number in range(1000)), key=lambda it: it.order)
    seen: list[Ref] = []
    cursor = None
    while True:
        found, cursor = page_of(refs, cursor, 7)
        seen += found
        if cursor is None:
            break
        refs = sorted([*refs, ref(5000 + len(seen), at=9999)], key=lambda it: it.order)  # newer than all
    assert [it.sha256 for it in seen] == [it.sha256 for it in refs if int(it.sha256, 16) < 1000]


@pytest.mark.parametrize("cursor", ["", "x", "1-2", f"-1-{'a' * 64}", f"1-{'A' * 64}", f"{'9' * 13}-{'a' * 64}"])
def test_what_is_no_cursor_is_refused(cursor: str):
    with pytest.raises(ValueError, match="no cursor"):
        page_of([ref(1)], cursor)


def test_a_first_page_is_enough_for_what_is_new():
    known = PeerManifest().learned(page([ref(1), ref(2)], [ref(1), ref(2)]))
    assert known is not None
    more = known.learned(page([ref(1), ref(2), ref(3)], [ref(3)]))
    assert more is not None
    assert len(more.refs) == 3
    assert more.champions == {"hex8_2p": "a" * 64}


def test_what_was_removed_or_is_not_all_asks_for_everything():
    known = PeerManifest().learned(page([ref(1), ref(2)], [ref(1), ref(2)]))
    assert known is not None
    assert known.learned(page([ref(2)], [ref(2)])) is None
    assert known.learned(page([ref(1), ref(2), ref(3), ref(4)], [ref(4)])) is None


def test_nothing_new_keeps_what_is_known():
    known = PeerManifest().learned(page([ref(1)], [ref(1)]))
    assert known is not None
    same = known.learned(page([ref(1)], []))
    assert same is not None
    assert same.refs == known.refs


GOOD = ref(1).model_dump()
HOSTILE: list[Callable[[], object]] = [
    lambda: {**GOOD, "sha256": "../../etc/passwd"},
    lambda: {**GOOD, "sha256": "A" * 64},
    lambda: {**GOOD, "game": "../x"},
    lambda: {**GOOD, "kind": "key"},
    lambda: {**GOOD, "size_bytes": 0},
    lambda: {**GOOD, "size_bytes": 1 << 31},
    lambda: {**GOOD, "at": -1},
    lambda: {**GOOD, "at": 10**15},
    lambda: {**GOOD, "rows": 1 << 60},
    lambda: {**GOOD, "manifest": "x"},
    dict,
    list,
]


@pytest.mark.parametrize("made", HOSTILE)
def test_a_hostile_reference_spoils_the_page(made: Callable[[], object]):
    content = json.dumps({"root": "a" * 64, "total": 1, "refs": [made()]})
    with pytest.raises(ValidationError):
        ManifestPage.model_validate_json(content)


def test_a_page_has_a_size_and_a_later_version_may_say_more():
    refs = [GOOD | {"new": 1}] * (PAGE_MAX + 1)
    with pytest.raises(ValidationError):
        ManifestPage.model_validate({"root": "a" * 64, "total": 1, "refs": refs})
    assert len(ManifestPage.model_validate({"root": "a" * 64, "total": 1, "refs": refs[1:], "later": 2}).refs) == 500


@pytest.mark.parametrize(("size", "count", "sound"), [(1, 1, True), (CHUNK_BYTES, 1, True), (CHUNK_BYTES + 1, 1, False),
                                                     (CHUNK_BYTES + 1, 2, True), (1, 2, False)])  # fmt: skip
def test_a_list_of_chunks_fits_its_size(size: int, count: int, sound: bool):
    assert ChunkList(size_bytes=size, chunks=("a" * 64,) * count).sound is sound


def test_the_digest_of_a_list_is_that_of_the_reference():
    blob = BlobRef.of(b"some bytes")
    assert ChunkList(size_bytes=10, chunks=(blob.sha256,)).digest == blob.chunks
