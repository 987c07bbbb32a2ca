"""Two clusters whose nodes come to know of each other stay two and say so; lists that overlap make one leader each."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.peer_lists import LISTS, Watch, start
from tests.mesh_cluster import Cluster, agreed

DOCTOR_S = 60.0


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    cluster = Cluster(tmp_path, "abcde")
    try:
        yield Watch(cluster)
    finally:
        cluster.end()


def in_clusters(watch: Watch, *names: str) -> bool:
    watch.look()
    return sorted("".join(it) for it in watch.clusters().values()) == sorted(names)


def doctor(folder: Path) -> str:
    words = [sys.executable, "-P", "-m", "p2p", "doctor", "--data-dir", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, timeout=DOCTOR_S, check=False).stdout


def test_clusters_of_disjoint_lists_never_merge_whatever_their_nodes_are_told_later(watch: Watch, tmp_path: Path):
    cluster = watch.cluster
    start(watch, LISTS["disjoint"], "abcd", 0.0)
    cluster.until(lambda found: in_clusters(watch, "ab", "cd") and all(it.get("leader_id") for it in found))
    ids = {name: next(iter(watch.ids[name])) for name in "abcd"}

    cluster.kill("b")
    cluster.start("b", "ac")
    told = f"(c) is in the cluster {ids['c']}, this node in {ids['b']}; two clusters are never merged"
    cluster.until(lambda _found: told in str(cluster.ask("b").get("notes")))
    cluster.start("e", "bd")
    cluster.until(lambda _found: "for a person: peers are in" in str(cluster.ask("e").get("waits_for")))
    assert "never merged" in doctor(tmp_path / "b")
    assert "for a person" in doctor(tmp_path / "e")

    watch.settle(2.0)
    assert in_clusters(watch, "ab", "cd")
    assert not watch.faults()


def test_lists_that_overlap_make_one_cluster_with_one_leader(watch: Watch):
    start(watch, LISTS["chain"], "dbca", 1.0)
    watch.cluster.until(lambda found: in_clusters(watch, "abcd") and agreed(found))
    watch.settle(2.0)
    assert not watch.faults()
    assert in_clusters(watch, "abcd")
