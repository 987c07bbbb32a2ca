"""The order of rows: a function of window and seed, resumed from anywhere, without the games kept for validation."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ringrift_core.errors import StorageError
from ringrift_core.players.names import HEURISTIC_V1_DIGEST
from ringrift_core.selfplay.manifest import ShardPlayer
from ringrift_core.selfplay.shard import read_shard
from ringrift_core.training import stream as module
from ringrift_core.training.stream import REPEATS_MAX, VALIDATION_PARTS, Cursor, Rows, drawn, weights_of
from ringrift_core.training.window import Store
from tests.training_shards import all_rows, games, shard, stream_of

FIELDS = ("states", "policy", "value", "ownership", "score", "surprise", "position")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three shards, cut into segments of about 80 rows, about three of them in a block."""
    monkeypatch.setattr(module, "SEGMENT_ROWS", 80)
    monkeypatch.setattr(module, "BLOCK_CELLS", 61 * 240)
    for seed in (1, 2, 3):
        shard(tmp_path / "data", games(count=16, seed=seed), hour=seed)
    return tmp_path / "data"


def assert_same(one: Rows, other: Rows) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.legal.ids, other.legal.ids)
    np.testing.assert_array_equal(one.legal.offsets, other.legal.offsets)


def order_of(rows: Rows) -> list[int]:
    return [int(number) for number in rows.position]


def kept_for_validation(*paths: Path) -> set[str]:
    ids = [game for path in paths for game in read_shard(path).game_ids()]
    return {game for game in ids if int(game, 16) % VALIDATION_PARTS == 0}


def test_the_same_window_and_seed_give_the_same_batches(data):
    for one, other in islice(zip(stream_of(data).batches(), stream_of(data).batches(), strict=True), 50):
        assert_same(one, other)
        assert len(one) == 32
        assert one.legal.is_sound()


def test_another_seed_gives_another_order(data):
    first, second = (next(stream_of(data, seed=seed).batches()) for seed in (5, 6))
    assert order_of(first) != order_of(second)


def test_another_pass_has_another_order(data):
    stream = stream_of(data)
    orders: dict[int, list[int]] = {}
    for rows in stream.batches():
        if stream.cursor.epoch == 2:
            break
        orders.setdefault(stream.cursor.epoch, []).extend(order_of(rows))
    assert orders[0] != orders[1]
    assert len(set(orders[0]) & set(orders[1])) > len(set(orders[0])) / 2


def test_a_stream_goes_on_from_any_cursor(data):
    straight = stream_of(data)
    cursors, batches = [straight.cursor], []
    for rows in islice(straight.batches(), 60):
        batches.append(rows)
        cursors.append(straight.cursor)
    assert straight.cursor.epoch >= 1  # passes, blocks and batches have all been gone through
    assert any(cursor.block > 0 for cursor in cursors)
    for start in (*range(0, 60, 7), 59):
        resumed = stream_of(data, cursor=cursors[start])
        for expected, found in zip(batches[start : start + 3], resumed.batches(), strict=False):
            assert_same(found, expected)


def test_every_row_for_training_is_drawn_as_often_as_it_weighs(data):
    """Over many passes; the last rows of a block that fill no batch are left out."""
    rows = all_rows(data)
    weights = weights_of(rows)
    rng = np.random.default_rng(1)
    times = np.zeros(len(rows))
    for _ in range(400):
        times += np.bincount(drawn(rows, rng), minlength=len(rows))
    assert np.abs(times / 400 - weights).max() < 0.15
    assert np.corrcoef(times, weights)[0, 1] > 0.99


def test_weights_follow_surprise_up_to_a_bound(data):
    rows = all_rows(data).take(np.arange(5))
    chosen = Rows(
        *(rows.states, rows.legal, rows.policy, rows.value, rows.ownership, rows.score),
        surprise=np.array([0, 0.5, 1, 1.5, 2], np.float32),
        position=np.arange(5),
    )
    np.testing.assert_allclose(weights_of(chosen), [0.5, 0.75, 1, 1.25, 1.5])
    chosen.surprise[:] = [0, 0, 0, 0, 100]
    np.testing.assert_allclose(weights_of(chosen), [0.5, 0.5, 0.5, 0.5, 3.0])
    chosen.surprise[:] = 0
    np.testing.assert_allclose(weights_of(chosen), 1)
    large = chosen.take(np.repeat(np.arange(5), 20))
    large.position[:] = np.arange(100)
    large.surprise[3] = 60_000
    assert weights_of(large).max() == 4.0


