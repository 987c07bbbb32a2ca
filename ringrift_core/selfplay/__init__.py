"""Selfplay: games in lockstep, and the shards that keep them for ever.

Playing is `selfplay.py`; a shard is a `.npz` of replayable games beside its manifest. Open first: shard.py.
"""
