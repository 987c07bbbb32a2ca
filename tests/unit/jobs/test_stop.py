"""How a job is stopped and says that it lives; how the entry point answers what went wrong."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift_core.jobs import __main__ as entry
from ringrift_core.jobs import parent, stop
from ringrift_core.jobs.stop import Stop, Stopped, beat_of


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def reports(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_work_that_reports_nothing_says_every_ten_seconds_that_it_lives(capsys):
    clock = Clock()
    stopped = Stop(clock)
    for _ in range(30):
        clock.now += 1.0
        stopped()
    assert reports(capsys) == [
        {"event": "alive", "beats": 10},
        {"event": "alive", "beats": 20},
        {"event": "alive", "beats": 30},
    ]


def test_another_report_is_a_sign_of_life(capsys):
    clock = Clock()
    stopped = Stop(clock)
    for _ in range(3):
        clock.now += 9.0
        stopped.emit({"event": "progress"})
        stopped()
    assert {report["event"] for report in reports(capsys)} == {"progress"}


def test_work_that_hangs_says_nothing(capsys):
    clock = Clock()
    Stop(clock)
    clock.now += 1000.0
    assert reports(capsys) == []


def test_a_signal_stops_a_match():
    stopped = Stop(Clock())
    beat = beat_of(stopped)
    beat()
    stopped.ask()
    with pytest.raises(Stopped):
        beat()


def test_a_job_without_a_reader_stops(monkeypatch):
    clock = Clock()
    stopped = Stop(clock)
    gone = [False]
    monkeypatch.setattr(stop, "reader_gone", lambda: gone[0])
    clock.now = 1.0
    assert not stopped()
    gone[0] = True
    assert not stopped()  # it looks once a second
    clock.now = 2.0
    assert stopped()


READER = """
import os, time
from ringrift_core.jobs.stop import reader_gone
print(reader_gone(), flush=True)
while not reader_gone(): time.sleep(0.01)
os._exit(7)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may not tell before something is written")
def test_the_system_tells_that_the_reader_of_a_pipe_is_gone():
    with subprocess.Popen([sys.executable, "-c", READER], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "False\n"
        job.stdout.close()
        assert job.wait(60) == 7


# ---- the parent ----


PARENT = """
import subprocess, sys
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
job.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
"""
CHILD = """
import os, signal, sys, time
from ringrift_core.jobs.parent import end_with_parent
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
assert end_with_parent(lambda: None)
sys.stdout = sys.stderr
os.write(1, b"armed\\n")
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells on Linux only")
def test_a_job_gets_sigterm_when_its_parent_is_killed():
    """The job holds the error pipe of this test: it has an end when the job has ended."""
    run = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    run.kill()
    assert run.communicate(timeout=30)[1] == b""


def test_a_parent_that_ends_while_the_kernel_is_asked_is_noticed(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("the kernel tells on Linux only")
    parents = iter([4711, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: type("Library", (), {"prctl": lambda *_: 0})())
    asked = []
    assert parent.end_with_parent(lambda: asked.append(True))
    assert asked == [True]


# ---- the entry point ----


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "torch is not installed; install it"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_exit_code_2(tmp_path: Path, monkeypatch, capsys, error, says):
    assert main_with(error, tmp_path, monkeypatch) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ModuleNotFoundError("No module named 'x'", name="x")])
def test_a_bug_is_no_bad_input(tmp_path: Path, monkeypatch, error):
    with pytest.raises(type(error)):
        main_with(error, tmp_path, monkeypatch)


def main_with(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The entry point with work that ends with an error."""

    def failing(*_: object) -> None:
        raise error

    path = folder / "spec.json"
    path.write_text(json.dumps({"game": "hex8_2p", "model": "random", "out": str(folder), "seed": 1}))
    monkeypatch.setattr(entry, "run_selfplay", failing)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(entry, "end_with_parent", lambda _: True)
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(sys, "argv", ["jobs", str(path)])
    return entry.main()
