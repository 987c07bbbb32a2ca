"""A node has one key and belongs to one cluster, over all its lives."""

import asyncio
import shutil
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.node_folder import NodeFolder
from managers.pipeline import REQUESTS
from managers.state.cluster_state import ClusterState
from managers.state_manager import StateManager
from p2p.adoption import FACT
from p2p.identity.node_key import node_key
from p2p.orchestrator import opened_state, running_node
from ringrift_core.errors import RingriftError, StorageError


def settings_of(folder: Path) -> Settings:
    return Settings(node=NodeSettings(data_dir=folder, node_id="here", cores=1))


def life(folder: Path) -> ClusterState:
    """The state of a node that was started and ended."""

    async def run() -> ClusterState:
        async with running_node(settings_of(folder), duty=REQUESTS) as pipeline:
            return pipeline.consensus.state

    return asyncio.run(run())


def recovered(folder: Path) -> ClusterState:
    async def run() -> ClusterState:
        async with opened_state(settings_of(folder)) as consensus:
            return consensus.state

    return asyncio.run(run())


def facts(folder: Path, change: dict[str, str | None] | None = None) -> dict[str, object]:
    """What the node keeps, after a change."""

    async def run() -> dict[str, object]:
        async with StateManager(NodeFolder(folder).node_state, lambda: 5.0) as state:
            await state.save_state(change or {})
            return dict(await state.load_state())

    return asyncio.run(run())


def test_a_node_founds_its_cluster_once_and_keeps_its_key(tmp_path: Path):
    first, second = life(tmp_path), life(tmp_path)
    assert len(first.cluster_id) == 32
    assert second.cluster_id == first.cluster_id == facts(tmp_path)[FACT]
    keys = [it.members["here"].public_key for it in (first, second)]
    assert keys == [node_key(tmp_path).text] * 2
    assert life(tmp_path / "another").cluster_id != first.cluster_id


def test_an_id_that_was_founded_before_a_crash_is_kept_at_the_next_start(tmp_path: Path):
    founded = life(tmp_path).cluster_id
    facts(tmp_path, {FACT: None})
    assert life(tmp_path).cluster_id == founded == facts(tmp_path)[FACT]


def test_a_node_whose_log_is_of_another_cluster_refuses_and_writes_nothing(tmp_path: Path):
    founded = life(tmp_path)
    facts(tmp_path, {FACT: "d" * 32})
    before = recovered(tmp_path)
    with pytest.raises(StorageError) as refused:
        life(tmp_path)
    assert f"raft/ is of the cluster {founded.cluster_id}, node.sqlite is of the cluster {'d' * 32}" in str(
        refused.value
    )
    assert f"move {NodeFolder(tmp_path).node_state} away" in str(refused.value)
    assert recovered(tmp_path) == before


def test_a_node_whose_log_is_gone_founds_no_second_cluster(tmp_path: Path):
    founded = life(tmp_path).cluster_id
    shutil.rmtree(NodeFolder(tmp_path).log)
    with pytest.raises(StorageError, match=f"raft/ knows no cluster, node.sqlite is of the cluster {founded}"):
        life(tmp_path)
    assert recovered(tmp_path) == ClusterState()
    NodeFolder(tmp_path).node_state.unlink()
    assert life(tmp_path).cluster_id not in {"", founded}


def test_a_folder_with_another_key_does_not_begin(tmp_path: Path):
    life(tmp_path)
    shutil.rmtree(tmp_path / "identity")
    with pytest.raises(RingriftError, match="the folder of here has another key: bring back its identity"):
        life(tmp_path)


def test_a_damaged_key_ends_the_start_with_what_to_do(tmp_path: Path):
    life(tmp_path)
    (tmp_path / "identity" / "node.key").write_bytes(b"x")
    with pytest.raises(StorageError, match="is damaged; bring it back from a copy"):
        life(tmp_path)
