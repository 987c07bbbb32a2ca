"""The index of shards: what counts, what is read, what is lost."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import HEURISTIC_V1_DIGEST, UNIFORM_DIGEST
from ringrift_core.selfplay import shard_index
from ringrift_core.selfplay.check import quarantine
from ringrift_core.selfplay.manifest import ShardPlayer
from ringrift_core.selfplay.shard_index import ShardIndex, Totals
from ringrift_core.storage import read_bounded
from tests.manifests import NOON, manifest, put
from tests.training_shards import games, shard

HEX = ConfigKey.parse("hex8_2p")
THREE = ConfigKey.parse("hex8_3p")


@pytest.fixture
def index(tmp_path: Path) -> ShardIndex:
    return ShardIndex(tmp_path / "shards.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "shards"
    path.mkdir()
    return path


def test_real_shards_are_counted_by_configuration(index, folder):
    shard(folder, games(count=5), evaluations=70)
    shard(folder, games("hex8_3p", count=4), key="hex8_3p", hour=2)
    found = index.scan(folder)
    assert (found.new, found.gone, found.refused) == (2, 0, ())
    two, three = index.totals(HEX), index.totals(THREE)
    assert (two.games, two.shards, two.shards_kept, two.evaluations) == (5, 1, 1, 70)
    assert (three.games, three.newest_at) == (4, NOON + timedelta(hours=2))
    assert two.rows > 0
    assert found.totals == {"hex8_2p": two, "hex8_3p": three}
    assert (found.of(HEX), found.of(ConfigKey.parse("square8_2p"))) == (two, Totals())


def test_an_empty_folder_has_no_totals_and_no_index(index, folder):
    assert index.totals(HEX) == Totals()
    assert index.scan(folder).totals == {}


def test_deleted_shards_count_on(index, folder):
    paths = [put(folder, manifest(number)) for number in range(3)]
    before = index.scan(folder).of(HEX)
    paths[2].unlink()
    found = index.scan(folder)
    assert (found.new, found.gone) == (0, 1)
    assert (before.shards_kept, found.of(HEX).shards_kept) == (3, 2)
    assert (found.of(HEX).games, found.of(HEX).rows, found.of(HEX).shards) == (before.games, before.rows, 3)
    assert found.of(HEX).newest_at == NOON + timedelta(minutes=2)
    put(folder, manifest(2))
    assert index.scan(folder).of(HEX) == before


def test_quarantined_shards_do_not_count(index, folder):
    good, bad = (shard(folder, games(count=4, seed=seed)) for seed in (1, 2))
    index.scan(folder)
    quarantine(bad, "does not replay")
    found = index.scan(folder)
    assert (found.of(HEX).games, found.of(HEX).shards_kept, found.gone) == (4, 1, 1)
    good.with_suffix(".json").unlink()
    assert index.scan(folder).of(HEX).games == 4
    (folder / "quarantine" / bad.with_suffix(".json").name).rename(bad.with_suffix(".json"))
    assert index.scan(folder).of(HEX).games == 8


def test_a_shard_in_two_folders_counts_once_and_stays_while_one_has_it(index, folder, tmp_path):
    other = tmp_path / "fetched"
    paths = [put(place, manifest(1)) for place in (folder, other)]
    for place in (folder, other):
        index.scan(place)
    assert (index.totals(HEX).shards, index.totals(HEX).games) == (1, 3)
    paths[0].unlink()
    assert index.scan(folder).of(HEX).shards_kept == 1
    paths[1].unlink()
    assert index.scan(other).of(HEX).shards_kept == 0
    assert index.totals(HEX).games == 3


def test_only_new_manifests_are_read(index, folder, monkeypatch):
    read: list[str] = []

    def reading(path: Path, size_max: int) -> bytes:
        read.append(path.name)
        return read_bounded(path, size_max)

    monkeypatch.setattr(shard_index, "read_bounded", reading)
    first = put(folder, manifest(1))
    broken = folder / f"{'b' * 16}.json"
    broken.write_text("{")
    index.scan(folder)
    read.clear()
    second = put(folder, manifest(2))
    assert [it.file for it in index.scan(folder).refused] == [broken.name]
    assert read == [second.name]
    assert first.exists()


def test_what_is_refused_is_said_and_not_counted(index, folder):
    put(folder, manifest(1), name="c" * 16)
    put(folder, manifest(2, rules="d" * 64))
    (folder / f"{'e' * 16}.json").write_text("[" * 100_000)
    (folder / "notes.json").write_text("other people's")
    (folder / f".tmp-{'f' * 16}.json-1").write_text("half")
    found = index.scan(folder)
    reasons = {it.file: it.reason for it in found.refused}
    assert found.totals == {}
    assert len(reasons) == 3
    assert reasons[f"{'c' * 16}.json"] == f"not named by its content, which is {manifest(1).stem}"
    assert reasons[f"{manifest(2).stem}.json"].startswith("played by rules dddddddddddddddd, ours are")
    assert reasons[f"{'e' * 16}.json"].startswith("manifest: not JSON")
    assert str(folder) not in "".join(reasons.values())


def test_a_refused_manifest_that_is_replaced_is_read_again(index, folder):
    path = folder / f"{manifest(1).stem}.json"
    path.write_text("{}")
    assert len(index.scan(folder).refused) == 1
    put(folder, manifest(1))
    found = index.scan(folder)
    assert (found.refused, found.of(HEX).shards) == ((), 1)
    path.unlink()
    (folder / f"{'b' * 16}.json").write_text("{}")
    assert len(index.scan(folder).refused) == 1
    (folder / f"{'b' * 16}.json").unlink()
    assert index.scan(folder).refused == ()


def test_judgements_of_rules_of_thumb_are_no_evaluations(index, folder):
    for number, digest in enumerate((HEURISTIC_V1_DIGEST, UNIFORM_DIGEST, "ab" * 32)):
        put(folder, manifest(number, players=(ShardPlayer("judge", digest),), evaluations=10))
    assert index.scan(folder).of(HEX).evaluations == 10


def test_a_lost_index_is_made_anew_from_the_folder(index, folder, tmp_path):
    for number in range(3):
        put(folder, manifest(number))
    before = index.scan(folder)
    for path in tmp_path.glob("shards.sqlite*"):
        path.unlink()
    assert index.scan(folder) == before


def test_the_index_and_its_folders_move_together(folder, tmp_path):
    home = tmp_path / "home"
    put(home / "shards", manifest(1))
    ShardIndex(home / "i.sqlite").scan(home / "shards")
    home.rename(tmp_path / "moved")
    (tmp_path / "moved" / "shards" / f"{manifest(1).stem}.json").unlink()
    assert ShardIndex(tmp_path / "moved" / "i.sqlite").scan(tmp_path / "moved" / "shards").of(HEX).shards_kept == 0


def test_a_folder_that_is_none_changes_nothing(index, folder, tmp_path):
    put(folder, manifest(1))
    before = index.scan(folder).of(HEX)
    folder.rename(tmp_path / "unmounted")
    with pytest.raises(StorageError, match="cannot be listed"):
        index.scan(folder)
    assert index.totals(HEX) == before


@pytest.mark.parametrize("content", [b"", b"no database at all, " * 300])
def test_a_damaged_index_is_said_with_what_to_do(folder, tmp_path, content):
    path = tmp_path / "shards.sqlite"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"shards\.sqlite: .*move it away .*the next scan makes it anew"):
        ShardIndex(path).scan(folder)


def test_an_index_of_something_else_is_refused(folder, tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(StorageError, match="belongs to another program"):
        ShardIndex(path).totals(HEX)


def test_a_scan_that_fails_keeps_nothing(index, folder, monkeypatch):
    put(folder, manifest(1))
    before = index.scan(folder).of(HEX)
    put(folder, manifest(2))

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shard_index, "_totals", failing)  # the last thing within the transaction
        with pytest.raises(StorageError, match="No space left"):
            index.scan(folder)
    assert index.totals(HEX) == before
    assert index.scan(folder).of(HEX).shards == 2
