"""The rows of a shard, and of spoilt copies of it, as digests; also a program of its own (see test_replay_modes.py)."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ringrift_core.errors import StorageError
from ringrift_core.game.rules import jit
from ringrift_core.selfplay.shard import Shard, read_shard
from tests.property.random_games import guard_kernels

SPOILT = 12
PARTS = ("cells", "globals", "policy", "win", "root_value", "ownership", "score", "states", "row_of")


def spoilt(shard: Shard, seed: int) -> Shard:
    """The shard with some of its choices, lengths or flags exchanged: sound as arrays, but not what was played."""
    rng = np.random.default_rng(seed)
    columns = shard.columns
    choices, lengths, flags = columns.choices.copy(), columns.policy_counts.copy(), columns.flags.copy()
    if seed % 3 == 0:
        choices[rng.integers(len(choices))] = rng.integers(1 << 16)
    elif seed % 3 == 1:
        flags[:] = rng.permutation(flags)
    else:
        lengths[:] = rng.permutation(lengths)
    return Shard(shard.manifest, replace(columns, choices=choices, policy_counts=lengths, flags=flags))


def digest_of(shard: Shard) -> str:
    """A digest of all rows, or why there are none."""
    try:
        samples = shard.samples()
    except StorageError as error:
        return str(error)
    digest = hashlib.sha256(samples.legal.ids.tobytes())
    for name in PARTS:
        digest.update(getattr(samples, name).tobytes())
    return digest.hexdigest()


def digests(path: Path) -> list[str]:
    """The digest of the shard, then those of its spoilt copies."""
    shard = read_shard(path)
    return [digest_of(shard), *(digest_of(spoilt(shard, seed)) for seed in range(SPOILT))]


if __name__ == "__main__":
    guard_kernels()
    print(json.dumps({"compiled": jit.COMPILED, "digests": digests(Path(sys.argv[1]))}))
