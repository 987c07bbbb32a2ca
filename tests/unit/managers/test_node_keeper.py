"""What a node keeps at intervals."""

import asyncio
import logging
from pathlib import Path

import pytest

from managers import state_manager
from managers.circuit_breaker import BreakerRow, CircuitBreaker
from managers.node_keeper import SAMPLE_S, NodeKeeper
from managers.node_store import ResourceSample
from managers.resource_watch import Resources
from managers.state.cluster_state import ClusterState
from managers.state.members import Role
from managers.state_manager import StateManager
from ringrift_core.errors import StorageError


class World:
    """What the keeper sees."""

    def __init__(self) -> None:
        self.now = 1.9e9
        self.state = ClusterState()
        self.resources: Resources | None = None
        self.breaker = CircuitBreaker(clock=lambda: self.now)

    def keeper(self, kept: StateManager) -> NodeKeeper:
        return NodeKeeper(kept, lambda: self.now, lambda: self.state, lambda: self.resources, self.breaker)

    def office(self, seq: int) -> None:
        role = Role(name="LEADER", node="a", session=1, seq=seq, until=2e9)
        self.state = self.state.model_copy(update={"roles": {"LEADER": role}})


def test_samples_the_epoch_and_circuits_are_there_in_the_next_life(tmp_path: Path):
    world = World()

    async def first() -> None:
        async with StateManager(tmp_path / "n", lambda: world.now) as kept:
            keeper = world.keeper(kept)
            await keeper.restore()
            await keeper.keep()
            assert await kept.samples() == ()
            world.resources = Resources(1, 2, 3, 4, 5.0, 6, 7)
            world.office(17)
            for _ in range(3):
                world.breaker.record_failure("b", "why")
            await keeper.keep()
            world.now += SAMPLE_S - 1
            await keeper.keep()
            assert await kept.samples() == (ResourceSample(1.9e9, 1, 3, 5.0),)

    async def second() -> None:
        async with StateManager(tmp_path / "n", lambda: world.now) as kept:
            assert await kept.get_cluster_epoch() == 17
            assert await kept.breakers() == (BreakerRow("b", 3, "why", 1.9e9 + 300),)
            world.breaker = CircuitBreaker(clock=lambda: world.now)
            keeper = world.keeper(kept)
            await keeper.restore()
            assert not world.breaker.can_execute("b")
            world.office(3)
            await keeper.keep()
            assert await kept.get_cluster_epoch() == 17

    asyncio.run(first())
    asyncio.run(second())


def test_a_file_that_cannot_be_written_is_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(state_manager, "BATCH_S", 0.0)
    world, full = World(), [True]
    world.resources = Resources(1, 2, 3, 4, 5.0, 6, 7)
    add = StateManager.add_sample

    async def add_sample(kept: StateManager, sample: ResourceSample) -> None:
        if full[0]:
            raise StorageError("the disk is full")
        await add(kept, sample)

    monkeypatch.setattr(StateManager, "add_sample", add_sample)

    async def life() -> int:
        async with StateManager(tmp_path / "n", lambda: world.now) as kept:
            keeper = world.keeper(kept)
            for _ in range(3):
                await keeper.keep()
            full[0] = False
            await keeper.keep()
            return len(await kept.samples())

    with caplog.at_level(logging.INFO):
        assert asyncio.run(life()) == 1
    assert [it.getMessage() for it in caplog.records] == [
        "what this node keeps for itself cannot be written: the disk is full"
    ]
