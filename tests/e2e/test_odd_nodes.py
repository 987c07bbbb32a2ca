"""Nodes that are not as they should be come to a cluster with a champion; each is handled, and told in `/status`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from managers.node_folder import NodeFolder
from managers.versions import PROTOCOL_OLDEST
from ringrift_core.registry.model_files import digest_of
from tests.mesh_cluster import Answer, Cluster, agreed
from tests.unit.registry.nets import saved_net

COMPUTES = "node.disable_local_tasks=false"
FULL = "node.disk_floor_gb=1000000"
ODD = "tests.e2e.odd_node"
GAME = "hex8_2p"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "abcdef")
    try:
        yield made
    finally:
        made.end()


def peer(status: Answer, name: str) -> Answer:
    rows = status["peers"]
    assert isinstance(rows, list)
    return next((it for it in rows if it["node_id"] == name), {})


def canonical(cluster: Cluster, name: str) -> str:
    path = NodeFolder(cluster.folder / name).models / f"canonical_{GAME}.pth"
    return (digest_of(path) or "") if path.exists() else ""


def crowned(cluster: Cluster) -> str:
    """A champion, by hand, of a cluster of one."""
    net = saved_net(cluster.folder, 1)
    models = NodeFolder(cluster.folder / "a").models
    models.mkdir(exist_ok=True)
    shutil.copy(net.path, models / net.path.name)
    wish = {"model_path": net.path.name, "board_type": "hex8", "num_players": 2, "force": True, "reason": "first"}
    assert "number" in cluster.ask("a", "POST", "/admin/promote", wish)
    cluster.until(lambda _found: canonical(cluster, "a") == net.sha256)
    return net.sha256


def test_a_champion_is_kept_by_a_cluster_that_grows_and_nodes_that_do_not_fit_get_no_jobs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    cluster.start("a")
    cluster.until(lambda found: found[0]["role"] == "leader")
    champion = crowned(cluster)

    cluster.start("b", "a")
    cluster.start("c", "ab", COMPUTES, FULL)
    grown = cluster.until(
        lambda found: (
            agreed(found)
            and found[0]["voters"] == ["a", "b", "c"]
            and {canonical(cluster, name) for name in "abc"} == {champion}
        )
    )
    assert all(champion in str(it["champions"]) for it in grown)

    monkeypatch.setenv("ODD_RULES", "f" * 64)
    cluster.start("d", "abc", COMPUTES, module=("-m", ODD))
    monkeypatch.delenv("ODD_RULES")
    monkeypatch.setenv("ODD_PROTOCOL", str(PROTOCOL_OLDEST - 1))
    cluster.start("e", "abc", COMPUTES, module=("-m", ODD))
    refused = cluster.processes.pop("e")
    monkeypatch.delenv("ODD_PROTOCOL")

    leader = str(grown[0]["leader_id"])
    cluster.until(lambda _found: "plays by other rules" in str(peer(cluster.ask(leader), "d").get("unfit")))
    own = cluster.ask("c")["self"]
    assert isinstance(own, dict)
    assert "node.disk_floor_gb wants" in str(own["unfit"])
    if leader != "c":
        assert "node.disk_floor_gb wants" in str(peer(cluster.ask(leader), "c")["unfit"])
    assert refused.wait(60.0) != 0
    assert "is the oldest here: update it" in (cluster.folder / "e.log").read_text()

    cluster.kill("d")  # its disk is gone with it; a node of that name comes back with another key
    shutil.rmtree(cluster.folder / "d")
    cluster.start("d", "abc")
    lost = cluster.processes.pop("d")
    assert lost.wait(60.0) != 0
    assert (
        "another node is called d: choose another name (--node-id), or bring back its identity/node.key"
        in (cluster.folder / "d.log").read_text()
    )
    jobs = cluster.ask(leader)["jobs"]
    assert isinstance(jobs, list)
    assert {it["node"] for it in jobs} <= {None}
