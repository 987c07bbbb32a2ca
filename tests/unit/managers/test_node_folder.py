"""What stands where below the data folder."""

from pathlib import Path

from managers.node_folder import NodeFolder
from ringrift_core.registry import ModelRegistry


def test_everything_has_its_place_below_the_root():
    folder = NodeFolder(Path("/data"))
    found = {
        "models": folder.models, "log": folder.log, "logs": folder.logs, "jobs": folder.jobs,
        "index": folder.shard_index, "history": folder.rollback_history, "shards": folder.shards("hex8_2p"),
        "results": folder.results("hex8_2p"), "gauntlet": folder.gauntlet("hex8_2p", "0" * 16),
        "job": folder.job("x-1"), "run": folder.run("x-1"), "net": folder.net("a" * 64),
    }  # fmt: skip
    assert {name: str(path) for name, path in found.items()} == {
        "models": "/data/models", "log": "/data/raft", "logs": "/data/logs", "jobs": "/data/data/jobs",
        "index": "/data/data/shards.sqlite", "history": "/data/data/rollback_history.json",
        "shards": "/data/data/shards/hex8_2p", "results": "/data/data/results/hex8_2p",
        "gauntlet": f"/data/data/results/hex8_2p/gauntlets/{'0' * 16}.json", "job": "/data/data/jobs/x-1",
        "run": "/data/data/jobs/x-1/run", "net": f"/data/models/versions/{'a' * 64}.pth",
    }  # fmt: skip


def test_a_net_is_where_the_registry_keeps_it(tmp_path: Path):
    folder = NodeFolder(tmp_path)
    assert folder.net("a" * 64) == ModelRegistry(folder.models).files.blob("a" * 64)
