"""What comes out of a running node when something in it, or in its block, goes wrong."""

import asyncio
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.pipeline import REQUESTS
from managers.runtime import ServiceFailedError
from p2p.orchestrator import expected, running_node
from ringrift_core.errors import RulesError, StorageError


def test_a_refusal_in_the_block_comes_out_as_it_is(tmp_path: Path):
    settings = Settings(node=NodeSettings(data_dir=tmp_path, node_id="node", cores=1))

    async def ask() -> None:
        async with running_node(settings, duty=REQUESTS):
            raise RulesError("there is no version 7 of hex8_2p")

    with pytest.raises(RulesError, match="no version 7"):
        asyncio.run(ask())


def test_an_error_of_ours_is_found_in_what_a_group_of_tasks_raises():
    error = ServiceFailedError("JOB_MANAGER was given up")
    assert expected(BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [error])])) is error
    assert expected(BaseExceptionGroup("outer", [StorageError("full")])).__class__ is StorageError


def test_a_fault_beside_it_is_not_hidden():
    assert expected(BaseExceptionGroup("outer", [StorageError("full"), ZeroDivisionError()])) is None
