"""Two of three machines are gone for good: a person has the third one go on alone, and the cluster grows again."""

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from config.schema import Settings
from managers.state.commands import AddNet, Body, Command, Found, Promote, encode
from p2p.orchestrator import opened_state
from tests.loop_states import GAME
from tests.mesh_cluster import Answer, Cluster, agreed

NET = "ab" * 32
OLD = "0" * 32


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "abcde")
    try:
        yield made
    finally:
        made.end()


def crowned(folder: Path) -> None:
    """A node's folder as it is when a cluster of one has a champion."""
    bodies: tuple[Body, ...] = (
        Found(cluster_id=OLD),
        AddNet(game=GAME, sha256=NET, version=1, parent=None, size_bytes=1, evaluations=0, samples_total=0),
        Promote(game=GAME, candidate=NET, expected=None, how="manual", reason="a test", evidence=None),
    )

    async def write() -> None:
        async with opened_state(Settings.model_validate({"node": {"data_dir": str(folder)}})) as consensus:
            for number, body in enumerate(bodies, 1):
                command = Command(client="test", sequence=number, at=1e9, body=body)
                result = await consensus.propose(encode(command), 10.0)
                assert result.accepted, result.reason

    asyncio.run(write())


def three(found: Sequence[Answer]) -> bool:
    return agreed(found) and len(str(found[0]["voters"]).split(",")) == 3


def said(found: Answer) -> str:
    return json.dumps(found.get("champions"))


def test_a_voter_goes_on_alone_with_all_that_was_acknowledged_and_grows_to_three_again(cluster: Cluster):
    crowned(cluster.folder / "a")
    cluster.start("a")
    cluster.until(lambda found: found[0]["role"] == "leader")
    for name in "bc":
        cluster.start(name, "a")
    before = cluster.until(three)
    assert {it["cluster_id"] for it in before} == {OLD}
    assert cluster.ask("a", "POST", "/admin/halt", {"reason": "the last one"})["changed"]

    survivor = next(str(it["node_id"]) for it in before if it["role"] == "follower")
    cluster.until(lambda found: all(it["halt"] for it in found))
    for name in "abc".replace(survivor, ""):
        cluster.kill(name)
        if name != "a":
            shutil.rmtree(cluster.folder / name, ignore_errors=True)  # its raft process may live for a moment
    cluster.until(lambda found: "no majority" in str(found[0]["health"]))
    assert "error" in cluster.ask(survivor, "POST", "/admin/resume", {})
    folder = str(cluster.folder / survivor)
    running = cluster.command("voters", "recover", "--data-dir", folder, "--yes")
    assert (running.returncode, "keeps its log there" in running.stderr) == (2, True), running.stderr

    cluster.stop(survivor)
    refused = cluster.command("voters", "recover", "--data-dir", folder, typed="something else\n")
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (2, True), refused.stderr
    done = cluster.command("voters", "recover", "--data-dir", folder, typed=f"{survivor}\n")
    assert done.returncode == 0, done.stderr
    assert OLD in done.stdout
    assert f"{GAME} {NET[:10]}" in done.stdout
    cluster.start(survivor)
    (alone,) = cluster.until(lambda found: found[0]["role"] == "leader")
    assert alone["cluster_id"] not in {OLD, None}
    assert isinstance(alone["halt"], dict)
    assert alone["halt"]["reason"] == "the last one"
    assert NET in said(alone)
    assert int(str(alone["epoch"])) > int(str(before[0]["seq"])) + 1_000_000
    assert cluster.ask(survivor, "POST", "/admin/resume", {})["changed"]

    # an old voter that comes back after all is of another cluster, and writes nothing
    if survivor != "a":
        cluster.start("a", survivor)
        returned = cluster.until(lambda found: "voters leave" in str(found[-1]["health"]))[-1]
        assert (returned["node_id"], returned["cluster_id"], returned["role"]) == ("a", OLD, "follower")
        assert "error" in cluster.ask("a", "POST", "/admin/resume", {})
        cluster.stop("a")
        left = cluster.command("voters", "leave", "--data-dir", str(cluster.folder / "a"), "--yes")
        assert left.returncode == 0, left.stderr

    cluster.start("d", survivor)
    cluster.start("a" if survivor != "a" else "e", survivor)
    grown = cluster.until(three)
    assert {it["cluster_id"] for it in grown} == {alone["cluster_id"]}
    assert all(it["halt"] is None and NET in said(it) for it in grown)
