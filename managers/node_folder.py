"""Where a node keeps what: one folder, known names."""

from dataclasses import dataclass
from pathlib import Path

from ringrift_core.evaluation.gauntlet_result import FOLDER


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """Paths below the data folder of a node (`--data-dir`)."""

    root: Path

    @property
    def models(self) -> Path:
        """The registry with the canonical files."""
        return self.root / "models"

    @property
    def log(self) -> Path:
        """The replicated state: log and snapshots."""
        return self.root / "raft"

    @property
    def group(self) -> Path:
        """The log of this node as a voter, and its dump."""
        return self.log / "group"

    @property
    def key(self) -> Path:
        """The private key of the node."""
        return self.root / "identity" / "node.key"

    @property
    def owner(self) -> Path:
        """Where the lock is that keeps a second process out."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """What people grep."""
        return self.root / "logs"

    @property
    def jobs(self) -> Path:
        """One folder per job: its spec, its process, what it goes on from."""
        return self.root / "data" / "jobs"

    @property
    def fetched(self) -> Path:
        """Shards of other nodes, a folder per configuration."""
        return self.root / "data" / "fetched"

    @property
    def announced(self) -> Path:
        """The shards made here that lie on enough nodes."""
        return self.root / "data" / "announced.txt"

    @property
    def incoming(self) -> Path:
        """Files of other nodes that are not complete yet."""
        return self.root / "data" / "incoming"

    @property
    def incoming_nets(self) -> Path:
        """The same of nets, below the folder that a net is admitted from."""
        return self.models / "incoming"

    @property
    def shard_index(self) -> Path:
        """Every shard that was ever here."""
        return self.root / "data" / "shards.sqlite"

    @property
    def node_state(self) -> Path:
        """What this node keeps beside the replicated state."""
        return self.root / "data" / "node.sqlite"

    @property
    def rollback_history(self) -> Path:
        """The rollbacks, newest first."""
        return self.root / "data" / "rollback_history.json"

    def shards(self, game: str) -> Path:
        """The shards of a configuration."""
        return self.root / "data" / "shards" / game

    def fetched_shards(self, game: str) -> Path:
        """The shards of a configuration that other nodes have made."""
        return self.fetched / game

    def results(self, game: str) -> Path:
        """The matches of a configuration, and its gauntlets below."""
        return self.root / "data" / "results" / game

    def gauntlets(self, game: str) -> Path:
        """The gauntlets of a configuration."""
        return self.results(game) / FOLDER

    def gauntlet(self, game: str, stem: str) -> Path:
        """A stored gauntlet."""
        return self.gauntlets(game) / f"{stem}.json"

    def parts(self, game: str) -> Path:
        """Chunks of gauntlets that are judged elsewhere, or were played elsewhere; they rate nobody."""
        return self.results(game) / "parts"

    def job(self, name: str) -> Path:
        """The folder of a job."""
        return self.jobs / name

    def offer(self, name: str) -> Path:
        """What other nodes play of a gauntlet that is judged here."""
        return self.job(name) / "parts.json"

    def run(self, name: str) -> Path:
        """The folder of a training run."""
        return self.job(name) / "run"

    def dry_run(self, name: str) -> Path:
        """What a gauntlet outside the state goes on from."""
        return self.root / "data" / "dry_runs" / name

    def net(self, sha256: str) -> Path:
        """The file of a net in the registry."""
        return self.models / "versions" / f"{sha256}.pth"
