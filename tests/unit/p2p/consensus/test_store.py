"""The store of a voter: what one sync writes, what comes back."""

import random

import pytest

from managers.state.durable_log import DurableLog
from p2p.consensus.base import Base
from p2p.consensus.codec import MEMBERSHIP, NO_OP, pack
from p2p.consensus.store import LAST, RaftStore
from ringrift_core.errors import RulesError, StorageError
from tests.sim.faulty_files import Disk, FaultyFiles
from tests.unit.p2p.consensus.hand import entry


def opened(disk: Disk) -> RaftStore:
    store = RaftStore(FaultyFiles(disk), random.Random(1).randbytes)
    store.open()
    return store


def founded(disk: Disk) -> RaftStore:
    store = opened(disk)
    store.found(5, b"dump", ["b", "a"])
    return store


def writes(disk: Disk) -> int:
    return sum(call.startswith("write ") and "log-" in call for call in disk.calls)


def test_a_blank_store_has_no_base():
    store = opened(Disk())
    assert store.blank
    assert store.mute
    assert (store.voters, len(store), store.getCurrentTerm(), store.getVotedForNodeId()) == (None, 0, 0, None)


def test_a_group_begins_behind_what_a_blank_node_has():
    disk = Disk()
    founded(disk).close()
    store = opened(disk)
    assert store[:] == [(NO_OP, 2, 0), (NO_OP, 3, 0)]
    assert store.base is not None
    assert (store.base.version, store.base.dump, store.voters) == (5, b"dump", ("a", "b"))
    assert store.getRaftCommitIndex() == 3
    assert not store.mute
    with pytest.raises(RulesError, match="belongs to a group"):
        store.found(1, b"", ["a"])


def test_everything_since_the_last_sync_is_one_write_and_comes_back():
    disk = Disk()
    store = founded(disk)
    before = writes(disk)
    store.add(*entry(4, 1))
    store.add(*entry(5, 1))
    store.setCurrentTerm(1, "b")
    store.setRaftCommitIndex(4)
    store.sync()
    assert writes(disk) == before + 1
    again = opened(disk)
    assert again[2:] == [entry(4, 1), entry(5, 1)]
    assert (again.getCurrentTerm(), again.getVotedForNodeId(), again.getRaftCommitIndex()) == (1, "b", 4)


def test_without_news_nothing_is_written():
    disk = Disk()
    store = founded(disk)
    calls = len(disk.calls)
    store.sync()
    store.setRaftCommitIndex(7)
    store.sync()  # a commit index alone is not worth a write
    assert len(disk.calls) == calls
    store.onOneSecondTimer()
    store.sync()
    assert opened(disk).getRaftCommitIndex() == 7


def test_what_is_removed_and_put_back_is_not_written():
    disk = Disk()
    store = founded(disk)
    for index in (4, 5, 6):
        store.add(*entry(index, 1))
    store.sync()
    calls = len(disk.calls)
    store.deleteEntriesFrom(2)
    for index in (4, 5, 6):
        store.add(*entry(index, 1))
    store.sync()
    assert len(disk.calls) == calls


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_tail_that_is_replaced_comes_back_as_it_was_left(cut):
    disk = Disk()
    store = founded(disk)
    for index in (4, 5, 6):
        store.add(*entry(index, 1))
    store.sync()
    store.deleteEntriesFrom(cut)
    store.add(*entry(cut + 2, 1))  # as before
    store.add(*entry(cut + 3, 2))
    left = store[:]
    store.sync()
    assert opened(disk)[:] == left


def test_a_tail_that_is_removed_stays_away():
    disk = Disk()
    store = founded(disk)
    store.add(*entry(4, 1))
    store.sync()
    store.deleteEntriesFrom(2)
    store.sync()
    assert len(opened(disk)) == 2


