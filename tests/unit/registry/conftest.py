"""Nets on disk, made once: nobody changes them."""

import pytest

from tests.unit.registry.nets import SavedNet, family


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    """Four nets of one configuration, each the parent of the next."""
    return family(tmp_path_factory.mktemp("nets"), 4)