def test_positions_that_repeat_count_no_more_than_a_few_times(data):
    row = all_rows(data).take(np.zeros(100, np.int64))
    assert weights_of(row).sum() == pytest.approx(REPEATS_MAX)
    assert weights_of(row.take(np.arange(REPEATS_MAX))).sum() == pytest.approx(REPEATS_MAX)
    assert len(drawn(row.take(np.zeros(0, np.int64)), np.random.default_rng(1))) == 0


def test_equal_positions_have_equal_numbers_and_others_do_not(data):
    rows = all_rows(data)
    states = {state.tobytes() for state in rows.states}
    assert len(states) == len(set(order_of(rows)))
    starts = all_rows_of_starts(data)
    assert len(set(starts)) < len(starts)  # every game begins with the same position


def all_rows_of_starts(data: Path) -> list[int]:
    stream = stream_of(data)
    found = []
    for segment in stream._segments:
        samples = stream.store.read(segment.shard).samples(segment.first, segment.last)
        rows = module.rows_of(samples, 0.0)
        found += [number for number, choice in zip(order_of(rows), samples.row_of[:, 1], strict=True) if choice == 0]
    return found


def test_no_game_kept_for_validation_is_trained_on(data):
    paths = sorted(data.glob("*.npz"))
    stream = stream_of(data)
    expected: dict[bool, list[int]] = {True: [], False: []}
    kept = kept_for_validation(*paths)
    for path in paths:
        held = read_shard(path)
        samples, ids = held.samples(), held.game_ids()
        numbers = order_of(module.rows_of(samples, 0.0))
        for number, game in zip(numbers, samples.row_of[:, 0], strict=True):
            expected[ids[game] in kept].append(number)
    assert 0 < len(kept) < 10
    assert sorted(order_of(stream.validation())) == sorted(expected[True])
    assert sorted(order_of(all_rows(data))) == sorted(expected[False])
    seen = {number for rows in islice(stream.batches(), 100) for number in order_of(rows)}
    assert seen <= set(expected[False])
    assert not seen & (set(expected[True]) - set(expected[False]))


def test_validation_takes_the_newest_games_first_and_no_more_than_it_needs(data, monkeypatch):
    monkeypatch.setattr(module, "VALIDATION_PARTS", 3)
    everything = order_of(stream_of(data).validation())
    monkeypatch.setattr(module, "VALIDATION_ROWS", 1)
    some = order_of(stream_of(data).validation())
    assert 0 < len(some) < len(everything)
    assert some == everything[: len(some)]


def test_duplicates_are_neither_trained_on_nor_validated_with(tmp_path):
    played = games(count=40)
    shard(tmp_path / "once", played)
    shard(tmp_path / "twice", played, hour=5)
    shard(tmp_path / "twice", [*played[:30], *games(count=4, seed=7)], hour=4)
    shard(tmp_path / "more", games(count=4, seed=7))
    assert [len(it.duplicates) for it in stream_of(tmp_path / "twice").window.shards] == [0, 30]
    once = order_of(all_rows(tmp_path / "once", tmp_path / "more"))
    assert sorted(order_of(all_rows(tmp_path / "twice"))) == sorted(once)
    once = order_of(stream_of(tmp_path / "once", tmp_path / "more").validation())
    assert sorted(order_of(stream_of(tmp_path / "twice").validation())) == sorted(once)


def test_root_values_of_nets_are_mixed_in_and_those_of_rules_of_thumb_are_not(tmp_path):
    played = games(count=6)
    thumb = (ShardPlayer("heuristic-v1", HEURISTIC_V1_DIGEST), ShardPlayer("net", "ab" * 32))
    net = (ShardPlayer("net", "ab" * 32), ShardPlayer("heuristic-v1", HEURISTIC_V1_DIGEST))
    path = shard(tmp_path / "thumb", played, players=thumb)
    shard(tmp_path / "net", played, players=net)
    samples = read_shard(path).samples()
    wins = all_rows(tmp_path / "thumb").value
    assert set(np.unique(wins)) == {0.0, 1.0}
    mixed = all_rows(tmp_path / "net").value  # with a share of 0.2
    assert len(samples) == len(mixed)  # none of these games is kept for validation
    np.testing.assert_allclose(mixed, 0.8 * samples.win + 0.2 * samples.root_value, atol=1e-6)
    np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-3)  # root values are float16


