"""A voter whose place was taken while it was away comes back with its old log, and follows.

Minutes: with RINGRIFT_TEST_SCALE of 10 or more only.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from managers.voter_policy import PATIENCE_S
from tests.mesh_cluster import WAIT_S, Cluster, agreed
from tests.property import SCALE

pytestmark = pytest.mark.skipif(SCALE < 10, reason="it waits until a voter's place is given away")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "abcd")
    made.wait_s = PATIENCE_S + WAIT_S
    try:
        yield made
    finally:
        made.end()


def test_a_voter_that_was_removed_while_it_was_away_finds_out_and_follows(cluster: Cluster):
    cluster.start("a")
    cluster.until(lambda found: found[0]["role"] == "leader")
    for name in "bc":
        cluster.start(name, "a")
    cluster.until(lambda found: agreed(found) and found[0]["voters"] == ["a", "b", "c"])
    cluster.start("d", "a")
    cluster.until(agreed)
    leader = str(cluster.until(agreed)[0]["leader_id"])
    away = "c" if leader != "c" else "b"
    voters = sorted({*"abcd"} - {away})
    cluster.kill(away)
    cluster.until(lambda found: agreed(found) and found[0]["voters"] == voters)
    cluster.start(away)  # it is told of nobody: it has its log
    back = cluster.until(lambda found: agreed(found) and found[0]["voters"] == voters)
    assert len(back) == 4
    assert not (cluster.folder / away / "raft" / "group").exists()
