"""LocalLauncher with real processes: reports, endings, limits, floods, and what is left after a kill -9 of the node."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from managers.launcher import LauncherSettings, LocalLauncher
from managers.launcher.leftovers import RECORD, SPEC
from managers.launcher.local_child import LocalChild
from managers.ports import Cause, Child, Ending, Launcher, LaunchError, Order, Report
from ringrift_core.errors import InvariantError, RulesError, StorageError
from tests.tidy import ROOT

PYTHON = (sys.executable, "-I", "-S", "-c")
HEAD = """
import json, os, signal, subprocess, sys, time
def say(event, **fields): print(json.dumps({"event": event, **fields}), flush=True)
def on_term(do): signal.signal(signal.SIGTERM, do)
"""
SLEEPING = "say('up'); time.sleep(60)"
SLOW_S = 60.0  # a deadline, not a measure


class Node:
    """A launcher in a folder, and jobs that are small programs."""

    def __init__(self, folder: Path, program: str = SLEEPING, settings: LauncherSettings | None = None) -> None:
        self.jobs, self.logs = folder / "jobs", folder / "logs"
        quick = LauncherSettings(stop_s=0.2, sample_s=0.05)
        self.launcher = LocalLauncher(
            self.jobs, self.logs, settings or quick, command=(*PYTHON, HEAD + program), environment={"PATH": "/bin"}
        )

    async def start(self, name: str = "job", spec: bytes = b"{}", memory_bytes_max: int | None = None) -> LocalChild:
        order = Order(name, 1, "selfplay", spec, self.jobs / name, memory_bytes_max=memory_bytes_max)
        return await self.launcher.start(order)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """To the end, within a deadline."""

    async def bounded() -> Any:
        async with asyncio.timeout(SLOW_S):
            return await work

    return asyncio.run(bounded())


async def read(child: Child) -> list[Report]:
    return [report async for report in child.reports()]


async def first(child: Child) -> Report:
    return await anext(child.reports())


def lived(folder: Path, program: str, settings: LauncherSettings | None = None) -> tuple[list[Report], Ending]:
    """The reports and the ending of one job."""

    async def work() -> tuple[list[Report], Ending]:
        node = Node(folder, program, settings)
        async with node.launcher:
            child = await node.start()
            return await read(child), await child.wait()

    found: tuple[list[Report], Ending] = run(work())
    return found


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def gone(pid: int) -> bool:
    """No such process is alive; a zombie that its parent, the first process, has yet to reap is not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE and psutil.Process(pid).ppid() != os.getpid()
    except psutil.NoSuchProcess:
        return True


def typed(launcher: LocalLauncher, child: LocalChild) -> tuple[Launcher, Child]:
    """mypy checks that the classes fit their protocols."""
    return launcher, child


def test_reports_arrive_in_order_and_other_lines_go_to_the_log(tmp_path: Path):
    program = """
print("library 2.0")
for number in range(100):
    say("shard", n=number)
print("warning", file=sys.stderr)
say("done", spec=json.load(open(sys.argv[1])), marked=len(os.environ["RINGRIFT_JOB_MARK"]))
sys.stdout.write('{"event": "cut')
"""
    reports, ending = lived(tmp_path, program)
    assert [report.get("n") for report in reports[:-1]] == list(range(100))
    assert reports[-1] == {"event": "done", "spec": {}, "marked": 32}
    assert (ending.cause, ending.code, ending.error) == (Cause.DONE, 0, "")
    assert ending.cpu_s > 0
    log = (tmp_path / "logs" / "job.log").read_text().splitlines()
    assert sorted(log) == sorted(["[fence 1]", "library 2.0", "warning", '{"event": "cut'])
    assert [path.name for path in (tmp_path / "jobs" / "job").iterdir()] == [SPEC]


