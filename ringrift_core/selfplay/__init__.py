"""Selfplay: games in lockstep, and the shards that keep them for ever.

Playing is `selfplay.py`; a shard is a `.npz` of replayable games beside its manifest. What only reads manifests loads
no kernels, so nothing is imported here. Open first: shard.py.
"""