def test_root_values_as_float16_sum_to_one_with_four_seats(tmp_path):
    shard(tmp_path, games("hex8_4p", 4), key="hex8_4p")
    stream = stream_of(tmp_path, key="hex8_4p", root_share=1.0)
    values = stream._rows(stream._segments).value
    assert values.shape[1] == 4
    np.testing.assert_allclose(values.sum(1), 1, atol=2e-3)


def test_a_window_smaller_than_a_batch_is_an_error_that_says_so(tmp_path):
    shard(tmp_path, games(count=4))
    stream = stream_of(tmp_path, batch=4096)
    with pytest.raises(StorageError, match=rf"window's {stream.window.rows} rows.* do not fill a batch of 4096: make"):
        next(stream.batches())


def test_a_window_of_doubles_and_openings_smaller_than_a_batch_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPEATS_MAX", 0)
    shard(tmp_path, games(count=4))
    with pytest.raises(StorageError, match="do not fill a batch"):
        next(stream_of(tmp_path, batch=2).batches())


def test_many_small_shards_fill_a_batch_that_none_of_them_fills(tmp_path, monkeypatch):
    """Blocks are as large as several batches, however few rows a shard has."""
    monkeypatch.setattr(module, "BLOCK_CELLS", 61)
    played = games(count=16)
    for number, game in enumerate(played):
        shard(tmp_path, [game], hour=number)
    stream = stream_of(tmp_path, batch=100)
    assert max(it.samples for it in stream.window.shards) < 100
    assert [len(rows) for rows in islice(stream.batches(), 5)] == [100] * 5


def test_a_block_is_bounded_whatever_the_window_holds(data):
    """BLOCK_CELLS allows 240 rows, three segments."""
    stream = stream_of(data)
    assert stream._blocks == stream.window.rows // 240 > 2
    blocks = [stream._block(0, number) for number in range(stream._blocks)]
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
    assert {(it.shard.file, it.first) for block in blocks for it in block} == {
        (it.shard.file, it.first) for it in stream._segments
    }


def test_segments_cover_every_game_once(data):
    stream = stream_of(data)
    for it in stream.window.shards:
        mine = [segment for segment in stream._segments if segment.shard is it]
        numbers = [number for segment in mine for number in range(segment.first, segment.last)]
        assert numbers == list(range(it.games))
        assert len(mine) > 2


@pytest.mark.parametrize("spoil", ["vanished", "changed", "truncated", "replaced", "counts"])
def test_a_shard_that_is_not_what_the_window_names_is_an_error_with_its_name(tmp_path, spoil):
    path = shard(tmp_path / "data")
    stream = stream_of(tmp_path / "data")
    if spoil == "vanished":
        path.unlink()
    elif spoil == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif spoil == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    elif spoil == "counts":
        named = stream.window.shards[0]
        shards = (named.model_copy(update={"games": named.games + 1}),)
        stream = module.SampleStream(stream.store, stream.window.model_copy(update={"shards": shards}), 32, 5, 0.2)
    else:
        other = shard(tmp_path / "other", games(seed=2))
        for ending in (".npz", ".json"):
            other.with_suffix(ending).rename(path.with_suffix(ending))
    with pytest.raises(StorageError, match=path.name):
        next(stream.batches())


def test_shards_may_lie_in_several_folders_and_move_between_them(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    path = shard(one, games(count=8), hour=1)
    shard(two, games(count=8, seed=2), hour=2)
    before = stream_of(one, two)
    expected = list(islice(before.batches(), 6))
    for ending in (".npz", ".json"):
        path.with_suffix(ending).rename(two / path.with_suffix(ending).name)
    after = module.SampleStream(Store((two, one)), before.window, 32, 5, 0.2)
    for rows, found in zip(expected, after.batches(), strict=False):
        assert_same(rows, found)


def test_a_cursor_counts_passes_blocks_and_batches(data):
    stream = stream_of(data)
    assert stream.cursor == Cursor(0, 0, 0)
    next(stream.batches())
    assert stream.cursor == Cursor(0, 0, 1)


def test_taken_rows_keep_what_belongs_to_them(data):
    rows = all_rows(data)
    which = np.array([7, 3, 3, 0])
    taken = rows.take(which)
    assert taken.legal.is_sound()
    for place, row in enumerate(which):
        np.testing.assert_array_equal(taken.legal[place], rows.legal[row])
        first, last = taken.legal.offsets[place : place + 2]
        np.testing.assert_array_equal(
            taken.policy[first:last], rows.policy[rows.legal.offsets[row] : rows.legal.offsets[row + 1]]
        )
        np.testing.assert_array_equal(taken.states[place], rows.states[row])
    assert len(rows.take(np.zeros(0, np.int64))) == 0
