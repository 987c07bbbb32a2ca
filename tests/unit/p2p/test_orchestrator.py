"""What comes out of a running node when something in it, or in its block, goes wrong."""

import asyncio
import time
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.node_folder import NodeFolder
from managers.pipeline import REQUESTS
from managers.runtime import ServiceFailedError
from managers.state.machine import StateMachine
from managers.state_manager import StateManager
from p2p.consensus.following import FollowingConsensus, FollowTiming
from p2p.identity.node_key import NodeKey
from p2p.membership.bootstrap import Contact, Entry, EntryKind
from p2p.orchestrator import Kind, Node, expected, running_node
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


def test_a_follower_that_finds_no_voter_goes_back_to_where_nodes_wait_and_says_why(tmp_path: Path):
    settings = Settings(node=NodeSettings(data_dir=tmp_path, node_id="node", cores=1))
    heard: list[str] = []

    async def arrive(*given: object) -> Entry:
        heard.append(str(given[-1]))
        if len(heard) == 3:
            raise StorageError("enough")
        return Entry(EntryKind.FOLLOWER, "c" * 32, (Contact(node="v", address="127.0.0.1:9"),))

    async def begin() -> None:
        async with StateManager(NodeFolder(tmp_path).node_state, time.monotonic) as kept:
            node = Node(settings, NodeFolder(tmp_path), kept, NodeKey(bytes(32)))
            timing = FollowTiming(begin_s=0.05)

            def made(_kind: Kind) -> FollowingConsensus:
                return FollowingConsensus(StateMachine(), node.calls, ("v",), "node", lambda: 0.0, timing)

            node.engine = made  # type: ignore[method-assign,assignment]
            async with node.calls, node.seated(Kind.FOLLOWER, arrive):
                raise AssertionError("there is no voter")

    NodeFolder(tmp_path).node_state.parent.mkdir()
    with pytest.raises(StorageError, match="enough"):
        asyncio.run(begin())
    assert heard[0] == ""
    assert all(text.startswith("no voter tells the state of the cluster: v") for text in heard[1:])
