"""DataCounter: how many games and rows this node has ever had, told to the state.

What counts is the index of shards, which remembers deleted ones; the state keeps the largest counts it was told.
"""

from config.schema import Settings
from managers.decision import Decision, Wait
from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState
from managers.state.commands import CountData
from managers.state.learners import DataCount, Learner
from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.shard_index import ShardIndex


class DataCounter:
    """Looks into the folders of shards; works on the disk, so not for the event loop's thread."""

    def __init__(self, settings: Settings, folder: NodeFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._index = ShardIndex(folder.shard_index)

    def decide(self, state: ClusterState) -> Decision:
        """Counts that the state has not got yet; what cannot be counted now is waited for."""
        return sum((self._decide(state.learner(game)) for game in self._settings.games), Decision())

    def _decide(self, learner: Learner) -> Decision:
        folder, node = self._folder.shards(learner.game), self._settings.node.node_id
        if not folder.exists():
            return Decision()
        try:
            self._index.scan(folder)
            total = self._index.totals(ConfigKey.parse(learner.game))
        except StorageError as error:
            return Decision(waits=(Wait(learner.game, "data", f"new games cannot be counted: {error}"),))
        newest = 0.0 if total.newest_at is None else total.newest_at.timestamp()
        count = DataCount(games=total.games, rows=total.rows, evaluations=total.evaluations, newest_at=newest)
        if count.games <= learner.data.get(node, DataCount()).games:
            return Decision()
        return Decision((CountData(game=learner.game, node=node, count=count),))
