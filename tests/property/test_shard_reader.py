"""Hostile shards whose manifests fit them: read without a traceback, or refused with a StorageError."""

import io
import zipfile
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift_core.errors import StorageError
from ringrift_core.selfplay.columns import Columns
from ringrift_core.selfplay.manifest import Manifest
from ringrift_core.selfplay.shard import Shard, read_shard, write_shard
from tests.played_games import played_games, shard_head
from tests.property import SCALE

NAMES = [column.name for column in fields(Columns)]


@cache
def original() -> tuple[bytes, Manifest]:
    with TemporaryDirectory() as folder:
        path = write_shard(Path(folder), played_games(count=2), shard_head())
        return path.read_bytes(), read_shard(path).manifest


def survives(content: bytes) -> bool:
    """Read and replay whatever is there; False when it was refused. Anything but a StorageError is a failure."""
    manifest = original()[1]
    try:
        shard = Shard(manifest, Columns.unpack(content, manifest))
        shard.samples()
    except StorageError:
        return False
    return True


def repacked(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(original()[0])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_original_survives():
    assert survives(original()[0])
    assert survives(repacked(members()))


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_of_the_file(changes):
    content = bytearray(original()[0])
    for place, value in changes:
        content[place % len(content)] = value
    survives(bytes(content))


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_changed_bytes_of_the_directory(place, data):
    """Names, sizes, offsets and flags stand at the end of the file; the content of the arrays stays whole."""
    content = bytearray(original()[0])
    directory = content.index(b"PK\x01\x02")
    at = directory + place % (len(content) - directory - len(data))
    content[at : at + len(data)] = data
    survives(bytes(content))


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8))
def test_changed_bytes_of_an_array(name, place, data):
    """The archive is sound, the array in it is not: headers, ids, counts, numbers of any kind."""
    parts = members()
    array = bytearray(parts[f"{name}.npy"])
    at = place % len(array)
    array[at : at + len(data)] = data
    survives(repacked({**parts, f"{name}.npy": bytes(array[: len(parts[f"{name}.npy"])])}))


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 127), st.binary(min_size=1, max_size=8))
def test_changed_bytes_of_an_array_header(name, place, data):
    parts = members()
    array = bytearray(parts[f"{name}.npy"])
    array[place : place + len(data)] = data
    survives(repacked({**parts, f"{name}.npy": bytes(array[: len(parts[f"{name}.npy"])])}))


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_another_kind_are_refused(name):
    parts = members()
    array = np.load(io.BytesIO(parts[f"{name}.npy"]))
    assert not survives(repacked({key: data for key, data in parts.items() if key != f"{name}.npy"}))
    assert not survives(repacked({**parts, "more.npy": b""}))
    others = [
        *(array.astype(np.float64), array.astype(">u4"), array.reshape(1, -1), array[:-1], array[:0]),
        *(array.astype(object), np.array(7), np.concatenate([array, array])),
    ]
    for other in others:
        stream = io.BytesIO()
        np.save(stream, other, allow_pickle=True)
        assert not survives(repacked({**parts, f"{name}.npy": stream.getvalue()})), other.dtype


def test_an_array_that_unpacks_to_more_than_the_manifest_says_is_refused():
    """Also when the archive's directory says that it is small."""
    bomb = bytes(1 << 26)
    content = repacked({**members(), "choices.npy": bomb})
    assert len(content) < 1 << 18
    assert not survives(content)
    size = len(members()["choices.npy"])
    lying = content.replace(len(bomb).to_bytes(4, "little"), size.to_bytes(4, "little"))
    assert lying != content
    assert not survives(lying)
