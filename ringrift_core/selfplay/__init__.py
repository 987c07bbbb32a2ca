"""Selfplay: games in lockstep, and the shards that keep them for ever.

Playing is `selfplay.py`; a shard is a `.npz` of replayable games beside its manifest. Open first: shard.py.
"""

from ringrift_core.selfplay.manifest import ShardHead, ShardPlayer
from ringrift_core.selfplay.played_game import EXPLORED, FULL, OPENING, Ending, PlayedGame
from ringrift_core.selfplay.samples import Samples
from ringrift_core.selfplay.shard import Shard, read_shard, write_shard
from ringrift_core.selfplay.shard_index import ShardIndex, Totals

__all__ = [
    "EXPLORED",
    "FULL",
    "OPENING",
    "Ending",
    "PlayedGame",
    "Samples",
    "Shard",
    "ShardHead",
    "ShardIndex",
    "ShardPlayer",
    "Totals",
    "read_shard",
    "write_shard",
]
