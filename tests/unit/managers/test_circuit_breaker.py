"""The circuit breaker, sentence by sentence."""

import pytest

from managers.circuit_breaker import TARGETS_MAX, BreakerRow, BreakerStatus, Circuit, CircuitBreaker
from ringrift_core.errors import RulesError


class Clock:
    """Moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=3, reset_timeout_seconds=300, clock=clock)


def fail(breaker: CircuitBreaker, times: int = 3, target: str = "training") -> None:
    for _ in range(times):
        breaker.record_failure(target, "why")


def test_the_documents_defaults_are_three_failures_and_five_minutes():
    breaker = CircuitBreaker()
    fail(breaker, 2)
    assert breaker.can_execute("training")
    fail(breaker, 1)
    assert not breaker.can_execute("training")
    assert 299 < breaker.status()[0].retry_in_s <= 300


def test_failures_count_only_in_a_row(breaker: CircuitBreaker):
    fail(breaker, 2)
    breaker.record_success("training")
    fail(breaker, 2)
    assert breaker.circuit("training") is Circuit.CLOSED


def test_an_open_circuit_lets_nothing_through_until_its_time_is_over(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    clock.now += 299.9
    assert (breaker.circuit("training"), breaker.can_execute("training")) == (Circuit.OPEN, False)
    clock.now += 0.2
    assert (breaker.circuit("training"), breaker.can_execute("training")) == (Circuit.HALF_OPEN, True)


def test_half_open_one_call_is_tried_and_its_success_closes_the_circuit(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    clock.now += 300
    assert [breaker.can_execute("training") for _ in range(3)] == [True, False, False]
    breaker.record_success("training")
    assert breaker.circuit("training") is Circuit.CLOSED
    assert breaker.status() == ()


def test_half_open_one_failure_opens_it_again(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    clock.now += 300
    breaker.can_execute("training")
    fail(breaker, 1)
    assert breaker.status() == (BreakerStatus("training", Circuit.OPEN, 4, "why", 300.0),)


def test_a_tried_call_that_is_never_reported_does_not_last(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    clock.now += 300
    assert breaker.can_execute("training")
    clock.now += 299
    assert not breaker.can_execute("training")
    clock.now += 1
    assert breaker.can_execute("training")
    assert not breaker.can_execute("training")


def test_what_is_reported_of_an_open_circuit_changes_nothing(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    clock.now += 100
    fail(breaker, 5)
    breaker.record_success("training")
    assert breaker.status() == (BreakerStatus("training", Circuit.OPEN, 3, "why", 200.0),)


def test_targets_do_not_hinder_each_other(breaker: CircuitBreaker):
    fail(breaker)
    assert breaker.can_execute("gauntlet")
    assert not breaker.can_execute()


def test_without_a_target_nothing_is_counted_as_tried(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    assert not breaker.can_execute()
    clock.now += 300
    assert breaker.can_execute()
    assert breaker.can_execute("training")
    assert not breaker.can_execute()


def test_targets_are_bounded_and_open_ones_stay_longest(breaker: CircuitBreaker, clock: Clock):
    fail(breaker, target="open")
    for number in range(TARGETS_MAX + 10):
        clock.now += 0.001
        fail(breaker, 1, f"t{number}")
    told = {it.target for it in breaker.status()}
    assert len(told) == TARGETS_MAX
    assert {"open", f"t{TARGETS_MAX + 9}"} <= told
    assert "t0" not in told


def test_a_reason_is_one_line_and_a_name_is_not_too_long(breaker: CircuitBreaker):
    breaker.record_failure("a", "two\nlines\x1b" + "x" * 1000)
    assert breaker.status()[0].reason.startswith("two lines?xxx")
    assert len(breaker.status()[0].reason) <= 300
    with pytest.raises(RulesError, match="at most 200 letters"):
        breaker.record_failure("x" * 201, "")
    assert breaker.can_execute("x" * 201)


@pytest.mark.parametrize(
    "numbers", [(0, 1.0, 1), (1, 0.0, 1), (1, -1.0, 1), (1, float("inf"), 1), (1, float("nan"), 1), (1, 1.0, 0)]
)
def test_numbers_that_make_no_breaker_are_refused(numbers):
    with pytest.raises(RulesError, match="no circuit breaker"):
        CircuitBreaker(*numbers)


def test_a_restart_forgives_nothing_and_lengthens_nothing(breaker: CircuitBreaker, clock: Clock):
    fail(breaker)
    fail(breaker, 2, "gauntlet")
    clock.now += 100
    rows = breaker.rows(wall=5000.0)
    assert rows == (BreakerRow("gauntlet", 2, "why", None), BreakerRow("training", 3, "why", 5200.0))
    other = Clock()
    other.now = 7.0
    later = CircuitBreaker(clock=other)
    later.restore(rows, wall=5050.0)
    assert later.status()[1] == BreakerStatus("training", Circuit.OPEN, 3, "why", 150.0)
    fail(later, 1, "gauntlet")
    assert later.circuit("gauntlet") is Circuit.OPEN


def test_a_clock_that_was_set_back_keeps_nobody_out_for_long(clock: Clock):
    breaker = CircuitBreaker(clock=clock)
    breaker.restore([BreakerRow("a", 3, "", 1e12), BreakerRow("b", 3, "", 0.0)], wall=5000.0)
    assert [it.retry_in_s for it in breaker.status()] == [300.0, 0.0]
    assert breaker.circuit("b") is Circuit.HALF_OPEN
