"""The durable log under power cuts, kills and failing disks."""

from collections.abc import Callable

import pytest

from managers.state import durable_log
from managers.state.durable_log import DurableLog
from managers.state.log_files import LogFile
from tests.sim.faulty_files import Disk, FaultyFiles
from tests.sim.log_runs import cut_everywhere, many_lives

SEEDS = 6
BROKEN = "record is lost|was invented|has come back|sound log was refused|another record|damaged snapshot"
BUGS: dict[str, Callable[[str, str], bool]] = {
    "records are not synced": lambda call, name: call == "sync" and "log-" in name,
    "names are not synced": lambda call, name: call == "sync_folder",
    "snapshots are not synced": lambda call, name: call == "sync" and "snapshot-" in name,
}


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    """Snapshots are written in several steps."""
    monkeypatch.setattr(durable_log, "SLICE_BYTES", 300)


def test_no_power_cut_loses_or_invents_a_record():
    assert cut_all() >= 300


def test_no_series_of_cuts_kills_and_failing_calls_loses_or_invents_a_record():
    assert live_all() >= 300


def test_every_new_name_is_synced_at_once():
    """Of a snapshot no power cut would show that it was not: the snapshot before it makes up for it."""
    disk = Disk()
    log = DurableLog(FaultyFiles(disk))
    log.recover()
    log.append([b"one"])
    log.compact(b"state")
    renamed = [i for i, call in enumerate(disk.calls) if call.startswith("rename")]
    assert [disk.calls[i + 1] for i in renamed] == ["sync_folder "] * 3


@pytest.mark.parametrize("bug", BUGS)
def test_a_missing_fsync_is_found(bug):
    with pytest.raises(AssertionError, match=BROKEN):
        cut_all(BUGS[bug])


def cut_all(skipped: Callable[[str, str], bool] = lambda call, name: False) -> int:
    return sum(cut_everywhere(seed, skipped) for seed in range(SEEDS))


def live_all() -> int:
    return sum(many_lives(seed) for seed in range(200))


def found_in_many_lives() -> None:
    with pytest.raises(AssertionError, match=BROKEN):
        live_all()


def test_a_write_that_is_not_taken_back_is_found(monkeypatch):
    monkeypatch.setattr(DurableLog, "_cut_back", lambda log, segment: None)
    found_in_many_lives()


def test_going_on_after_a_failed_fsync_is_found(monkeypatch):
    def sync_and_forget(log: DurableLog, sync: Callable[[], None]) -> None:
        try:
            sync()
        except OSError:
            if sync.__qualname__.startswith("FaultyFile."):
                return
            raise

    monkeypatch.setattr(DurableLog, "_sync", sync_and_forget)
    found_in_many_lives()


def test_trusting_what_memory_kept_of_a_failed_fsync_is_found(monkeypatch):
    """Without writing the last frame once more, a later fsync seems to save it and does not."""
    reopen = DurableLog._reopen

    def trusting(log: DurableLog, found) -> None:
        opened = log._files.open

        class Kept:
            def __init__(self, file: LogFile) -> None:
                self.truncate, self.sync, self.close = file.truncate, file.sync, file.close
                self.real = file

            def write(self, offset: int, content: bytes) -> None:
                pass

        monkeypatch.setattr(log._files, "open", lambda name: Kept(opened(name)))
        reopen(log, found)
        monkeypatch.setattr(log._files, "open", opened)
        if log._segment is not None and isinstance(log._segment.file, Kept):
            log._segment.file = log._segment.file.real

    monkeypatch.setattr(DurableLog, "_reopen", trusting)
    found_in_many_lives()


def test_forgetting_too_early_is_found(monkeypatch):
    compaction = DurableLog.compaction

    def early(log: DurableLog, number: int, dump: Callable[[], bytes]):
        for name in log._files.names():
            if name.startswith("snapshot-"):
                log._files.remove(name)
        yield from compaction(log, number, dump)

    monkeypatch.setattr(DurableLog, "compaction", early)
    with pytest.raises(AssertionError, match=BROKEN):
        cut_all()
