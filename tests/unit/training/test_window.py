"""The replay window: which shards count, which are refused and why, and that its digest names what is read."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import HEURISTIC_V1_DIGEST, UNIFORM_DIGEST
from ringrift_core.selfplay.manifest import ShardPlayer
from ringrift_core.selfplay.shard import read_shard
from ringrift_core.training import window_size
from ringrift_core.training.window import Store, Window, commit_window, read_window
from ringrift_core.training.window_size import window_rows
from tests.played_games import edited_manifest, tampered, with_content
from tests.training_shards import KEY, NOON, bare, games, rows_in, shard, window_of

NET, OTHER = ShardPlayer("net", "cd" * 32), ShardPlayer("old net", "ef" * 32)


def files(window: Window) -> list[str]:
    return [it.file for it in window.shards]


def reasons(window: Window) -> dict[str, str]:
    return {it.file: it.reason for it in window.refused}


def test_the_window_grows_by_a_power_law():
    """By hand: 250,000 + 0.4 * (n^0.65 - 250,000^0.65) / (0.65 * 250,000^-0.35)."""
    assert [window_rows(n) for n in (0, 1, 249_999, 250_000)] == [0, 1, 249_999, 250_000]
    assert window_rows(1_000_000) == 474_967
    assert window_rows(10_000_000) == 1_788_252
    assert window_rows(100_000_000) == 7_654_480


def test_a_window_never_shrinks_when_rows_are_added():
    sizes = [window_rows(n) for n in range(0, 3_000_000, 1009)]
    assert sizes == sorted(sizes)
    assert all(size <= n for size, n in zip(sizes, range(0, 3_000_000, 1009), strict=True))


def test_only_the_newest_rows_count(tmp_path, monkeypatch):
    paths = [shard(tmp_path, games(count=8, seed=seed), hour=-seed) for seed in range(1, 6)]  # the first is the newest
    monkeypatch.setattr(window_size, "WINDOW_MIN", rows_in(paths[0]) + 1)
    monkeypatch.setattr(window_size, "WINDOW_SCALE", 0.0)
    window = window_of(tmp_path)
    assert files(window) == [paths[0].name, paths[1].name]  # one row more than the newest has
    assert window.newest_at == NOON - timedelta(hours=1)
    assert window.oldest_at == NOON - timedelta(hours=2)
    assert (window.rows, window.games) == (rows_in(*paths[:2]), 16)
    assert (window.rows_total, window.games_total) == (rows_in(*paths), 40)


def test_other_configurations_are_passed_over(tmp_path):
    mine, _ = shard(tmp_path), shard(tmp_path, games("hex8_3p", 4), key="hex8_3p")
    window = window_of(tmp_path)
    assert (files(window), window.refused) == ([mine.name], ())
    assert window_of(tmp_path, key="hex8_3p").config_key == "hex8_3p"


def lopsided(folder: Path) -> Path:
    """Fifty games that agent 1 wins."""
    won = [game for seed in (1, 2, 3) for game in games(count=40, seed=seed) if game.ending.winner == 1]
    return shard(folder, won[:50])


def one_hot(folder: Path) -> Path:
    path = shard(folder.with_name("whole"))
    policy = read_shard(path).columns.policy
    return tampered(folder, path, policy=np.where(policy == 255, policy, 0).astype(np.uint8))


def foreign(folder: Path) -> Path:
    return edited_manifest(shard(folder), lambda form: form.update(rules_digest="0" * 64))


def without_targets(folder: Path) -> Path:
    return shard(folder, [bare(game) for game in games(count=8)])


def with_other_winners(folder: Path) -> Path:
    """Sound as arrays, but its games do not end as it says."""
    path = shard(folder.with_name("whole"))
    return tampered(folder, path, winners=3 - read_shard(path).columns.winners)


def damaged(folder: Path) -> Path:
    path = shard(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def truncated(folder: Path) -> Path:
    path = shard(folder)
    path.write_bytes(path.read_bytes()[:-1])
    return path


def missing(folder: Path) -> Path:
    path = shard(folder)
    path.unlink()
    return path


def no_archive(folder: Path) -> Path:
    path = with_content(shard(folder), b"no archive at all")
    form = json.loads(path.with_suffix(".json").read_text())
    named = path.with_name(f"{form['blob']['sha256'][:16]}.npz")
    for ending in (".npz", ".json"):
        path.with_suffix(ending).rename(named.with_suffix(ending))
    return named


def unreadable(folder: Path) -> Path:
    path = shard(folder)
    path.with_suffix(".json").write_text('{"schema": "ringrift.shard"')
    return path


def misnamed(folder: Path) -> Path:
    path = shard(folder)
    for ending in (".npz", ".json"):
        path.with_suffix(ending).rename(folder / f"copy{ending}")
    return folder / "copy.npz"


def duplicate(folder: Path) -> Path:
    return shard(folder, games(count=12, seed=9), hour=-30, host="another")  # of the sound shard


BAD = {
    lopsided: "agent 1 wins 50 of 50 games",
    one_hot: "only 0.2% of its policy targets name more than one decision",
    foreign: "played by rules 0000000000000000",
    without_targets: "no row in it has a policy target",
    with_other_winners: "game 0 does not replay: winner",
    damaged: "damaged: its digest is not the one in its manifest",
    truncated: "truncated: ",
    missing: "there is no such file",
    no_archive: "damaged: BadZipFile",
    unreadable: "manifest: not JSON",
    misnamed: "not named by its content",
    duplicate: "every game of it is in newer shards",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_an_unfit_shard_is_refused_with_the_reason(tmp_path, make):
    sound = games(count=12, seed=9)
    if make is duplicate:  # the same games in a file with other bytes
        sound = (*sound, games(count=1, seed=8)[0])
    good = shard(tmp_path / "data", sound)
    bad = make(tmp_path / "data")
    window = window_of(tmp_path / "data")
    assert files(window) == [good.name]
    assert list(reasons(window)) == [bad.name]
    assert reasons(window)[bad.name].startswith(BAD[make])
    assert (window.rows_total, window.games_total) == (rows_in(good), len(sound))


@pytest.mark.parametrize("make", [make for make in BAD if make is not duplicate], ids=lambda make: make.__name__)
def test_nothing_but_unfit_shards_is_an_error_that_says_why(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(StorageError, match=KEY) as raised:
        window_of(tmp_path / "data")
    assert BAD[make] in str(raised.value)


def test_a_shard_with_some_fit_signs_is_fit(tmp_path):
    """The bounds of the quality signs, from the other side."""
    mixed = [game for seed in (1, 2, 3) for game in games(count=40, seed=seed)]
    won = [game for game in mixed if game.ending.winner == 1][:44]
    lost = [game for game in mixed if game.ending.winner == 2][:6]
    path = shard(tmp_path, [*won, *lost])
    assert files(window_of(tmp_path)) == [path.name]


def test_games_of_newer_shards_are_named_as_duplicates(tmp_path):
    few, more = games(count=4, seed=2), games(count=6, seed=3)
    newer = shard(tmp_path, few, hour=2)
    older = shard(tmp_path, [more[0], few[1], more[2], few[3], more[2]], hour=1)
    window = window_of(tmp_path)
    assert files(window) == [newer.name, older.name]
    assert [it.duplicates for it in window.shards] == [(), (1, 3, 4)]


def test_games_of_shards_outside_the_window_are_no_duplicates(tmp_path):
    refused = damaged(tmp_path)
    again = shard(tmp_path, [*games(), games(seed=2)[0]], hour=-1)
    window = window_of(tmp_path)
    assert (files(window), window.shards[0].duplicates) == ([again.name], ())
    assert list(reasons(window)) == [refused.name]


@pytest.mark.parametrize("make", [None, lambda folder: shard(folder, games("hex8_3p", 4), key="hex8_3p")])
def test_a_folder_without_shards_is_an_error_that_says_what_to_do(tmp_path, make):
    (tmp_path / "data").mkdir()
    if make is not None:
        make(tmp_path / "data")
    with pytest.raises(StorageError, match=f"no rows of {KEY} to train on in .*data; make some with `ringrift selfpl"):
        window_of(tmp_path / "data")


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(StorageError, match="nowhere: cannot be listed: No such file"):
        window_of(tmp_path / "nowhere")


def test_stale_data_is_refused_unless_asked_for(tmp_path):
    shard(tmp_path)
    store, key, later = Store((tmp_path,)), ConfigKey.parse(KEY), NOON + timedelta(hours=48, seconds=1)
    with pytest.raises(StorageError, match="the newest shard of hex8_2p is 48 hours old, more than 48: make new games"):
        commit_window(store, key, later, timedelta(hours=48))
    assert commit_window(store, key, later, timedelta(hours=49)).games == commit_window(store, key, later, None).games


def test_a_refused_shard_does_not_make_old_data_fresh(tmp_path):
    edited_manifest(damaged(tmp_path), lambda form: form.update(created_at="2026-02-10T12:00:00Z"))
    shard(tmp_path, games(seed=2))
    with pytest.raises(StorageError, match="the newest shard of hex8_2p is 240 hours old"):
        commit_window(Store((tmp_path,)), ConfigKey.parse(KEY), NOON + timedelta(days=10), timedelta(hours=48))
    assert window_of(tmp_path).newest_at == NOON


def test_evaluations_of_nets_are_counted_and_those_of_rules_of_thumb_are_not(tmp_path):
    heuristic, uniform = ShardPlayer("heuristic-v1", HEURISTIC_V1_DIGEST), ShardPlayer("uniform", UNIFORM_DIGEST)
    tables = {1: (NET, OTHER), 20: (heuristic, OTHER), 300: (uniform, NET), 4000: (OTHER, heuristic)}
    for hour, (evaluations, players) in enumerate(tables.items()):
        played = games(count=8, seed=hour + 1)
        shard(tmp_path, played, hour=hour, players=players, evaluations=evaluations)
    window = window_of(tmp_path)
    assert window.evaluations_total == 4001
    assert [it.searched_by_net for it in window.shards] == [True, False, False, True]  # the newest first


def test_the_digest_depends_on_the_shards_only(tmp_path):
    """Not on the folders' names and order, nor on which of them has a shard; on what was refused it does."""
    first, second = tmp_path / "a", tmp_path / "b"
    for seed, folder in ((1, first), (2, second), (3, second), (4, first)):
        shard(folder, games(count=8, seed=seed), hour=seed)
    damaged(second)
    foreign(first).with_suffix(".npz").unlink()
    (second / f"{'0' * 16}.json").write_text("{")
    one = window_of(first, second)
    assert len(one.refused) == 3
    assert window_of(second, first).sha256 == one.sha256
    moved = tmp_path / "elsewhere"
    shutil.copytree(second, moved)
    shutil.copytree(first, moved, dirs_exist_ok=True, ignore=lambda _folder, names: set(names) & set(files(one)))
    assert window_of(moved, first, second).shards == one.shards
    for path in first.iterdir():
        if not (moved / path.name).exists():
            shutil.copy(path, moved)
    assert {it.reason for it in window_of(moved).refused} <= {it.reason for it in one.refused}
    assert window_of(moved).shards == one.shards


