"""The circuit breaker against a dumb one that keeps all that ever happened and thinks anew each time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from managers.circuit_breaker import Circuit, CircuitBreaker
from tests.property import SCALE

TARGETS = st.sampled_from(["a", "b"])
RESET_S = 10


class DumbBreaker:
    """Goes through the whole history of a target, event by event."""

    def __init__(self, threshold: int, calls: int) -> None:
        self.threshold, self.calls = threshold, calls
        self.history: list[tuple[int, str, str]] = []

    def stands(self, target: str, now: int) -> tuple[str, int, bool]:
        """Circuit, failures in a row, whether a call may go through."""
        failures = 0
        opened: int | None = None
        tries: list[int] = []
        for at, who, what in self.history:
            if who != target:
                continue
            half = opened is not None and at >= opened + RESET_S
            if what == "tried" and half:
                tries = [it for it in tries if tries[-1] > at - RESET_S] + [at]
            elif what == "failure" and (opened is None or half):
                failures += 1
                if half or failures >= self.threshold:
                    opened, tries = at, []
            elif what == "success" and (opened is None or half):
                failures, opened, tries = 0, None, []
        if opened is None:
            return "closed", failures, True
        if now < opened + RESET_S:
            return "open", failures, False
        return "half_open", failures, len(tries) < self.calls or tries[-1] <= now - RESET_S


class Breakers(RuleBasedStateMachine):
    """Both are told the same."""

    now = 0
    threshold, calls = 3, 1

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(self.threshold, RESET_S, self.calls, lambda: self.now)
        self.dumb = DumbBreaker(self.threshold, self.calls)

    @rule(seconds=st.sampled_from([1, 3, 9, 10, 11]))
    def waits(self, seconds: int) -> None:
        self.now += seconds

    @rule(who=TARGETS)
    def asks(self, who: str) -> None:
        expected = self.dumb.stands(who, self.now)[2]
        assert self.breaker.can_execute(who) is expected
        if expected:
            self.dumb.history.append((self.now, who, "tried"))

    @rule(who=TARGETS, what=st.sampled_from(["success", "failure", "failure"]))
    def reports(self, who: str, what: str) -> None:
        if what == "success":
            self.breaker.record_success(who)
        else:
            self.breaker.record_failure(who, "why")
        self.dumb.history.append((self.now, who, what))

    @precondition(
        lambda self: (
            self.breaker.status() == () or all(it.circuit is not Circuit.HALF_OPEN for it in self.breaker.status())
        )
    )
    @rule()
    def restarts(self) -> None:
        again = CircuitBreaker(self.threshold, RESET_S, self.calls, lambda: self.now)
        again.restore(self.breaker.rows(wall=1e9), wall=1e9)
        self.breaker = again

    @invariant()
    def agree(self) -> None:
        for target in ("a", "b"):
            circuit, failures, _ = self.dumb.stands(target, self.now)
            assert self.breaker.circuit(target) == circuit
            told = {it.target: it.failures for it in self.breaker.status()}
            assert told.get(target, 0) == failures
        assert self.breaker.can_execute() is all(self.dumb.stands(it, self.now)[2] for it in ("a", "b"))


class ManyCalls(Breakers):
    """Several calls are tried, one failure is enough."""

    threshold, calls = 1, 3


TestBreakers = Breakers.TestCase
TestBreakers.settings = settings(max_examples=40 * SCALE, stateful_step_count=40, deadline=None)
TestManyCalls = ManyCalls.TestCase
TestManyCalls.settings = TestBreakers.settings
