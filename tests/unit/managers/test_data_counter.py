"""Games and rows of a node's folders, counted; unfinished files beside them, removed."""

import os
from pathlib import Path

import pytest

from managers.data_counter import INCOMING_AGE_S, DataCounter
from managers.node_folder import NodeFolder
from managers.state.commands import CountData
from managers.state.learners import DataCount
from ringrift_core.selfplay.shard_folder import LEFTOVER_AGE_S
from tests.exchange_files import put_shard
from tests.unit.managers.deciding import BEGAN, GAME, Cluster, settings_of


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    made = NodeFolder(tmp_path)
    for path in (made.shards(GAME), made.gauntlets(GAME)):
        path.mkdir(parents=True)
    return made


def test_an_index_that_knows_fewer_games_than_were_counted_is_told(folder: NodeFolder):
    """Or nobody knows why new games do not count."""
    settings, cluster = settings_of(GAME), Cluster()
    counter = DataCounter(settings, folder)
    assert counter.decide(cluster.state).waits == ()
    cluster.node(settings.node.node_id)
    cluster.do(CountData(game=GAME, node=settings.node.node_id, count=DataCount(games=5, rows=50)))
    decision = counter.decide(cluster.state)
    assert decision.bodies == ()
    assert "knows 0 games, 5 were counted before" in decision.waits[0].why


def test_files_of_killed_writers_are_removed_an_hour_after_their_last_change(folder: NodeFolder):
    """A writer that lives needs its own for a moment."""
    old, new = BEGAN - LEFTOVER_AGE_S, BEGAN - LEFTOVER_AGE_S + 1
    places = (folder.shards(GAME), folder.results(GAME), folder.gauntlets(GAME))
    dead = [place / ".tmp-a.json-00" for place in places]
    alone, kept = folder.shards(GAME) / f"{'0' * 16}.npz", folder.shards(GAME) / ".tmp-b"
    finished = folder.results(GAME) / f"{'1' * 16}.json"
    for path, at in (*((path, old) for path in (*dead, alone, finished)), (kept, new)):
        path.touch()
        os.utime(path, (at, at))
    assert DataCounter(settings_of(GAME), folder).discard_leftovers(BEGAN) == 4
    assert [path for path in (*dead, alone, kept, finished) if path.exists()] == [kept, finished]


def test_only_announced_shards_count_and_fetched_ones_never(folder: NodeFolder):
    settings, cluster = settings_of(GAME), Cluster()
    counter = DataCounter(settings, folder)
    first, second = (put_shard(folder.shards(GAME), bytes([number]), rows=10 * (number + 1)) for number in range(2))
    put_shard(folder.fetched_shards(GAME), b"of another node", rows=1000)
    counter.announced = lambda _game: frozenset({second.stem})
    (body,) = counter.decide(cluster.state).bodies
    assert isinstance(body, CountData)
    assert (body.count.games, body.count.rows) == (2, 20)
    counter.announced = lambda _game: frozenset({first.stem, second.stem})
    (body,) = counter.decide(cluster.state).bodies
    assert isinstance(body, CountData)
    assert (body.count.games, body.count.rows) == (4, 30)


def test_shards_that_wait_for_a_copy_are_told(folder: NodeFolder):
    settings, cluster = settings_of(GAME), Cluster()
    counter = DataCounter(settings, folder)
    put_shard(folder.shards(GAME), b"games")
    counter.announced = lambda _game: frozenset()
    cluster.node(settings.node.node_id)
    cluster.do(CountData(game=GAME, node=settings.node.node_id, count=DataCount(games=5, rows=50)))
    assert counter.decide(cluster.state).waits[0].why == "1 shards count once another node has verified a copy"


def test_what_was_begun_to_be_fetched_goes_after_a_day(folder: NodeFolder):
    counter = DataCounter(settings_of(GAME), folder)
    for room in (folder.incoming, folder.incoming_nets):
        room.mkdir(parents=True)
        for name, age_s in (("old.part", INCOMING_AGE_S), ("new.part", INCOMING_AGE_S - 1)):
            (room / name).touch()
            os.utime(room / name, (BEGAN - age_s, BEGAN - age_s))
    assert counter.discard_leftovers(BEGAN) == 2
    assert [path.name for path in folder.incoming.iterdir()] == ["new.part"]
