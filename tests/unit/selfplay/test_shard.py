"""Shards: what is written is read again, the same games give the same bytes, nothing half-written counts."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ringrift_core.blob import CHUNK_BYTES, BlobRef
from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.selfplay.check import check_folder
from ringrift_core.selfplay.columns import quantised, restored
from ringrift_core.selfplay.played_game import FULL
from ringrift_core.selfplay.shard import read_shard, write_shard
from ringrift_core.selfplay.shard_folder import shards_in
from tests.full_disk import full_disk_at
from tests.played_games import played_games, random_target, shard_head


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p", "hex8_4p"])
def test_what_is_written_is_read_again(tmp_path, key):
    games, head = played_games(key, 5), shard_head(key)
    path = write_shard(tmp_path, games, head)
    shard = read_shard(path)
    assert shard.manifest.head == head
    columns = shard.columns
    np.testing.assert_array_equal(columns.choices, np.concatenate([game.choices for game in games]))
    np.testing.assert_array_equal(columns.flags, np.concatenate([game.flags for game in games]))
    np.testing.assert_array_equal(columns.seeds, [game.seed for game in games])
    np.testing.assert_array_equal(columns.numbers, [game.number for game in games])
    np.testing.assert_array_equal(columns.players, [game.players for game in games])
    np.testing.assert_array_equal(columns.hashes, [game.ending.hash for game in games])
    np.testing.assert_array_equal(columns.ranks, [game.ending.ranks for game in games])
    values = np.concatenate([game.root_values for game in games])
    np.testing.assert_allclose(columns.root_values, values, atol=2**-11)
    counts = shard.manifest.counts
    assert counts.samples == sum(len(game.targets) for game in games) == len(shard.samples())
    assert counts.decisions == sum(len(game.choices) for game in games)
    assert counts.plies == sum(game.ending.plies for game in games)


def test_equal_content_gives_equal_bytes_and_one_name(tmp_path):
    first = write_shard(tmp_path / "a", played_games(count=3), shard_head())
    second = write_shard(tmp_path / "b", played_games(count=3), shard_head())
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    assert write_shard(tmp_path / "a", played_games(count=3), shard_head(host="there")) == first
    assert check_folder(tmp_path / "a", 0.0).verdicts[0].fault is None
    assert write_shard(tmp_path / "a", played_games(count=3, seed=2), shard_head()) != first


def test_a_game_without_full_rows_has_no_samples(tmp_path):
    game = played_games(count=1)[0]
    bare = replace(
        game,
        flags=game.flags & ~np.uint8(FULL),
        targets=(),
        root_values=np.zeros((0, 2), np.float32),
        surprise=np.zeros(0, np.float32),
    )
    samples = read_shard(write_shard(tmp_path, [bare], shard_head())).samples()
    assert len(samples) == len(samples.policy) == len(samples.win) == 0
    mixed = read_shard(write_shard(tmp_path, [bare, game, bare], shard_head())).samples()
    assert set(mixed.row_of[:, 0].tolist()) == {1}


def test_quantised_targets_stay_within_the_bound():
    rng = np.random.default_rng(3)
    for length in (2, 3, 80, 1100):
        for target in (random_target(rng, length), np.full(length, 1 / length, np.float32)):
            offsets = np.array([0, length])
            found = restored(quantised(target), offsets)
            bound = np.sqrt(length * target.max()) / 255 + length * target.max() / 260_100
            assert np.abs(found - target).sum() / 2 <= bound
            assert found.sum() == pytest.approx(1, abs=1e-5)
            assert quantised(target).max() == 255


def with_choice(game, choice):
    choices = game.choices.copy()
    choices[0] = choice
    return replace(game, choices=choices)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda game: replace(game, flags=game.flags[1:]), "do not fit together"),
        (lambda game: replace(game, targets=game.targets[1:]), "do not fit together"),
        (lambda game: replace(game, choices=game.choices[:0], flags=game.flags[:0]), "do not fit together"),
        (lambda game: replace(game, players=(0, 2)), "out of its range"),
        (lambda game: replace(game, seed=-1), "out of its range"),
        (lambda game: replace(game, flags=game.flags | np.uint8(8)), "out of its range"),
        (lambda game: replace(game, surprise=game.surprise + np.nan), "not a number"),
        (lambda game: replace(game, root_values=game.root_values + 0.5), "no probability"),
        (lambda game: replace(game, targets=[target * 0 for target in game.targets]), "no distribution"),
        (lambda game: with_choice(game, 2026), "choice 0: it is not legal"),
        (lambda game: replace(game, ending=replace(game.ending, hash=1)), "hash 1 recorded"),
        (lambda game: replace(game, targets=[*game.targets[:-1], np.ones(999, np.float32)]), "not as long"),
    ],
)
def test_a_game_that_is_not_one_is_not_written(tmp_path, spoil, message):
    with pytest.raises(InvariantError, match=message):
        write_shard(tmp_path, [spoil(played_games(count=1)[0])], shard_head())
    assert list(tmp_path.iterdir()) == []


def test_an_empty_shard_and_a_head_that_cannot_be_read_back_are_refused(tmp_path):
    with pytest.raises(InvariantError, match="a game at least"):
        write_shard(tmp_path, [], shard_head())
    naive = shard_head().created_at.replace(tzinfo=None)
    with pytest.raises(InvariantError, match="time zone"):
        write_shard(tmp_path, played_games(count=1), shard_head(created_at=naive))
    with pytest.raises(InvariantError, match="no JSON object"):
        write_shard(tmp_path, played_games(count=1), shard_head(search={"x": float("nan")}))
    with pytest.raises(InvariantError, match="host: must be a printable text"):
        write_shard(tmp_path, played_games(count=1), shard_head(host="a\nb"))
    assert list(tmp_path.iterdir()) == []


def test_the_arrays_get_their_name_before_the_manifest(tmp_path, monkeypatch):
    renamed: list[str] = []
    synced: list[int] = []
    rename, sync = Path.replace, os.fsync

    def noted_rename(path: Path, to: Path) -> Path:
        renamed.append(to.suffix)
        return rename(path, to)

    def noted_sync(handle: int) -> None:
        synced.append(len(renamed))
        sync(handle)

    monkeypatch.setattr(Path, "replace", noted_rename)
    monkeypatch.setattr(os, "fsync", noted_sync)
    write_shard(tmp_path, played_games(count=1), shard_head())
    assert renamed == [".npz", ".json"]
    assert synced == [0, 1, 1, 2]  # the file, its name, the manifest, its name


@pytest.mark.parametrize("step", range(6))
def test_a_full_disk_leaves_nothing_that_counts(tmp_path, monkeypatch, step):
    """The failure is planted at each fsync and each rename in turn."""
    full_disk_at(monkeypatch, step)
    with pytest.raises(StorageError, match="the disk is full: free some space"):
        write_shard(tmp_path, played_games(count=1), shard_head())
    monkeypatch.undo()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]
    complete = step == 5  # only the last flush of the folder failed
    assert len(shards_in(tmp_path)) == complete
    assert all(verdict.fault is None for verdict in check_folder(tmp_path, 0.0).verdicts)


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        write_shard(tmp_path / "data", played_games(count=1), shard_head())


def test_a_blob_reference_covers_every_chunk():
    content = bytes(CHUNK_BYTES) + b"x"
    assert BlobRef.of(content).size_bytes == CHUNK_BYTES + 1
    assert BlobRef.of(content).chunks != BlobRef.of(content[:-1]).chunks
    assert BlobRef.of(b"").chunks == BlobRef.of(b"").sha256  # no chunk
