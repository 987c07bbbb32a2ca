"""Consensus of one: order, shared writes, bounds, restarts, and a loop thread that never waits for the disk."""

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from managers.ports import BusyError, Consensus
from managers.state import DiskFiles, DurableLog, LocalConsensus, LogSettings, local_consensus
from managers.state.log_format import RECORD_BYTES_MAX
from ringrift_core.errors import RulesError, StorageError
from tests.sim.faulty_files import Disk, Faults, FaultyFiles

State = tuple[bytes, ...]
WAIT_S = 20.0  # what cannot come is waited for so long


class History:
    """The state is every body; the result is how many came before."""

    def initial(self) -> State:
        return ()

    def apply(self, state: State, body: bytes) -> tuple[State, int]:
        return (*state, body), len(state)

    def dump(self, state: State) -> bytes:
        return b"\n".join(state)

    def load(self, content: bytes) -> State:
        return tuple(content.split(b"\n"))


def consensus(files: FaultyFiles | DiskFiles, **given: int) -> LocalConsensus[State, int]:
    return LocalConsensus(History(), DurableLog(files), LogSettings(**given))


async def propose_all(served: Consensus[State, int], bodies: list[bytes]) -> list[int]:
    return await asyncio.gather(*(served.propose(body, WAIT_S) for body in bodies))


def bodies(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % i for i in range(start, start + count)]


@pytest.mark.parametrize("kept", [True, False])
def test_bodies_are_applied_in_the_order_in_which_they_were_proposed(kept):
    async def run() -> None:
        log = DurableLog(FaultyFiles(Disk())) if kept else None
        async with LocalConsensus(History(), log) as served:
            assert (served.state, served.version) == ((), 0)
            assert await propose_all(served, bodies(100)) == list(range(100))
            assert (served.state, served.version) == (tuple(bodies(100)), 100)

    asyncio.run(run())


def made(disk: Disk, call: str) -> int:
    """How often a call was made on log files."""
    return sum(text.startswith(f"{call} ") and "log-" in text for text in disk.calls)


def test_bodies_that_come_during_an_fsync_share_the_next():
    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk)) as served:
            start = made(disk, "write"), made(disk, "sync")
            assert start == (1, 1)  # the head
            await propose_all(served, bodies(200))
            assert (made(disk, "write"), made(disk, "sync")) == (2, 2)
            await served.propose(b"alone", WAIT_S)
            assert (made(disk, "write"), made(disk, "sync")) == (3, 3)

    asyncio.run(run())


def test_a_write_takes_no_more_bodies_or_bytes_than_fit():
    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk), batch_max=10) as served:
            await propose_all(served, bodies(100))
            assert made(disk, "write") == 1 + 10
            await propose_all(served, [b"x" * RECORD_BYTES_MAX] * 6)
            assert made(disk, "write") == 1 + 12

    asyncio.run(run())


def test_a_proposal_too_many_is_refused_and_forgotten():
    async def run() -> None:
        async with LocalConsensus(History(), None, LogSettings(waiting_max=3)) as served:
            found = await asyncio.gather(*(served.propose(body, WAIT_S) for body in bodies(5)), return_exceptions=True)
            assert found[:3] == [0, 1, 2]
            assert [type(error) for error in found[3:]] == [BusyError, BusyError]
            assert served.state == tuple(bodies(3))

    asyncio.run(run())


def test_a_body_that_is_too_large_is_refused_alone():
    async def run() -> None:
        async with consensus(FaultyFiles(Disk())) as served:
            found = await asyncio.gather(
                served.propose(b"a", WAIT_S),
                served.propose(bytes(RECORD_BYTES_MAX + 1), WAIT_S),
                served.propose(b"b", WAIT_S),
                return_exceptions=True,
            )
            assert found[0] == 0
            assert isinstance(found[1], RulesError)
            assert found[2] == 1

    asyncio.run(run())


def test_a_restart_goes_on_where_the_log_ends(tmp_path):
    async def run(start: int) -> None:
        async with consensus(DiskFiles(tmp_path), compact_records=7) as served:
            assert (served.state, served.version) == (tuple(bodies(start)), start)
            for body in bodies(10, start):
                await served.propose(body, WAIT_S)
            assert served.version == start + 10

    for start in (0, 10, 20):
        asyncio.run(run(start))
    assert len(list(tmp_path.glob("snapshot-*"))) == 2


def test_a_batch_that_found_the_disk_full_is_never_applied_and_the_next_one_is():
    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk)) as served:
            disk.faults = Faults(fail_at={len(disk.calls): errno.ENOSPC})
            with pytest.raises(StorageError, match="free some space"):
                await served.propose(b"lost", WAIT_S)
            assert (served.state, served.version) == ((), 0)
            assert await served.propose(b"kept", WAIT_S) == 0
        async with consensus(FaultyFiles(disk)) as served:
            assert served.state == (b"kept",)

    asyncio.run(run())