def test_copies_of_a_shard_count_once_and_a_sound_one_is_read(tmp_path):
    """A copy that another host wrote, with another date; the first folder's copy is damaged."""
    shard(tmp_path / "b", hour=-3, host="there")
    spoiled = damaged(tmp_path / "a")
    window, turned = window_of(tmp_path / "a", tmp_path / "b"), window_of(tmp_path / "b", tmp_path / "a")
    assert (files(window), window.refused) == ([spoiled.name], ())
    assert window.newest_at == NOON - timedelta(hours=3)
    assert window.sha256 == turned.sha256
    assert len(Store((tmp_path / "a", tmp_path / "b")).read(window.shards[0])) == window.games


def test_a_window_is_read_as_it_was_written(tmp_path):
    shard(tmp_path, hour=-1)
    shard(tmp_path, [*games(count=4), games(seed=2)[0]], hour=-2)
    damaged(tmp_path)
    window = window_of(tmp_path)
    (tmp_path / "w.json").write_bytes(window.dump())
    again = read_window(tmp_path / "w.json")
    assert again == window
    assert again.sha256 == window.sha256


def garbage(window: Window) -> dict[str, str]:
    form = json.loads(window.dump())
    entry = form["shards"][0]
    entries: dict[str, dict[str, object]] = {
        "no_games": {"games": 0},
        "no_samples": {"samples": 0},
        "many_games": {"games": 10**9},
        "duplicate": {"duplicates": [entry["games"]]},
        "negative": {"duplicates": [-1]},
        "digest": {"sha256": "../../x"},
        "text": {"samples": "12"},
    }
    spoiled: dict[str, dict[str, object]] = {
        "form": {"form": "ringrift.window/2"},
        "no_shards": {"shards": []},
        "unknown": {"x": 1},
        "large": {"rows_total": 10**400},
        "date": {"newest_at": "yesterday"},
        "twice": {"shards": [entry, entry]},
        **{name: {"shards": [{**entry, **change}]} for name, change in entries.items()},
    }
    texts = {"empty": "", "list": "[]", "null": "null", "deep": "[" * 100_000, "half": json.dumps(form)[:-1]}
    return texts | {name: json.dumps({**form, **change}) for name, change in spoiled.items()}


def test_what_is_no_window_is_refused(tmp_path):
    shard(tmp_path)
    window, path = window_of(tmp_path), tmp_path / "window.json"
    for name, text in garbage(window).items():
        path.write_text(text)
        with pytest.raises(StorageError, match=r"window\.json: no window"):
            print(name, read_window(path))  # which one was taken, if any
    path.write_bytes(b"\xff\x00" + window.dump())
    with pytest.raises(StorageError, match="no window"):
        read_window(path)
    with pytest.raises(StorageError, match="there is no such file"):
        read_window(tmp_path / "nowhere.json")


def test_a_window_carries_the_rules_it_was_made_by(tmp_path):
    shard(tmp_path)
    assert window_of(tmp_path).rules_digest == Game.RULES_DIGEST
