"""The log of a job, and the record that leads to its process."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from managers.launcher import leftovers
from managers.launcher.job_log import JobLog, prune
from managers.launcher.leftovers import RECORD, JobRecord, is_same, sweep_folders, write_record


def test_a_log_keeps_its_newest_part_and_stays_within_its_bound(tmp_path: Path):
    job_log = JobLog(tmp_path / "logs" / "j.log", 2000)
    for number in range(1000):
        job_log.write(b"%06d\n" % number)
    older, newer = (tmp_path / "logs" / "j.log.1").read_bytes(), (tmp_path / "logs" / "j.log").read_bytes()
    assert len(older) + len(newer) <= 2000 + 7
    assert (older + newer).split()[-150:] == [b"%06d" % number for number in range(850, 1000)]


def test_a_log_that_cannot_be_written_is_said_once_and_its_gap_when_it_can_again(tmp_path: Path, caplog):
    path = tmp_path / "logs" / "j.log"
    path.parent.write_text("a file stands here")
    job_log = JobLog(path, 2000)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            job_log.write(b"12345")
        path.parent.unlink()
        job_log.write(b"67890")
    assert len(caplog.records) == 1
    assert path.read_bytes() == b"[15 bytes could not be written here]\n67890"


def test_the_oldest_logs_are_removed(tmp_path: Path):
    for number in range(6):
        path = tmp_path / f"{number}.log"
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "other.txt").touch()
    prune(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4.log", "5.log", "other.txt"]
    prune(tmp_path / "nowhere", 2)


def record(**changes: object) -> JobRecord:
    fields = {"name": "j1", "fence": 3, "mark": "m" * 32, "spec": "/x/spec.json", "boot_id": leftovers.boot_id()}
    return JobRecord.model_validate(fields | changes)


def test_a_process_is_the_recorded_one_by_its_start_and_its_command_line():
    written = record(pid=100, started=1000.0)
    assert is_same(written, 1000.5, ["python", "/x/spec.json"])
    assert not is_same(written, 1010.0, ["python", "/x/spec.json"])
    assert not is_same(written, 1000.5, ["python", "/y/spec.json"])
    assert not is_same(record(pid=100), 1000.5, ["python", "/x/spec.json"])


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b"\xff" * 100, b"x" * 100_000])
def test_a_damaged_record_is_passed_over(tmp_path: Path, content: bytes, caplog):
    (tmp_path / RECORD).write_bytes(content)
    assert sweep_folders([tmp_path], 0.0) == []
    assert "damaged" in caplog.text


def bystander(spec: Path = Path("/x/spec.json")) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)", str(spec)]
    return subprocess.Popen(program, start_new_session=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"started": 1.0},  # the number was given to another process
        {"spec": "/y/spec.json"},
        {"boot_id": "of an earlier boot"},
        {"pid": os.getpid()},
    ],
)
def test_a_process_that_is_not_ours_is_never_touched(tmp_path: Path, changes):
    with bystander() as process:
        started = psutil.Process(process.pid).create_time()
        write_record(tmp_path, record(**({"pid": process.pid, "started": started} | changes)))
        assert sweep_folders([tmp_path], 0.0) == []
        assert process.poll() is None
        process.kill()
    assert not (tmp_path / RECORD).exists()


def test_a_recorded_process_is_found_even_without_its_mark(tmp_path: Path):
    with bystander() as process:
        started = psutil.Process(process.pid).create_time()
        write_record(tmp_path, record(pid=process.pid, started=started))
        (leftover,) = sweep_folders([tmp_path], 5.0)
    assert (leftover.name, leftover.fence, leftover.pids, leftover.ended) == ("j1", 3, (process.pid,), True)


def test_the_record_in_a_copy_of_a_folder_leads_to_nobody(tmp_path: Path):
    original, copied = tmp_path / "original", tmp_path / "copied"
    original.mkdir()
    copied.mkdir()
    spec = original / "spec.json"
    with bystander(spec) as process:
        started = psutil.Process(process.pid).create_time()
        write_record(copied, record(pid=process.pid, started=started, spec=str(spec)))
        assert sweep_folders([copied], 0.0) == []
        assert process.poll() is None
        assert not (copied / RECORD).exists()
        write_record(original, record(pid=process.pid, started=started, spec=str(spec)))
        assert [leftover.pids for leftover in sweep_folders([original], 5.0)] == [(process.pid,)]