def test_after_a_failed_fsync_every_proposal_is_refused_and_a_restart_serves_again():
    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk)) as served:
            disk.faults = Faults(fail_at={len(disk.calls) + 1: errno.EIO})
            for _ in range(2):
                with pytest.raises(StorageError):
                    await served.propose(b"unknown", WAIT_S)
            assert served.state == ()
        async with consensus(FaultyFiles(disk)) as served:
            await served.propose(b"next", WAIT_S)
            assert served.state in {(b"next",), (b"unknown", b"next")}

    asyncio.run(run())


def test_a_snapshot_that_fails_stops_no_proposal_and_is_tried_again(caplog):
    async def run() -> None:
        disk = Disk()
        full = iter([True])
        files = FaultyFiles(disk)
        create = files.create

        def create_once_full(name: str):
            if "snapshot" in name and next(full, False):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return create(name)

        files.create = create_once_full  # type: ignore[method-assign]
        async with consensus(files, compact_records=4) as served:
            for body in bodies(20):
                await served.propose(body, WAIT_S)
        assert "no snapshot was made" in caplog.text
        assert any(name.startswith("snapshot-") for name in disk.cached)
        async with consensus(FaultyFiles(disk)) as served:
            assert served.state == tuple(bodies(20))

    asyncio.run(run())


def test_a_damaged_snapshot_is_logged_and_replaced_soon(caplog):
    async def run(disk: Disk, start: int) -> None:
        async with consensus(FaultyFiles(disk), compact_records=5) as served:
            assert served.state == tuple(bodies(start))
            for body in bodies(12, start):
                await served.propose(body, WAIT_S)

    disk = Disk()
    asyncio.run(run(disk, 0))
    newest = max(name for name in disk.cached if name.startswith("snapshot"))
    disk.cached[newest].cached[-1] ^= 1
    asyncio.run(run(disk, 12))
    assert "damaged; the snapshot before it and its records were read instead" in caplog.text
    assert newest not in disk.cached


def test_listeners_hear_of_each_record_after_it_was_applied_and_of_none_at_a_restart():
    async def run(disk: Disk, start: int) -> list[tuple[int, State, State, int]]:
        heard: list[tuple[int, State, State, int]] = []
        async with consensus(FaultyFiles(disk)) as served:
            served.on_applied(lambda before, after, result: heard.append((1, before, after, result)))
            served.on_applied(lambda before, after, result: heard.append((2, before, after, result)))
            await propose_all(served, bodies(2, start))
        return heard

    disk = Disk()
    a, b = bodies(2)
    assert asyncio.run(run(disk, 0)) == [(n, *step) for step in [((), (a,), 0), ((a,), (a, b), 1)] for n in (1, 2)]
    assert [result for _, _, _, result in asyncio.run(run(disk, 2))] == [2, 2, 3, 3]


def raising(before: State, after: State, result: int) -> None:
    raise ZeroDivisionError


def test_what_is_read_back_is_told_to_the_one_who_asked_the_last_records_only(monkeypatch):
    monkeypatch.setattr(local_consensus, "READ_BACK_MAX", 3)
    told: list[tuple[State, State, int]] = []

    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk)) as served:
            await propose_all(served, bodies(5))
        log = DurableLog(FaultyFiles(disk))
        async with LocalConsensus(History(), log, read_back=lambda *step: told.append(step)) as served:
            assert [after[-1] for _, after, _ in told] == [b"2", b"3", b"4"]
            assert [(len(before), result) for before, _, result in told] == [(2, 2), (3, 3), (4, 4)]
            await served.propose(b"new", WAIT_S)
        assert len(told) == 3

    asyncio.run(run())


def test_a_listener_that_raises_ends_the_service_and_refuses_its_proposal():
    async def run() -> None:
        async with LocalConsensus(History(), None) as served:
            served.on_applied(raising)
            await served.propose(b"a", WAIT_S)

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(run())
    assert caught.group_contains(ZeroDivisionError)


def test_changed_returns_when_the_version_is_past_and_at_the_latest_in_time():
    async def run() -> None:
        async with LocalConsensus(History(), None) as served:
            assert await served.changed(0, 0.0) == 0
            waiting = [asyncio.create_task(served.changed(version, WAIT_S)) for version in (0, 0, 1)]
            await asyncio.sleep(0)
            await served.propose(b"a", WAIT_S)
            assert await waiting[0] == await waiting[1] == 1
            assert not waiting[2].done()
            await served.propose(b"b", WAIT_S)
            assert await waiting[2] == 2
            assert await served.changed(1, 0.0) == 2

    asyncio.run(run())


