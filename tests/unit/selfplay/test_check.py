"""Checking shards: each kind of damage is found and named, duplicates too, and what killed writers left."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift_core.errors import StorageError
from ringrift_core.selfplay import replay
from ringrift_core.selfplay.check import check_folder, check_shard, quarantine
from ringrift_core.selfplay.fault import Fault
from ringrift_core.selfplay.played_game import FULL
from ringrift_core.selfplay.shard import read_shard, write_shard
from ringrift_core.selfplay.shard_folder import LEFTOVER_AGE_S, leftovers
from ringrift_core.storage import TEMPORARY
from tests.played_games import edited_manifest, played_games, shard_head, tampered, with_content

FLIPS = 200


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return write_shard(tmp_path_factory.mktemp("shards"), played_games(count=4), shard_head())


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    """A copy of the shard, to be spoilt."""
    for ending in (".npz", ".json"):
        shutil.copy(original.with_suffix(ending), tmp_path)
    return tmp_path / original.name


def refused(path: Path, fault: Fault, text: str = "") -> None:
    """The check finds this fault, and reading the rows does not get past it."""
    verdict = check_shard(path)
    assert verdict.fault is fault, verdict
    assert text in verdict.reason
    assert verdict.reason.startswith(str(path.with_suffix("")))
    if fault not in {Fault.FOREIGN_RULES, Fault.COUNTS, Fault.NAME}:
        with pytest.raises(StorageError):
            read_shard(path).samples()


def test_a_sound_shard_is_sound(path):
    verdict = check_shard(path)
    assert (verdict.fault, verdict.reason, len(verdict.game_ids), verdict.known_games) == (None, "", 4, 0)
    assert check_shard(path.with_suffix(".json")) == verdict


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_truncated_shard_is_found(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, Fault.TRUNCATED, f"of {len(content)} bytes")
    with_content(path, path.read_bytes())
    refused(path, Fault.FORMAT)


def test_every_flipped_bit_is_found(path):
    rng = np.random.default_rng(11)
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    places = [*rng.integers(len(content), size=FLIPS // 2), *rng.integers(directory, len(content), size=FLIPS // 2)]
    for place in places:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        assert check_shard(path).fault is Fault.DAMAGED, place
    path.write_bytes(content + b"x")
    refused(path, Fault.DAMAGED)


def test_a_missing_half_is_found(path):
    path.rename(path.with_name("gone"))
    refused(path, Fault.MISSING)
    path.with_name("gone").rename(path)
    path.with_suffix(".json").unlink()
    refused(path, Fault.MANIFEST, "no such file")


def test_foreign_rules_are_found(path):
    edited_manifest(path, lambda form: form.update(rules_digest="0" * 64))
    refused(path, Fault.FOREIGN_RULES, "played by rules 0000000000000000")


def test_an_illegal_choice_is_found(path, tmp_path):
    choices = read_shard(path).columns.choices.copy()
    for spoilt in (2026, 65535):
        choices[10] = spoilt
        refused(tampered(tmp_path / "a", path, choices=choices), Fault.REPLAY, "game 0 does not replay at choice 10")


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("hashes", 1, "hash"),
        ("winners", -1, "winner"),
        ("reasons", 1, "reason"),
        ("plies", 1, "plies"),
    ],
)
def test_an_ending_that_is_not_reached_is_found(path, tmp_path, name, change, text):
    column = getattr(read_shard(path).columns, name).copy()
    at = int(np.flatnonzero(column > 1)[0])
    column[at] = int(column[at]) + change
    refused(tampered(tmp_path / "a", path, **{name: column}), Fault.REPLAY, f"game {at} does not replay: {text}")


def test_other_ranks_are_found(path, tmp_path):
    ranks = read_shard(path).columns.ranks
    refused(tampered(tmp_path / "a", path, ranks=ranks[:, ::-1].copy()), Fault.REPLAY, "ranks")


def test_games_cut_otherwise_are_found(path, tmp_path):
    columns = read_shard(path).columns
    counts = columns.counts.copy()
    counts[0] -= 1
    counts[1] += 1
    refused(tampered(tmp_path / "a", path, counts=counts), Fault.REPLAY, "the game goes on after the last choice")
    counts[0] += 2
    counts[1] -= 2
    refused(tampered(tmp_path / "b", path, counts=counts), Fault.REPLAY, "the game is over before it")


def test_the_game_that_does_not_replay_is_named(path, tmp_path, monkeypatch):
    columns = read_shard(path).columns
    monkeypatch.setattr(replay, "CHUNK_GAMES", 2)
    choices = put(columns.choices, 2026)
    where = f"game 3 does not replay at choice {columns.counts[3] - 1}"
    refused(tampered(tmp_path / "a", path, choices=choices), Fault.REPLAY, where)


def test_a_target_of_another_length_or_at_another_choice_is_found(path, tmp_path):
    columns = read_shard(path).columns
    lengths = columns.policy_counts.copy()
    lengths[0] -= 1
    lengths[1] += 1
    policy = columns.policy.copy()
    policy[:] = 255
    refused(tampered(tmp_path / "a", path, policy_counts=lengths, policy=policy), Fault.REPLAY, "policy target")
    flags = columns.flags.copy()
    full = np.flatnonzero(flags & FULL)
    flags[full[0]] &= ~np.uint8(FULL)
    flags[np.flatnonzero(~flags & FULL)[-1]] |= FULL
    refused(tampered(tmp_path / "b", path, flags=flags), Fault.REPLAY)


def test_a_policy_row_of_zeros_is_found(path, tmp_path):
    columns = read_shard(path).columns
    refused(tampered(tmp_path / "a", path, policy=columns.policy * 0), Fault.FORMAT, "a row has no entry of 255")


def put(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("counts", 0, "one without a choice"),
        ("counts", (1 << 16) + 1, "too many choices"),
        ("counts", 3, "do not add up"),
        ("flags", 8, "one is unknown"),
        ("policy_counts", 1, "one is below two"),
        ("root_values", np.nan, "no probability"),
        ("root_values", -0.1, "no probability"),
        ("root_values", np.inf, "no probability"),
        ("surprise", np.nan, "negative or not finite"),
        ("surprise", np.inf, "negative or not finite"),
        ("players", 2, "not in the table"),
        ("numbers", -1, "negative"),
        ("winners", 0, "no agent"),
        ("winners", 3, "no agent"),
        ("ranks", 0, "no rank"),
        ("ranks", 3, "no rank"),
        ("reasons", 0, "unknown"),
        ("reasons", 9, "unknown"),
    ],
)
def test_numbers_out_of_their_range_are_found(path, tmp_path, name, value, text):
    columns = read_shard(path).columns
    changed: dict[str, Any] = {name: put(getattr(columns, name), value)}
    if name == "policy_counts":
        lost = int(columns.policy_counts[-1]) - value
        changed["policy"] = columns.policy[: len(columns.policy) - lost]
    refused(tampered(tmp_path / "a", path, **changed), Fault.FORMAT, text)


def test_flags_that_are_not_as_many_as_the_targets_are_found(path, tmp_path):
    flags = read_shard(path).columns.flags.copy()
    for value in (flags | FULL, flags & ~np.uint8(FULL)):
        refused(tampered(tmp_path / "a", path, flags=value), Fault.FORMAT, "not as many full rows as policy targets")


@pytest.mark.parametrize("count", ["games", "plies", "decisions", "samples"])
@pytest.mark.parametrize("value", [0, 1, 1 << 16])
def test_a_manifest_that_miscounts_is_found(path, count, value):
    edited_manifest(path, lambda form: form["counts"].update({count: value}))
    refused(path, Fault.COUNTS if count == "plies" else Fault.FORMAT)


@pytest.mark.parametrize(
    "change", [{"config_key": "square8_2p", "swap": True}, {"config_key": "hexagonal_2p"}, {"swap": False}]
)
def test_a_manifest_of_another_game_is_found(path, change):
    edited_manifest(path, lambda form: form.update(change))
    refused(path, Fault.REPLAY)


def test_another_number_of_players_is_found(path):
    edited_manifest(path, lambda form: form.update(config_key="hex8_3p", swap=False))
    refused(path, Fault.FORMAT, "root_values")


def test_a_copy_under_another_name_is_a_duplicate(path):
    for copy in ("0000", "zzzz"):  # before and after the original in the order of names
        for ending in (".npz", ".json"):
            shutil.copy(path.with_suffix(ending), path.with_name(copy + ending))
    found = {verdict.path.stem: verdict for verdict in check_folder(path.parent, 0.0).verdicts}
    assert found[path.stem].fault is None
    for copy in ("0000", "zzzz"):
        assert found[copy].fault is Fault.DUPLICATE
        assert f"duplicate of {path.stem}" in found[copy].reason
        refused(path.with_name(copy + ".npz"), Fault.NAME, f"that of {path.stem}")


def test_the_same_games_in_another_shard_are_found(tmp_path):
    games = played_games(count=4)
    write_shard(tmp_path, games, shard_head())
    write_shard(tmp_path, [replace(game, seed=5) for game in games], shard_head())
    some = write_shard(tmp_path, [*games[:2], *played_games(count=1, seed=9)], shard_head())
    check = {verdict.path: verdict for verdict in check_folder(tmp_path, 0.0).verdicts}
    holders = [verdict for path, verdict in check.items() if path != some]
    known = check[some].known_games + sum(verdict.known_games for verdict in holders)
    assert len(check) == 3
    assert known >= 4
    assert [verdict.fault for verdict in check.values()].count(Fault.DUPLICATE) == 1
    alone = check_shard(some, dict.fromkeys(holders[0].game_ids, "other"))
    assert (alone.fault, alone.known_games) == (None, 2)


def test_few_rows_at_a_time_are_as_good_as_many(path, tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "CHUNK_ROWS", 30)  # one game has about 20
    assert check_shard(path).fault is None
    hashes = read_shard(path).columns.hashes.copy()
    for game in range(4):
        refused(tampered(tmp_path / "a", path, hashes=np.where(np.arange(4) == game, 1, hashes)), Fault.REPLAY)
    monkeypatch.setattr(replay, "CHUNK_ROWS", 0)
    assert check_shard(path).fault is None


def test_quarantine_moves_a_shard_with_the_reason(path):
    content = path.read_bytes()
    for number in ("", "-2"):
        path.write_bytes(content[:100])
        verdict = check_shard(path)
        moved = quarantine(path, verdict.reason)
        assert moved == path.parent / "quarantine" / f"{path.stem}{number}.npz"
        assert not path.exists()
        assert not path.with_suffix(".json").exists()
        note = json.loads(moved.with_suffix(".reason.json").read_text())
        assert note == {"shard": path.name, "reason": verdict.reason}
        assert check_folder(path.parent, 0.0).verdicts == ()
        shutil.copy(moved.with_suffix(".json"), path.with_suffix(".json"))


def test_what_killed_writers_leave_is_found_when_it_is_old(path):
    unfinished = path.with_name(f"{TEMPORARY}{path.name}-12345678")
    alone = path.with_name("ffff.npz")
    for file in (unfinished, alone):
        file.write_bytes(b"PK")
        os.utime(file, (1000.0, 1000.0))
    assert leftovers(path.parent, 999.0 + LEFTOVER_AGE_S) == []
    assert leftovers(path.parent, 1000.0 + LEFTOVER_AGE_S) == [unfinished, alone]
    check = check_folder(path.parent, 1000.0 + LEFTOVER_AGE_S)
    assert check.leftovers == (unfinished, alone)
    assert [verdict.fault for verdict in check.verdicts] == [None]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StorageError, match="cannot be listed"):
        check_folder(tmp_path / "nowhere", 0.0)
