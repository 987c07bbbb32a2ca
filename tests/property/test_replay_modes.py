"""The replay kernels uncompiled, behind guards that refuse every foreign index: the same rows, the same refusals."""

import json
import os
import subprocess
import sys

import pytest

from ringrift_core.selfplay.shard import write_shard
from tests.played_games import played_games, shard_head
from tests.property.shard_rows import SPOILT, digests
from tests.tidy import ROOT


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p"])
def test_guarded_kernels_give_the_same_rows(tmp_path, key):
    path = write_shard(tmp_path, played_games(key, 1), shard_head(key))
    done = subprocess.run(
        [sys.executable, "-m", "tests.property.shard_rows", str(path)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["compiled"]
    expected = digests(path)
    assert found["digests"] == expected
    assert sum("does not replay" in digest for digest in expected) == SPOILT