@pytest.mark.parametrize(
    ("program", "cause", "code", "number", "error"),
    [
        ("sys.exit('noise\\nerror: no disk\\nnoise')", Cause.FAILED, 1, None, "no disk"),
        ("sys.exit(3)", Cause.FAILED, 3, None, "the process ended with exit code 3"),
        ("os.kill(os.getpid(), 11)", Cause.FAILED, None, 11, "the process crashed (SIGSEGV)"),
        ("os.kill(os.getpid(), 15)", Cause.KILLED, None, 15, "somebody ended the process with SIGTERM"),
    ],
)
def test_how_a_job_ended(tmp_path: Path, program, cause, code, number, error):
    reports, ending = lived(tmp_path, program)
    assert reports == []
    assert (ending.cause, ending.code, ending.signal, ending.error) == (cause, code, number, error)


def test_a_job_that_is_stopped_may_say_its_last_words(tmp_path: Path):
    async def work() -> tuple[list[Report], Ending]:
        node = Node(tmp_path, "signal.pthread_sigmask(0, [15]); say('up'); signal.sigwait([15]); say('stopped')")
        async with node.launcher:
            child = await node.start()
            assert await first(child) == {"event": "up"}
            await child.stop(10)
            return await read(child), await child.wait()

    reports, ending = run(work())
    assert reports == [{"event": "stopped"}]
    assert (ending.cause, ending.code) == (Cause.STOPPED, 0)


FAMILY = """
on_term(signal.SIG_IGN)
sleep = [sys.executable, "-I", "-S", "-c", "import signal, time; signal.signal(15, 1); print(1); time.sleep(60)"]
pids = [subprocess.Popen(sleep, env={}).pid, subprocess.Popen(sleep, start_new_session=True).pid]
say("up", pids=pids)
"""


@pytest.mark.parametrize(
    ("rest", "grace_s", "cause"),
    [("time.sleep(60)", 0.2, Cause.STOPPED), ("time.sleep(60)", 0.0, Cause.STOPPED), ("", None, Cause.DONE)],
)
def test_nothing_of_a_job_is_left_when_it_has_ended(tmp_path: Path, rest, grace_s, cause):
    """Neither of one that ignores SIGTERM nor of one that ends before its children."""

    async def work() -> None:
        node = Node(tmp_path, FAMILY + rest)
        async with node.launcher:
            child = await node.start()
            pids = (await first(child))["pids"]
            assert isinstance(pids, list)
            if grace_s is not None:
                assert not any(gone(pid) for pid in pids)
                await child.stop(grace_s)
            assert (await child.wait()).cause is cause
            assert [pid for pid in [child.pid, *pids] if not gone(pid)] == []

    run(work())


def test_leaving_the_launcher_ends_its_jobs(tmp_path: Path):
    async def work() -> list[LocalChild]:
        node = Node(tmp_path)
        async with node.launcher:
            children = [await node.start(f"job-{number}") for number in range(3)]
            await first(children[0])
        with pytest.raises(InvariantError, match="not running"):
            await node.start()
        assert {(await child.wait()).cause for child in children} == {Cause.STOPPED}
        return children

    assert all(gone(child.pid) for child in run(work()))


def test_a_job_over_its_memory_is_ended_and_the_others_go_on(tmp_path: Path):
    program = """
say("up")
if b"eat" in open(sys.argv[1], "rb").read():
    eaten = b"x" * (64 << 20)
time.sleep(60)
"""

    async def work() -> None:
        node = Node(tmp_path, program)
        async with node.launcher:
            other = await node.start("other", memory_bytes_max=50 << 20)
            eater = await node.start("eater", b'["eat"]', 50 << 20)
            ending = await eater.wait()
            assert ending.cause is Cause.MEMORY
            assert "more than the 0.05 GB that jobs.memory_gb_max.selfplay allows" in ending.error
            assert 0 < other.usage().rss_bytes < 50 << 20
            assert not gone(other.pid)

    run(work())