def test_a_proposer_that_left_before_the_write_has_proposed_nothing():
    async def run() -> None:
        async with LocalConsensus(History(), None) as served:
            gone = asyncio.create_task(served.propose(b"gone", WAIT_S))
            late = asyncio.create_task(served.propose(b"late", 0.0))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.wait([gone, late])
            assert isinstance(late.exception(), TimeoutError)
            await served.propose(b"stays", WAIT_S)
            assert served.state[-1] == b"stays"
            assert b"gone" not in served.state

    asyncio.run(run())


def test_closing_finishes_what_waits_and_takes_nothing_new():
    async def run() -> None:
        disk = Disk()
        async with consensus(FaultyFiles(disk), batch_max=3) as served:
            waiting = [asyncio.create_task(served.propose(body, WAIT_S)) for body in bodies(20)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) == list(range(20))
        with pytest.raises(StorageError, match="the log is closed"):
            await served.propose(b"more", WAIT_S)

    asyncio.run(run())


def test_what_the_body_raises_comes_out_as_it_is():
    async def run() -> None:
        async with consensus(FaultyFiles(Disk())) as served:
            waiting = asyncio.create_task(served.propose(b"a", WAIT_S))
            await asyncio.sleep(0)
            raise KeyError
        assert await waiting == 0

    with pytest.raises(KeyError):
        asyncio.run(run())


class HungFiles(FaultyFiles):
    """A disk whose next write returns only when it is let go."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.hang, self.reached, self.released = False, threading.Event(), threading.Event()

    def create(self, name: str):
        file = super().create(name)
        write = file.write

        def slow(offset: int, content: bytes) -> None:
            if self.hang:
                self.reached.set()
                self.released.wait(WAIT_S)
            write(offset, content)

        file.write = slow  # type: ignore[method-assign]
        return file


def test_a_hung_disk_delays_closing_only_as_agreed_and_its_proposals_are_refused():
    async def run() -> None:
        files = HungFiles(Disk())
        async with LocalConsensus(History(), DurableLog(files), LogSettings(close_timeout_s=0.01)) as served:
            files.hang = True
            waiting = asyncio.create_task(served.propose(b"a", WAIT_S))
            assert await asyncio.to_thread(files.reached.wait, WAIT_S)
            behind = asyncio.create_task(served.propose(b"b", WAIT_S))
            await asyncio.sleep(0)
        found = await asyncio.gather(waiting, behind, return_exceptions=True)
        assert ["this may have been written or not" in str(found[0]), "could be written" in str(found[1])] == [True] * 2
        assert served.state == ()
        files.released.set()

    asyncio.run(run())


def test_another_log_in_the_same_folder_is_refused_and_the_first_goes_on(tmp_path):
    async def run() -> None:
        async with consensus(DiskFiles(tmp_path)) as served:
            with pytest.raises(StorageError, match="keeps its log there"):
                async with consensus(DiskFiles(tmp_path)):
                    pass
            assert await served.propose(b"a", WAIT_S) == 0

    asyncio.run(run())


def test_the_loop_thread_never_touches_the_disk(tmp_path, monkeypatch):
    """Opening, appending, compacting and closing: every call below is made by the writer thread."""
    callers = set()

    def watch(module: object, name: str) -> None:
        real = getattr(module, name)

        def watched(*given, **more):
            callers.add((name, threading.current_thread().name.split("_")[0]))
            return real(*given, **more)

        monkeypatch.setattr(module, name, watched)

    for name in ("fsync", "open", "pwrite", "listdir", "ftruncate"):
        watch(os, name)
    watch(Path, "open")

    async def run() -> None:
        async with consensus(DiskFiles(tmp_path / "log"), compact_records=5) as served:
            await propose_all(served, bodies(20))
            await served.propose(b"x", WAIT_S)

    for _ in range(2):
        asyncio.run(run())
    assert {thread for _, thread in callers} == {"log-writer"}
    assert {name for name, _ in callers} >= {"fsync", "open", "pwrite", "listdir"}


def test_a_killed_service_has_kept_what_it_acknowledged():
    """The power goes at each call in turn; what was acknowledged before is there after it."""

    async def run(disk: Disk, acknowledged: list[bytes]) -> None:
        async with consensus(FaultyFiles(disk), compact_records=3) as served:
            assert list(served.state[: len(acknowledged)]) == acknowledged
            acknowledged[:] = served.state
            for body in bodies(8, start=100):
                await served.propose(body, WAIT_S)
                acknowledged.append(body)

    cut_at, finished = 0, False
    while not finished:
        disk, acknowledged = Disk(), list[bytes]()
        disk.faults = Faults(cut_at=cut_at)
        try:
            asyncio.run(run(disk, acknowledged))
            finished = True
        except (BaseExceptionGroup, Exception):  # noqa: BLE001 - whatever a dead disk leads to
            disk.power_up(Faults())
            asyncio.run(run(disk, acknowledged))
        cut_at += 1
    assert cut_at > 40