def test_a_change_of_many_frames_counts_when_all_of_it_is_there(monkeypatch):
    disk = Disk()
    store = founded(disk)
    for index in range(4, 10):
        store.add(*entry(index, 1, *[bytes(900_000)] * 4))
    append, left = DurableLog.append, [3]

    def tired(log, records):
        left[0] -= 1
        if left[0] < 0:
            raise StorageError("the disk is full")
        return append(log, records)

    monkeypatch.setattr(DurableLog, "append", tired)
    with pytest.raises(StorageError):
        store.sync()
    store.close()
    assert len(opened(disk)) == 2
    left[0] = 100
    again = opened(disk)
    again.add(*entry(4, 2))
    again.sync()
    assert opened(disk)[:] == again[:]


def test_entries_are_trimmed_together_with_the_new_base():
    disk = Disk()
    store = founded(disk)
    for index in (4, 5, 6):
        store.add(*entry(index, 1))
    store.sync()
    assert store.base is not None
    store.replace_base(type(store.base)(7, b"newer", entry(4, 1), entry(5, 1), ("a",)))
    store.deleteEntriesTo(2)
    store.sync()
    again = opened(disk)
    assert again.base == store.base
    assert again[:] == [entry(4, 1), entry(5, 1), entry(6, 1)]


def damage(disk: Disk, number: int) -> None:
    disk.cached[f"snapshot-{number:020d}"].cached[60] ^= 1


@pytest.mark.parametrize("entries", [0, 2])
def test_a_lost_base_is_not_taken_for_a_blank_store(entries):
    disk = Disk()
    store = founded(disk)
    for index in range(4, 4 + entries):
        store.add(*entry(index, 1))
        store.sync()
    store.close()
    damage(disk, 1)
    with pytest.raises(StorageError, match="move it away"):
        opened(disk)


def compacted(disk: Disk, base: Base, *, keep: int) -> None:
    """A store of entries to 6 that takes another base, which leaves so many of them; the snapshot is lost then."""
    store = founded(disk)
    for index in (4, 5, 6):
        store.add(*entry(index, 1))
    store.sync()
    store.replace_base(base)
    if keep:
        store.deleteEntriesTo(5 - keep)
    else:
        store.clear()
        store.add(*base.before)
        store.add(*base.last)
    store.sync()
    store.close()
    damage(disk, 3)


def test_a_lost_snapshot_of_what_was_there_is_made_up_for_by_the_one_before():
    disk = Disk()
    compacted(disk, Base(7, b"newer", entry(4, 1), entry(5, 1), ("a",)), keep=3)
    store = opened(disk)
    assert store.base is not None
    assert store.base.version == 5
    assert store[-1] == entry(6, 1)


def test_a_lost_snapshot_that_came_from_a_leader_is_not_gone_back_behind():
    disk = Disk()
    compacted(disk, Base(70, b"newer", entry(40, 1), entry(41, 1), ("a",)), keep=0)
    with pytest.raises(StorageError, match="entry 40 cannot be read"):
        opened(disk)


def test_who_votes_is_read_from_the_latest_entry():
    disk = Disk()
    store = founded(disk)
    store.add(MEMBERSHIP + pack(["add", "c"]), 4, 1)
    store.add(MEMBERSHIP + pack(["rem", "a"]), 5, 1)
    store.sync()
    for it in (store, opened(disk)):
        assert it.voters == ("b", "c")
        assert it.voters_at(4) == ("a", "b", "c")
        assert it.change_after(4)
        assert not it.change_after(5)
    store.deleteEntriesFrom(3)
    assert store.voters == ("a", "b", "c")


def test_many_starts_do_not_pile_up_files():
    disk = Disk()
    founded(disk).close()
    for term in range(1, 140):
        store = opened(disk)
        store.setCurrentTerm(term, None)
        store.sync()
        store.close()
    assert len(disk.cached) < 100
    assert opened(disk).getCurrentTerm() == 139


@pytest.mark.parametrize("record", [b"", b"\x00x", bytes([LAST]) + b"x", bytes([1 | LAST]) + b"\xc1"])
def test_a_log_of_something_else_is_refused_with_advice(record):
    disk = Disk()
    log = DurableLog(FaultyFiles(disk))
    log.recover()
    log.append([record])
    log.close()
    with pytest.raises(StorageError, match="move it away"):
        opened(disk)