@pytest.mark.parametrize("beats", ["0", "number"])
def test_a_job_without_a_sign_of_work_is_hanging(tmp_path: Path, beats):
    program = f"for number in range(70): say('alive', beats={beats}); time.sleep(0.03)"
    reports, ending = lived(tmp_path, program, LauncherSettings(stop_s=0.2, sample_s=0.05, hang_s=1.0))
    assert reports
    if beats == "0":
        assert (ending.cause, ending.error) == (
            Cause.HANG,
            "the job showed no sign of work for 1 seconds (jobs.hang_seconds)",
        )
    else:
        assert ending.cause is Cause.DONE


def test_a_job_whose_reader_is_slow_waits_and_is_not_hanging(tmp_path: Path):
    async def work() -> None:
        settings = LauncherSettings(stop_s=0.2, sample_s=0.05, hang_s=0.8)
        node = Node(tmp_path, "for number in range(10000): say('shard', n=number, text='x' * 100)", settings)
        async with node.launcher:
            child = await node.start()
            await asyncio.sleep(1.5)
            assert child._queue.full
            assert not child.exited.done()
            assert [report["n"] for report in await read(child)] == list(range(10000))
            assert (await child.wait()).cause is Cause.DONE

    run(work())


def test_floods_fill_neither_the_memory_nor_the_disk(tmp_path: Path):
    program = """
import threading
def flood(): [sys.stderr.write("e" * 99 + "\\n") for _ in range(30000)]
thread = threading.Thread(target=flood); thread.start()
for number in range(20000): print('{"event": "progress", "n": %d}' % number)
print("x" * 3000000)
say("shard")
thread.join()
sys.exit("error: too much")
"""

    async def work() -> tuple[list[Report], Ending]:
        node = Node(tmp_path, program, LauncherSettings(log_bytes_max=200_000))
        async with node.launcher:
            child = await node.start()
            ending = await child.wait()
            assert len(child._queue._reports) == 2
            return await read(child), ending

    reports, ending = run(work())
    assert reports == [{"event": "progress", "n": 19999}, {"event": "shard"}]
    assert (ending.cause, ending.error) == (Cause.FAILED, "too much")
    assert sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) <= 200_000 + (64 << 10)


def test_a_full_disk_costs_the_log_and_not_the_job(tmp_path: Path, caplog):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "job.log").symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING):
        reports, ending = lived(tmp_path, "for _ in range(100): print('noise', flush=True)\nsay('done')")
    assert reports == [{"event": "done"}]
    assert ending.cause is Cause.DONE
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'logs' / 'job.log'}: No space left on device; the job goes on, its log has a gap"
    ]


def test_a_job_that_cannot_be_started_is_an_error_and_leaves_no_record(tmp_path: Path):
    async def work() -> None:
        node = Node(tmp_path)
        async with LocalLauncher(node.jobs, node.logs, command=["/nowhere/python"]) as launcher:
            with pytest.raises(LaunchError, match="/nowhere/python: cannot be started"):
                await launcher.start(Order("job", 1, "selfplay", b"", node.jobs / "job"))
            assert not (node.jobs / "job" / RECORD).exists()
        node.jobs.rename(tmp_path / "old")
        node.jobs.write_text("a file stands here")
        async with node.launcher:
            with pytest.raises(StorageError, match="cannot be written"):
                await node.start()
            with pytest.raises(InvariantError, match="is not in"):
                await node.launcher.start(Order("job", 1, "selfplay", b"", tmp_path))

    run(work())


def test_a_job_runs_once_at_a_time(tmp_path: Path):
    async def work() -> None:
        node = Node(tmp_path)
        async with node.launcher:
            child = await node.start()
            with pytest.raises(RulesError, match="runs here already"):
                await node.start()
            with pytest.raises(RulesError, match="sweep before"):
                await node.launcher.sweep()
            await child.stop(0)
            await (await node.start()).stop(0)
            assert await node.launcher.sweep() == []

    run(work())


