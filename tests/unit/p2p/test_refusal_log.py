"""Refusals in the log: one line each, bounded, and the rest counted."""

import logging

import pytest

from p2p.http.refusal_log import ALL_BURST, PEER_BURST, RefusalLog
from p2p.identity.refusal import Refusal

REFUSAL = Refusal("wrong_token", 401, "no")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_line_has_what_is_needed_escaped_and_cut(caplog: pytest.LogCaptureFixture):
    log = RefusalLog(Clock())
    log.tell(REFUSAL, "GET", "/status\n\x1b[31m é", "192.0.2.1")
    log.tell(REFUSAL, "G\nT" * 20, "/" + "x" * 5000, "192.0.2.1")
    first, second = lines(caplog)
    assert first == r"refused 401 wrong_token: GET '/status\n\x1b[31m \xe9' from 192.0.2.1"
    assert len(second) < 200
    assert all(line.isascii() and line.isprintable() for line in (first, second))


def test_one_peer_gets_so_many_lines_and_the_rest_is_counted_and_told(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    log = RefusalLog(clock)
    for _ in range(1000):
        log.tell(REFUSAL, "GET", "/", "192.0.2.1")
    assert len(lines(caplog)) == PEER_BURST
    log.tell(REFUSAL, "GET", "/", "192.0.2.2")  # others are heard
    assert len(lines(caplog)) == PEER_BURST + 1
    clock.now = 10.0
    log.tell(REFUSAL, "GET", "/", "192.0.2.1")
    assert lines(caplog)[-1].endswith(f"from 192.0.2.1 ({1000 - int(PEER_BURST)} before it not written)")
    assert log.unwritten == 0


def test_many_peers_together_get_so_many_lines_and_memory_is_bounded(caplog: pytest.LogCaptureFixture):
    log = RefusalLog(Clock(), peers_max=10)
    count = 5000
    for number in range(count):
        log.tell(REFUSAL, "GET", "/", f"10.0.{number // 250}.{number % 250}")
    assert len(lines(caplog)) == ALL_BURST
    assert len(log._heard) == 10
    assert log.unwritten == count - ALL_BURST
    log.flush()
    assert lines(caplog)[-1] == f"refused {count - int(ALL_BURST)} more requests without a line each"
    log.flush()
    assert len(lines(caplog)) == ALL_BURST + 1


def test_addresses_of_one_network_of_version_6_are_one_peer(caplog: pytest.LogCaptureFixture):
    log = RefusalLog(Clock())
    for number in range(100):
        log.tell(REFUSAL, "GET", "/", f"2001:db8::{number:x}")
    assert len(lines(caplog)) == PEER_BURST
    assert "from 2001:db8::/64" in caplog.text


def test_a_clock_that_stands_or_goes_back_breaks_nothing(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    log = RefusalLog(clock)
    for now in (0.0, -5.0, 3.0):
        clock.now = now
        log.tell(REFUSAL, "GET", "/", "192.0.2.1")
    assert len(lines(caplog)) == 3
    assert caplog.records[0].levelno == logging.WARNING
