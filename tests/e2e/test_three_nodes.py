"""Three real nodes: a cluster of one grows, agrees, and outlives its leader."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.mesh_cluster import Answer, Cluster, agreed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "abc")
    try:
        yield made
    finally:
        made.end()


def three(found: Sequence[Answer]) -> bool:
    return agreed(found) and found[0]["voters"] == ["a", "b", "c"]


def test_a_cluster_of_one_grows_to_three_keeps_what_it_knows_and_outlives_its_leader(cluster: Cluster):
    cluster.start("a")
    (alone,) = cluster.until(lambda found: found[0]["role"] == "leader")
    assert cluster.ask("a", "POST", "/admin/halt", {"reason": "kept"})["changed"]

    cluster.start("b", "a")
    cluster.start("c", "a")
    grown = cluster.until(three)
    assert {it["cluster_id"] for it in grown} == {alone["cluster_id"]}
    assert all(isinstance(it["halt"], dict) and it["halt"]["reason"] == "kept" for it in grown)

    follower = next(str(it["node_id"]) for it in grown if it["role"] == "follower")
    assert cluster.ask(follower, "POST", "/admin/resume", {})["changed"], "the leader carries it out"

    leader = str(grown[0]["leader_id"])
    cluster.kill(leader)
    left = cluster.until(lambda found: agreed(found) and found[0]["leader_id"] != leader)
    assert int(str(left[0]["epoch"])) > int(str(grown[0]["epoch"]))
    assert all(it["halt"] is None for it in left)

    cluster.start(leader, "abc".replace(leader, ""))
    back = cluster.until(three)
    assert {it["cluster_id"] for it in back} == {alone["cluster_id"]}


def test_without_a_majority_nothing_is_written_and_the_node_says_why(cluster: Cluster):
    for name in "abc":
        cluster.start(name, "abc".replace(name, ""))
    cluster.until(three)
    for name in "bc":
        cluster.kill(name)
    cluster.until(lambda found: "no majority" in str(found[0]["health"]))
    refused = cluster.ask("a", "POST", "/admin/halt", {"reason": "alone"})
    assert "error" in refused
    for name in "bc":
        cluster.start(name, "abc".replace(name, ""))
    found = cluster.until(three)
    assert len({str(it["cluster_id"]) for it in found}) == 1
