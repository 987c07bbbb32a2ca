"""Threads: a process that plays with a net has one, whatever its kernels could use."""

import subprocess
import sys

import pytest

SCRIPT = """
import numba, torch
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Net
from ringrift_core.nn.tuning import make_evaluator

make_evaluator(Net(ConfigKey.parse("hex8_2p"), "nano"), torch.device("cpu"), deterministic=True)
GameBatch.start("hex8_2p", 512).legal()
print(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
"""


def test_a_net_keeps_one_thread_when_the_rules_have_played():
    """numba and torch share an OpenMP runtime: threads that numba starts later, torch would use for small batches."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    threads, cores = map(int, run.stdout.split())
    if cores < 2:
        pytest.skip("one core: there is no second thread to take")
    assert threads == 1
