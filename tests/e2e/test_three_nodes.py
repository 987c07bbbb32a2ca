"""Three real nodes: a cluster of one grows, agrees, and outlives its leader."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.mesh_cluster import Answer, Cluster, agreed

RINGRIFT = Path(sys.executable).parent / "ringrift"
REFUSED_S = 3.0  # what the product promises: to whoever asks, and since it is cut off
NAMED_S = 15.0


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


def ask_to_halt(cluster: Cluster, name: str) -> tuple[float, str]:
    """How long a node takes to refuse a halt, s, and its words; "" where it does not refuse."""
    began = monotonic()
    error = cluster.ask(name, "POST", "/admin/halt", {"reason": "alone"}).get("error", {})
    assert isinstance(error, dict)
    return monotonic() - began, str(error.get("message", ""))


def command_to_halt(cluster: Cluster, name: str) -> str:
    """What the command that a person types says when it is refused; most of its time goes into its imports."""
    words = [str(RINGRIFT), "loop", "--halt", "--data-dir", str(cluster.folder / name)]
    found = subprocess.run(words, capture_output=True, text=True, timeout=cluster.wait_s, check=False)
    return found.stderr if found.returncode else ""


def refusals(cluster: Cluster, left: str, gone: Sequence[str]) -> Sequence[tuple[float, str]]:
    """Of a node whose peers went a moment ago, from the first one to the second that names them."""
    named, began = f"missing: {', '.join(gone)}", monotonic()
    found = [ask_to_halt(cluster, left)]
    while named not in found[-1][1]:
        assert monotonic() - began < NAMED_S, found
        sleep(0.05)
        found.append(ask_to_halt(cluster, left))
    return [*found, ask_to_halt(cluster, left)]


def test_a_minority_refuses_writes_within_seconds_and_names_who_is_missing(cluster: Cluster):
    for name in "abc":
        cluster.start(name, "abc".replace(name, ""))
    (cluster_id,) = {str(it["cluster_id"]) for it in cluster.until(three)}
    for goes, comes, leads in (
        (cluster.kill, cluster.start, True), (cluster.kill, cluster.start, False),
        (cluster.stand_still, cluster.go_on, True), (cluster.stand_still, cluster.go_on, False),
    ):  # fmt: skip
        found = cluster.until(three)
        left = next(str(it["node_id"]) for it in found if (it["role"] == "leader") == leads)
        gone = sorted(set("abc") - {left})
        for name in gone:
            goes(name)
        for took_s, text in refusals(cluster, left, gone):
            assert text, "it is refused"
            assert took_s <= REFUSED_S
        assert f"missing: {', '.join(gone)}" in command_to_halt(cluster, left)
        for name in gone:
            comes(name)
    assert {str(it["cluster_id"]) for it in cluster.until(three)} == {cluster_id}
