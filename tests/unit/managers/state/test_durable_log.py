"""The log on a real folder, and what it says when something is wrong."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from managers.state.durable_log import FILES_MAX, DurableLog
from managers.state.log_files import DiskFiles, InUseError
from managers.state.log_format import FRAME_BYTES_MAX, FRAME_MAGIC, RECORD_BYTES_MAX
from ringrift_core.errors import RulesError, StorageError


def opened(folder: Path) -> DurableLog:
    log = DurableLog(DiskFiles(folder))
    log.recover()
    return log


def filled(folder: Path) -> None:
    """Six records with a snapshot after the second and the fourth, closed."""
    log = opened(folder)
    for i in range(1, 7):
        log.append([b"%d" % i])
        if i in {2, 4}:
            log.compact(b"state %d" % i)
    log.close()


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def test_a_new_folder_holds_nothing(tmp_path):
    log = DurableLog(DiskFiles(tmp_path / "a" / "b"))
    found = log.recover()
    assert (found.snapshot, found.records, log.last) == (None, (), 0)
    log.close()
    log.close()


def test_records_come_back_in_order(tmp_path):
    log = opened(tmp_path)
    assert log.append([b"one"]) == 1
    assert log.append([b"two", b"", b"four"]) == 4
    log.close()
    log = DurableLog(DiskFiles(tmp_path))
    assert log.recover().records == (b"one", b"two", b"", b"four")
    assert log.append([b"five"]) == 5
    log.close()


def test_a_snapshot_replaces_the_records_that_it_contains(tmp_path):
    filled(tmp_path)
    found = DurableLog(DiskFiles(tmp_path)).recover()
    assert (found.number, found.snapshot, found.records, found.damaged) == (4, b"state 4", (b"5", b"6"), ())


def test_the_snapshot_before_the_newest_is_kept_and_what_is_older_goes(tmp_path):
    filled(tmp_path)
    numbers = sorted((path.name.split("-")[0], int(path.name.split("-")[1])) for path in tmp_path.glob("*-*"))
    assert numbers == [("log", 3), ("log", 5), ("log", 7), ("snapshot", 2), ("snapshot", 4)]


def test_a_damaged_snapshot_is_replaced_by_the_one_before_and_said(tmp_path):
    filled(tmp_path)
    newest = max(tmp_path.glob("snapshot-*"))
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    log = DurableLog(DiskFiles(tmp_path))
    found = log.recover()
    assert (found.snapshot, found.records) == (b"state 2", (b"3", b"4", b"5", b"6"))
    assert found.damaged == (f"{newest}: damaged",)
    assert log.wants_compaction(1000, 1 << 30)
    log.compact(b"state 6")
    assert not log.wants_compaction(1000, 1 << 30)
    log.close()
    assert DurableLog(DiskFiles(tmp_path)).recover().snapshot == b"state 6"


def test_two_damaged_snapshots_are_an_error_that_names_both(tmp_path):
    filled(tmp_path)
    for path in tmp_path.glob("snapshot-*"):
        path.write_bytes(b"")
    with pytest.raises(StorageError, match=r"no log with record 1; .*snapshot-0*4.*snapshot-0*2: damaged.*; restore"):
        opened(tmp_path)


def test_a_torn_end_is_cut_off(tmp_path):
    log = opened(tmp_path)
    log.append([b"one"])
    log.append([b"two"])
    log._release()
    path = only(tmp_path, "log-*")
    path.write_bytes(path.read_bytes()[:-1])
    log = DurableLog(DiskFiles(tmp_path))
    assert log.recover().records == (b"one",)
    assert path.read_bytes().endswith(b"one")
    assert log.append([b"another two"]) == 2
    log.close()
    assert DurableLog(DiskFiles(tmp_path)).recover().records == (b"one", b"another two")


def test_an_end_that_is_torn_after_the_log_was_opened_again_is_an_error(tmp_path):
    """What an opening has given back is promised, though nothing was appended since."""
    log = opened(tmp_path)
    log.append([b"one"])
    log._release()
    path = only(tmp_path, "log-*")
    opened(tmp_path)._release()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match="damaged behind record 0"):
        opened(tmp_path)


def test_damage_before_a_sound_record_is_an_error_and_changes_nothing(tmp_path):
    log = opened(tmp_path)
    log.append([b"one"])
    log.append([b"two"])
    log._release()
    path = only(tmp_path, "log-*")
    content = path.read_bytes().replace(b"one", b"ONE")
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"log-0*1: damaged behind record 0; restore the folder from a copy"):
        opened(tmp_path)
    assert path.read_bytes() == content


def test_records_that_look_like_frames_are_records(tmp_path):
    log = opened(tmp_path)
    log.append([b"one"])
    log.append([FRAME_MAGIC * 9 + only(tmp_path, "log-*").read_bytes()])
    log._release()
    path = only(tmp_path, "log-*")
    path.write_bytes(path.read_bytes()[:-1])  # a torn end that holds a whole copy of a frame of another place
    assert DurableLog(DiskFiles(tmp_path)).recover().records == (b"one",)


@pytest.mark.parametrize("pattern", ["log-*3", "log-*5"])
def test_a_missing_file_is_an_error_unless_nothing_needs_it(tmp_path, pattern):
    filled(tmp_path)
    only(tmp_path, pattern).unlink()
    if pattern == "log-*3":
        assert DurableLog(DiskFiles(tmp_path)).recover().records == (b"5", b"6")
    else:
        with pytest.raises(StorageError, match="damaged behind record 4"):
            opened(tmp_path)


def test_a_log_that_ends_before_its_snapshot_is_an_error(tmp_path):
    filled(tmp_path)
    for number in (5, 7):
        only(tmp_path, f"log-*{number}").unlink()
    path = only(tmp_path, "log-*3")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match="the log ends with record 3, before the snapshot of 4"):
        opened(tmp_path)


def test_files_of_another_format_number_or_kind_are_refused(tmp_path):
    opened(tmp_path).close()
    path = only(tmp_path, "log-*")
    path.rename(tmp_path / f"log-{2:020d}")
    with pytest.raises(StorageError, match="no log with record 1"):
        opened(tmp_path)
    (tmp_path / f"log-{2:020d}").rename(path)
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="damaged, or not a file of this log"):
        opened(tmp_path)


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    for name in ("log-1", "snapshot-x", "notes.txt", "log-00000000000000000001.old"):
        (tmp_path / name).write_text("mine")
    opened(tmp_path).close()
    assert (tmp_path / "notes.txt").read_text() == (tmp_path / "log-1").read_text() == "mine"


def test_what_is_too_large_is_refused_and_the_log_goes_on(tmp_path):
    log = opened(tmp_path)
    with pytest.raises(RulesError, match=f"at most {RECORD_BYTES_MAX}"):
        log.append([b"x" * (RECORD_BYTES_MAX + 1)])
    with pytest.raises(RulesError, match=f"{FRAME_BYTES_MAX} may be appended at once"):
        log.append([b"x" * RECORD_BYTES_MAX] * 4)
    assert log.append([b"x" * RECORD_BYTES_MAX]) == 1
    log.close()


def test_one_process_has_the_log(tmp_path):
    log = opened(tmp_path)
    with pytest.raises(InUseError, match=f"process {os.getpid()} keeps its log there: stop it, or choose another"):
        opened(tmp_path)
    log.close()
    opened(tmp_path).close()


@pytest.mark.parametrize(
    ("content", "holder"),
    [
        (b"", "another process"),
        (b"\xff\xfe", "another process"),
        (b"x y\n", "another process"),
        (b"77 other\x1b[2J\n", "another process"),
        (b"77 elsewhere\n", "process 77 of elsewhere"),
    ],
)
def test_who_has_the_log_is_named_as_far_as_the_lock_says_it(tmp_path, content, holder):
    log = opened(tmp_path)
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(InUseError, match=f": {holder} keeps its log there"):
        opened(tmp_path)
    log.close()


def test_a_disk_without_locks_is_said_as_such(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match=r"cannot be locked .*; choose a folder on a disk") as raised:
        opened(tmp_path)
    assert not isinstance(raised.value, InUseError)


def test_a_log_that_is_refused_is_not_locked(tmp_path):
    filled(tmp_path)
    path = only(tmp_path, "log-*5")
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(StorageError):
        opened(tmp_path)
    path.write_bytes(content)
    opened(tmp_path).close()


def test_a_closed_log_takes_nothing(tmp_path):
    log = opened(tmp_path)
    log.close()
    with pytest.raises(StorageError, match="is not open"):
        log.append([b"x"])


def test_a_full_disk_refuses_a_record_and_the_next_one_fits_again(tmp_path, monkeypatch):
    log = opened(tmp_path)
    log.append([b"one"])
    write, path = os.pwrite, only(tmp_path, "log-*")
    size = path.stat().st_size

    def half_then_full(handle, content, offset):
        if len(content) < 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, content[:50], offset)

    monkeypatch.setattr(os, "pwrite", half_then_full)
    with pytest.raises(StorageError, match="the disk is full: free some space"):
        log.append([b"x" * 20])
    assert path.stat().st_size == size
    monkeypatch.setattr(os, "pwrite", write)
    assert log.append([b"two"]) == 2
    log.close()
    assert DurableLog(DiskFiles(tmp_path)).recover().records == (b"one", b"two")


def test_after_a_failed_fsync_nothing_is_taken_until_the_log_is_opened_again(tmp_path, monkeypatch):
    log = opened(tmp_path)
    log.append([b"one"])

    def failing(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match="Input/output error"):
            log.append([b"two"])
    with pytest.raises(StorageError, match="has an fsync that failed"):
        log.append([b"three"])
    with pytest.raises(StorageError, match="has an fsync that failed"):
        log.compact(b"state")
    log.close()
    log = DurableLog(DiskFiles(tmp_path))
    assert log.recover().records in {(b"one",), (b"one", b"two")}
    log.close()


def test_a_disk_that_is_full_for_a_snapshot_does_not_stop_the_log(tmp_path, monkeypatch):
    log = opened(tmp_path)
    log.append([b"one"])

    def full(path, to):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(StorageError, match="free some space"):
            log.compact(b"state")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", f"log-{1:020d}"]
    log.append([b"two"])
    log.compact(b"state 2")
    log.close()
    assert DurableLog(DiskFiles(tmp_path)).recover().snapshot == b"state 2"


def test_a_snapshot_that_does_not_read_back_replaces_nothing(tmp_path, monkeypatch):
    log = opened(tmp_path)
    for i in range(1, 4):
        log.append([b"%d" % i])
        if i < 3:
            log.compact(b"state %d" % i)
    before = {path.name for path in tmp_path.iterdir()}
    read = DiskFiles.read
    with monkeypatch.context() as patch:
        patch.setattr(DiskFiles, "read", lambda files, name, size_max: read(files, name, size_max)[:-1] + b"?")
        with pytest.raises(StorageError, match=r"snapshot-0*3: damaged"):
            log.compact(b"state 3")
    assert before < {path.name for path in tmp_path.iterdir()}
    log.append([b"4"])
    log.compact(b"state 4")
    log.close()
    assert DurableLog(DiskFiles(tmp_path)).recover().snapshot == b"state 4"


def test_a_snapshot_is_given_up_when_the_log_breaks_between_its_steps(tmp_path, monkeypatch):
    log = opened(tmp_path)
    log.append([b"one"])
    steps = log.compaction(1, lambda: b"state")
    for _ in range(3):
        next(steps)

    def failing(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError):
            log.append([b"two"])
    with pytest.raises(StorageError, match="has an fsync that failed"):
        next(steps)
    assert not list(tmp_path.glob("*snapshot*"))


def test_a_snapshot_may_be_of_a_record_before_the_last(tmp_path):
    log = opened(tmp_path)
    log.append([b"one", b"two", b"three"])
    log.append([b"four"])
    for _ in log.compaction(2, lambda: b"state 2"):
        pass
    log.close()
    found = DurableLog(DiskFiles(tmp_path)).recover()
    assert (found.number, found.snapshot, found.records) == (2, b"state 2", (b"three", b"four"))


def test_a_new_folder_is_synced_in_the_one_above(tmp_path, monkeypatch):
    synced, sync = set(), os.fsync

    def watched(handle):
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    opened(tmp_path / "a" / "b").close()
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")} <= synced


def test_a_compaction_is_due_after_so_many_records_bytes_or_files(tmp_path):
    log = opened(tmp_path)
    assert not log.wants_compaction(0, 0)
    log.append([b"x" * 1000] * 3)
    assert log.wants_compaction(3, 1 << 20)
    assert log.wants_compaction(1000, 3000)
    assert not log.wants_compaction(4, 1 << 20)
    log._firsts *= FILES_MAX + 1
    assert log.wants_compaction(4, 1 << 20)
    log.close()


def test_records_may_be_appended_between_the_steps_of_a_compaction(tmp_path):
    log = opened(tmp_path)
    log.append([b"one"])
    for step, _ in enumerate(log.compaction(1, lambda: b"state 1")):
        log.append([b"%d" % step])
    log.close()
    found = DurableLog(DiskFiles(tmp_path)).recover()
    assert (found.snapshot, found.records) == (b"state 1", tuple(b"%d" % i for i in range(step + 1)))
    assert step >= 1
