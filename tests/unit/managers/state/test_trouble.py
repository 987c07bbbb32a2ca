"""The consensus says why the state cannot be written, as long as that is so."""

import asyncio
import threading
from collections.abc import Sequence
from typing import cast

import pytest

from managers.state import local_consensus
from managers.state.commands import Command, HaltAll, ResumeAll, encode
from managers.state.durable_log import DurableLog, Recovered
from managers.state.local_consensus import LocalConsensus
from managers.state.machine import StateMachine
from ringrift_core.errors import StorageError


class FakeLog:
    """A log whose disk can be full, or slow."""

    def __init__(self) -> None:
        self.full = False
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def recover(self) -> Recovered:
        return Recovered(0, None, (), ())

    def append(self, bodies: Sequence[bytes]) -> int:
        self.began.set()
        self.go.wait(30)
        if self.full:
            raise StorageError("the disk is full")
        return len(bodies)

    def wants_compaction(self, _records: int, _size_bytes: int) -> bool:
        return False

    def close(self) -> None: ...


def command(sequence: int, *, halt: bool) -> bytes:
    body = HaltAll(by="a", reason="b") if halt else ResumeAll(by="a")
    return encode(Command(client="a", sequence=sequence, at=1, body=body))


def test_a_full_disk_is_trouble_until_a_write_goes_well():
    log = FakeLog()

    async def run() -> None:
        async with LocalConsensus(StateMachine(), cast("DurableLog", log)) as consensus:
            log.full = True
            with pytest.raises(StorageError):
                await consensus.propose(command(1, halt=True), 30)
            assert consensus.trouble == "the disk is full"
            log.full = False
            await consensus.propose(command(2, halt=True), 30)
            assert consensus.trouble == ""

    asyncio.run(run())


def test_a_disk_that_does_not_answer_is_trouble(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_consensus, "SLOW_S", -1.0)
    log = FakeLog()
    log.go.clear()

    async def run() -> None:
        async with LocalConsensus(StateMachine(), cast("DurableLog", log)) as consensus:
            assert consensus.trouble == ""
            proposal = asyncio.ensure_future(consensus.propose(command(1, halt=True), 30))
            await asyncio.to_thread(log.began.wait, 30)
            assert consensus.trouble.startswith("the disk has not answered for")
            log.go.set()
            await proposal
            assert consensus.trouble == ""

    asyncio.run(run())
