"""Worker processes of a command: what they say, how they end, when a signal is no error."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from ringrift_core.commands.workers import WorkerError, Workers, ended_by_signal, said, torchrun

LISTENING = "import signal, sys, time; {handler}; print('{{}}', flush=True); time.sleep(60)"


class Nothing(BaseModel):
    pass


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """The handlers that a command sets are taken back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def workers(*programs: str) -> Workers:
    """One worker, running a program in place of a job."""
    return Workers([Nothing()], ["-c", *programs])


def interrupted(handler: str, number: int) -> Workers:
    """A worker whose command gets a signal once it has reported."""
    asked = workers(LISTENING.format(handler=handler))

    def on_report(_number: int, _report: dict[str, Any]) -> None:
        threading.Thread(target=lambda: os.kill(os.getpid(), number)).start()

    asked.run(on_report)
    return asked


def test_reports_arrive_in_order_and_what_libraries_print_is_passed_over():
    found: list[dict[str, Any]] = []
    workers("print('NCCL version 2'); [print('{\"n\": %d}' % i) for i in range(3)]").run(
        lambda _number, report: found.append(report)
    )
    assert found == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('error: no disk')", "no disk"),
        ("import sys; sys.stderr.write('noise\\nerror: no disk\\nmore noise'); sys.exit(2)", "no disk"),
        ("import os; os._exit(3)", "the process ended with exit code 3"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import os; os.kill(os.getpid(), 9)", "the process ended with exit code -9"),
        ("import os; os.kill(os.getpid(), 15)", "the process ended with exit code -15"),  # that we did not send
    ],
)
def test_a_worker_that_fails_is_an_error_in_its_own_words(program, message):
    with pytest.raises(WorkerError, match=message):
        workers(program).run(lambda _number, _report: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "handler",
    [
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))",  # one that listens
        "pass",  # one that does not yet
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('SignalException: got signal 15'))",
    ],
)
def test_a_signal_ends_the_run_without_an_error(handler, number):
    assert interrupted(handler, number).signal == number


def test_an_error_after_the_signal_is_still_one():
    program = "signal.signal(signal.SIGTERM, lambda *_: sys.exit('error: the disk is full\\nSignalException: 15'))"
    with pytest.raises(WorkerError, match="the disk is full"):
        interrupted(program, signal.SIGTERM)


def test_what_ended_by_a_signal():
    assert ended_by_signal(-15, "")
    assert ended_by_signal(-2, "KeyboardInterrupt")
    assert ended_by_signal(1, "x.SignalException: Process 5 got signal: 15")
    assert not ended_by_signal(1, "")
    assert not ended_by_signal(-9, "")
    assert not ended_by_signal(1, "error: no disk\nx.SignalException: Process 5 got signal: 15")


def test_the_first_error_line_is_what_a_worker_said():
    assert said("warning\nerror: first\nerror: second\n", 2) == "first"
    assert said(" all of it ", 2) == "all of it"
    assert said("", 7) == "the process ended with exit code 7"


def test_ranks_import_nothing_from_the_folder_they_are_started_in():
    arguments = torchrun(3)
    assert "--nproc-per-node=3" in arguments
    assert arguments[-4:] == [sys.executable, "-P", "-m", "ringrift_core.jobs"]
    assert "--no-python" in arguments


def test_one_of_several_workers_is_named():
    """And it is the one that failed, not one that was stopped for that."""
    program = "import sys, time; time.sleep(60 * ('job-0' in sys.argv[1])); sys.exit('error: no disk')"
    with pytest.raises(WorkerError, match=r"^worker 1: no disk$"):
        Workers([Nothing(), Nothing()], ["-c", program]).run(lambda _number, _report: None)