def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path, monkeypatch):
    popen, begun, go_on = subprocess.Popen, threading.Event(), threading.Event()
    started: list[int] = []

    def slow(*given: Any, **named: Any) -> Any:
        begun.set()
        assert go_on.wait(SLOW_S)
        process = popen(*given, **named)
        started.append(process.pid)
        return process

    async def work() -> None:
        node = Node(tmp_path)
        async with node.launcher:
            monkeypatch.setattr(subprocess, "Popen", slow)
            starting = asyncio.create_task(node.start())
            await asyncio.to_thread(begun.wait, SLOW_S)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            go_on.set()
            monkeypatch.undo()
            await (await node.start("other")).stop(0)

    run(work())
    assert len(started) == 1
    assert until(lambda: gone(started[0]))
    assert until(lambda: not any(thread.name == "launcher-abandon" for thread in threading.enumerate()))


def test_the_event_loop_starts_nothing_waits_for_nothing_and_writes_nothing(tmp_path: Path, monkeypatch):
    calls: set[str] = set()

    def elsewhere(module: Any, name: str) -> None:
        do = getattr(module, name)

        def watched(*given: Any, **named: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread(), name
            calls.add(name)
            return do(*given, **named)

        monkeypatch.setattr(module, name, watched)

    async def work() -> None:
        node = Node(tmp_path, "print('noise'); " + SLEEPING)
        async with node.launcher:
            for module, name in ((os, "fsync"), (os, "waitid"), (os, "wait4"), (os, "waitpid"), (Path, "open")):
                elsewhere(module, name)
            elsewhere(subprocess, "Popen")
            elsewhere(psutil, "pids")
            child = await node.start()
            await first(child)
            await child.stop(0.1)
            assert (await child.wait()).cause is Cause.STOPPED
            await node.launcher.sweep()

    run(work())
    assert calls == {"fsync", "waitid", "wait4", "open", "Popen", "pids"}


def killed(folder: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.e2e.launcher_killer", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_whenever_a_node_is_killed_the_next_one_finds_what_its_job_left(tmp_path: Path):
    lives = killed(tmp_path)
    assert [life for life in lives if life["after"]] == []
    assert len([life for life in lives if life["before"]]) >= 5
    assert all(life["swept"] and life["swept"][0][1] for life in lives if life["before"])


def test_a_sweep_that_knows_only_written_numbers_is_noticed(tmp_path: Path):
    assert [life for life in killed(tmp_path, "planted") if life["after"]]


def test_a_job_takes_the_place_of_what_an_earlier_attempt_left(tmp_path: Path):
    """A node that was killed and has not swept: the record is not overwritten before its process is gone."""
    script = (
        "import asyncio, os, sys; from pathlib import Path; from tests.e2e.test_launcher import Node\n"
        "async def work():\n    node = Node(Path(sys.argv[1]), 'on_term(signal.SIG_IGN); time.sleep(60)')\n"
        "    async with node.launcher:\n        print((await node.start()).pid, flush=True); os.kill(os.getpid(), 9)\n"
        "asyncio.run(work())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not gone(int(done.stdout))

    async def work() -> None:
        node = Node(tmp_path)
        async with node.launcher:
            await node.start()
            assert gone(int(done.stdout))

    run(work())


def test_a_real_job_says_what_is_wrong_with_its_spec(tmp_path: Path):
    async def work() -> Ending:
        async with LocalLauncher(tmp_path / "jobs", tmp_path / "logs") as launcher:
            order = Order("real", 7, "selfplay", b'{"game": "chess_2p"}', tmp_path / "jobs" / "real")
            return await (await launcher.start(order)).wait()

    ending = run(work())
    assert (ending.cause, ending.code) == (Cause.FAILED, 2)
    assert ending.error.startswith("there is no game 'chess_2p'; choose one of ")
