"""One thread for all tests: their batches are small, and the machine may be busy with other things."""

import numba
import pytest


@pytest.fixture(autouse=True)
def one_thread() -> None:
    numba.set_num_threads(1)
