"""One thread for the nets of all tests here: they are small, and sums in one order are the same to the bit."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)
