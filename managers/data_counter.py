"""DataCounter: how many games and rows this node has ever had, told to the state.

What counts is the index of shards, which remembers deleted ones; the state keeps the largest counts it was told.
"""

from config.schema import Settings
from managers.decision import Decision
from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState
from managers.state.commands import CountData
from managers.state.learners import DataCount
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.shard_index import ShardIndex


class DataCounter:
    """Looks into the folders of shards; works on the disk, so not for the event loop's thread."""

    def __init__(self, settings: Settings, folder: NodeFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._index = ShardIndex(folder.shard_index)

    def decide(self, state: ClusterState) -> Decision:
        """Counts that the state has not got yet."""
        bodies = []
        for game in self._settings.games:
            folder = self._folder.shards(game)
            if not folder.exists():
                continue
            self._index.scan(folder)
            total = self._index.totals(ConfigKey.parse(game))
            newest = 0.0 if total.newest_at is None else total.newest_at.timestamp()
            count = DataCount(games=total.games, rows=total.rows, evaluations=total.evaluations, newest_at=newest)
            known = state.learner(game).data.get(self._settings.node.node_id, DataCount())
            if count.games > known.games:
                bodies.append(CountData(game=game, node=self._settings.node.node_id, count=count))
        return Decision(tuple(bodies))
