"""One thread for the nets of all tests here: they are small."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)
