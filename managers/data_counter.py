"""DataCounter: how many games and rows this node has ever had, told to the state; and the rubbish beside them.

What counts is the index of shards, which remembers deleted ones; the state keeps the largest counts it was told. Where
the index knows fewer (it was lost, shards were quarantined), new games count from the largest count on. Among other
nodes a shard counts once it is announced: verified on two nodes, so that what was counted outlives its maker. What was
fetched from others never counts here.
"""

from collections.abc import Callable, Set
from contextlib import suppress

from config.schema import Settings
from managers.decision import Decision, Wait
from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState
from managers.state.commands import CountData
from managers.state.learners import DataCount, Learner
from managers.status_records import MissingShards
from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.shard_folder import leftovers
from ringrift_core.selfplay.shard_index import ShardIndex

INCOMING_AGE_S = 86_400.0


class DataCounter:
    """Looks into the folders of shards; works on the disk, so not for the event loop's thread."""

    def __init__(self, settings: Settings, folder: NodeFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._index = ShardIndex(folder.shard_index)
        self.announced: Callable[[str], Set[str] | None] = everything  # put here before the start, by who knows
        self.missing: Callable[[], tuple[MissingShards, ...]] = tuple  # the same

    def decide(self, state: ClusterState) -> Decision:
        """Counts that the state has not got yet; what cannot be counted now is waited for."""
        return sum((self._decide(state.learner(game)) for game in self._settings.games), Decision())

    def _decide(self, learner: Learner) -> Decision:
        folder, node = self._folder.shards(learner.game), self._settings.node.node_id
        if not folder.exists():
            return Decision()
        try:
            self._index.scan(folder)
            announced = self.announced(learner.game)
            pending = frozenset[str]() if announced is None else self._index.kept(folder) - announced
            total = self._index.totals(ConfigKey.parse(learner.game), without=pending)
        except StorageError as error:
            return Decision(waits=(Wait(learner.game, "data", f"new games cannot be counted: {error}"),))
        newest = 0.0 if total.newest_at is None else total.newest_at.timestamp()
        count = DataCount(games=total.games, rows=total.rows, evaluations=total.evaluations, newest_at=newest)
        known = learner.data.get(node, DataCount())
        if count.games < known.games and pending:
            why = f"{len(pending)} shards count once another node has verified a copy"
            return Decision(waits=(Wait(learner.game, "data", why),))
        if count.games < known.games:
            why = (
                f"the index knows {count.games} games, {known.games} were counted before: further ones count from there"
            )
            return Decision(waits=(Wait(learner.game, "data", why),))
        if count.games == known.games:
            return Decision()
        return Decision((CountData(game=learner.game, node=node, count=count),))

    def discard_leftovers(self, now: float) -> int:
        """Remove the unfinished files of killed writers, an hour after their last change; how many there were.

        What was begun to be fetched from other nodes goes after a day: nobody has gone on with it.
        """
        count = 0
        for folder in (self._folder.incoming, self._folder.incoming_nets):
            with suppress(OSError):
                for path in folder.iterdir() if folder.exists() else ():
                    if now - path.stat().st_mtime >= INCOMING_AGE_S:
                        path.unlink(missing_ok=True)
                        count += 1
        for game in self._settings.games:
            for folder in (self._folder.shards(game), self._folder.results(game), self._folder.gauntlets(game)):
                with suppress(StorageError, OSError):  # the next look finds what is left
                    for path in leftovers(folder, now) if folder.exists() else ():
                        path.unlink(missing_ok=True)
                        count += 1
        return count


def everything(_game: str) -> Set[str] | None:
    """The names of the own shards of a configuration that are announced; None: all that there are, as for one alone."""
    return None
