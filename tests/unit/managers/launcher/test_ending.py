"""What is said of a job's end."""

import signal

import pytest

from managers.launcher.ending import LINE_BYTES_MAX, LINES_KEPT, ErrorTail, ending_of, too_large
from managers.ports import Cause


def tail_of(*chunks: bytes) -> ErrorTail:
    tail = ErrorTail()
    for chunk in (*chunks, b""):
        tail.feed(chunk)
    return tail


@pytest.mark.parametrize(
    ("status", "said", "cause", "error"),
    [
        (0, b"a warning", Cause.DONE, ""),
        (2, b"noise\nerror: no disk\nmore\n", Cause.FAILED, "no disk"),
        (1, b"Traceback\n  x\nKeyError: 'x'", Cause.FAILED, "Traceback\n  x\nKeyError: 'x'"),
        (3, b"", Cause.FAILED, "the process ended with exit code 3"),
        (-signal.SIGSEGV, b"", Cause.FAILED, "the process crashed (SIGSEGV)"),
        (-signal.SIGABRT, b"out of cheese", Cause.FAILED, "the process crashed (SIGABRT): out of cheese"),
        (-signal.SIGTERM, b"", Cause.KILLED, "somebody ended the process with SIGTERM"),
        (
            -signal.SIGKILL,
            b"",
            Cause.KILLED,
            "somebody ended the process with SIGKILL; the system may be short of memory",
        ),
        (-63, b"", Cause.KILLED, "somebody ended the process with signal 63"),
    ],
)
def test_an_end_that_nobody_asked_for(status, said, cause, error):
    ending = ending_of(status, 1.5, None, tail_of(said))
    assert (ending.cause, ending.error, ending.cpu_s) == (cause, error, 1.5)
    assert (ending.code, ending.signal) == ((status, None) if status >= 0 else (None, -status))


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (0, Cause.STOPPED),
        (-signal.SIGTERM, Cause.STOPPED),
        (-signal.SIGKILL, Cause.STOPPED),
        (2, Cause.FAILED),
        (-signal.SIGSEGV, Cause.FAILED),
    ],
)
def test_a_job_that_was_stopped_has_failed_only_by_an_error_of_its_own(status, cause):
    assert ending_of(status, 0.0, (Cause.STOPPED, ""), tail_of(b"error: disk full")).cause is cause


@pytest.mark.parametrize("status", [0, 2, -signal.SIGKILL])
def test_why_we_ended_a_job_counts_more_than_what_it_said(status):
    ending = ending_of(status, 0.0, (Cause.MEMORY, "too large"), tail_of(b"error: x"))
    assert (ending.cause, ending.error) == (Cause.MEMORY, "too large")


def test_the_first_error_line_counts_however_it_arrives():
    assert tail_of(b"err", b"or: fi", b"rst\nerror: second\n").text() == "first"


def test_the_words_are_bounded_and_printable():
    text = tail_of(*[b"\x1b[31m%d \xff\t" % number + b"x" * 5000 + b"\n" for number in range(500)]).text()
    assert len(text) <= LINES_KEPT * (LINE_BYTES_MAX + 8)
    assert "\x1b" not in text
    assert text.startswith("?[31m480 ")


def test_too_much_memory_is_said_with_both_numbers_and_the_setting():
    assert too_large("selfplay", 5 << 30, 4 << 30).startswith(
        "the job used 5.00 GB of memory, more than the 4.00 GB that jobs.memory_gb_max.selfplay allows: "
    )
