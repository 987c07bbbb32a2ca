"""Shards: what is written is read again, and the same games give the same bytes."""

import numpy as np
import pytest

from ringrift_core.selfplay import read_shard, write_shard
from tests.played_games import played_games, shard_head


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
    np.testing.assert_array_equal(columns.players, [game.players for game in games])
    np.testing.assert_array_equal(columns.ranks, [game.ending.ranks for game in games])
    assert shard.manifest.counts.samples == sum(len(game.targets) for game in games)
    assert len(shard.samples()) == shard.manifest.counts.samples
