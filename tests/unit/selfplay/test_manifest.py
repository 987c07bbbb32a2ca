"""Manifests: what is written is read, and whatever is not a manifest is refused with the place."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ringrift_core.blob import BlobRef
from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.selfplay.manifest import Counts, Manifest
from tests.played_games import shard_head


def manifest(**head) -> Manifest:
    return Manifest(BlobRef.of(b"x"), shard_head(**head), Game.RULES_DIGEST, Counts(1, 2, 3, 4))


def test_what_is_written_is_read_again():
    assert Manifest.parse(manifest().dump()) == manifest()
    assert manifest().stem == BlobRef.of(b"x").sha256[:16]
    elsewhere = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert Manifest.parse(manifest(created_at=elsewhere).dump()).head.created_at == datetime(
        2026, 1, 31, 12, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema": NaN}', "NaN is no JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "not one of a shard"),
        (b'{"schema": "other"}', "not one of a shard"),
    ],
)
def test_what_is_no_manifest_is_refused(content, message):
    with pytest.raises(StorageError, match=message):
        Manifest.parse(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2; this program reads version 1"),
        ({"version": True}, "version True"),
        ({"extra": 1}, "unknown keys: extra"),
        ({"blob": []}, "blob.sha256: missing"),
        ({"blob": {"sha256": "x", "size_bytes": 1, "chunks": "x"}}, "blob.sha256: must be 64 hex digits"),
        ({"config_key": "chess"}, "there is no game 'chess'"),
        ({"config_key": ["hex8_2p"]}, "must be a printable text"),
        ({"config_key": "hex8_3p"}, "true only with two players"),
        ({"swap": 1}, "swap"),
        ({"rules_digest": "A" * 64}, "rules_digest: must be 64 hex digits"),
        ({"players": []}, "must be a list"),
        ({"players": ["x"]}, "players.name: missing"),
        ({"players": [{"name": "\x1b[2J", "sha256": "0" * 64}]}, "printable"),
        ({"search": None}, "search: must be an object"),
        ({"seed": -1}, "seed: must be an integer"),
        ({"seed": 1.0}, "seed: must be an integer"),
        ({"host": "a\nb"}, "host: must be a printable text"),
        ({"created_at": "yesterday"}, "created_at: must be a time"),
        ({"counts": {"games": 1 << 40, "plies": 1, "decisions": 1, "samples": 1}}, "counts.games"),
        ({"counts": {"games": 1, "plies": 1, "decisions": 1, "samples": 1 << 21}}, "counts.samples"),
        ({"counts": {"games": 1}}, "counts.plies: missing"),
    ],
)
def test_a_refusal_names_the_key(change, message):
    form = {**json.loads(manifest().dump()), **change}
    with pytest.raises(StorageError, match=message):
        Manifest.parse(json.dumps(form).encode())


def test_no_key_may_be_missing():
    form = json.loads(manifest().dump())
    for key in form:
        with pytest.raises(StorageError):
            Manifest.parse(json.dumps({name: value for name, value in form.items() if name != key}).encode())
