"""CircuitBreaker: who failed again and again is left alone for a while, then tried with few calls.

    breaker = CircuitBreaker(failure_threshold=3, reset_timeout_seconds=300)
    if breaker.can_execute("training"):
        ...
        breaker.record_success("training")  # or record_failure("training", "why")

Each target has its own circuit. CLOSED: calls go through; so many failures in a row open it. OPEN: none goes through
until the time is over. HALF_OPEN: so many go through as are to be tried; one success closes the circuit, one failure
opens it again. A call that is tried and never reported counts for nothing after the same time, so no verdict lasts.
What is reported of a circuit that is open was begun before it opened and changes nothing. Pure but for the clock.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from managers.line import one_line
from ringrift_core.errors import RulesError

FAILURE_THRESHOLD = 3
RESET_TIMEOUT_S = 300.0
TARGETS_MAX = 1024  # of which failures are remembered
TARGET_LETTERS_MAX = 200


class Circuit(StrEnum):
    """What a target may expect."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A target that has failed lately."""

    target: str
    circuit: Circuit
    failures: int  # in a row
    reason: str  # of the last one
    retry_in_s: float  # until a call is tried; 0 when it may be now


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """The same as it is kept on the disk."""

    target: str
    failures: int
    reason: str
    retry_at: float | None  # unix seconds; None: the circuit is closed


@dataclass(slots=True)
class _Record:
    failures: int
    reason: str
    failed_at: float
    retry_at: float | None = None  # None: closed
    tried: int = 0  # calls that went through since retry_at
    tried_at: float = 0.0  # the last of them


class CircuitBreaker:
    """The circuits of one kind of call; on one thread."""

    def __init__(
        self,
        failure_threshold: int = FAILURE_THRESHOLD,
        reset_timeout_seconds: float = RESET_TIMEOUT_S,
        half_open_calls: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds that never fall. RulesError for numbers that make no breaker."""
        sound = failure_threshold >= 1 and half_open_calls >= 1 and 0 < reset_timeout_seconds < math.inf
        if not sound:
            raise RulesError(
                f"no circuit breaker: failure_threshold={failure_threshold}, reset_timeout_seconds="
                f"{reset_timeout_seconds}, half_open_calls={half_open_calls}; write numbers above 0"
            )
        self._threshold = failure_threshold
        self._reset_s = reset_timeout_seconds
        self._half_open_calls = half_open_calls
        self._clock = clock
        self._records: dict[str, _Record] = {}  # of those that failed since their last success

    def can_execute(self, target: str | None = None) -> bool:
        """Whether a call may go through now; one that may while half open is counted as tried.

        Without a target: whether no circuit stands in the way; nothing is counted.
        """
        now = self._clock()
        if target is None:
            return all(self._lets_through(record, now) for record in self._records.values())
        record = self._records.get(target)
        if record is None or record.retry_at is None:
            return True
        if not self._lets_through(record, now):
            return False
        record.tried = 1 if self._forgotten(record, now) else record.tried + 1
        record.tried_at = now
        return True

    def record_success(self, target: str) -> None:
        """A call went well."""
        record = self._records.get(target)
        if record is not None and self._circuit(record, self._clock()) is not Circuit.OPEN:
            del self._records[target]

    def record_failure(self, target: str, reason: str = "") -> None:
        """A call failed. RulesError for a target whose name is too long."""
        if len(target) > TARGET_LETTERS_MAX:
            raise RulesError(f"a target has a name of at most {TARGET_LETTERS_MAX} letters, not {target[:60]!r}...")
        now, record = self._clock(), self._records.get(target)
        if record is None:
            self._make_room()
            record = self._records[target] = _Record(0, "", now)
        circuit = self._circuit(record, now)
        if circuit is Circuit.OPEN:
            return
        record.failures, record.reason, record.failed_at = record.failures + 1, one_line(reason), now
        if circuit is Circuit.HALF_OPEN or record.failures >= self._threshold:
            record.retry_at, record.tried = now + self._reset_s, 0

    def forget(self, target: str) -> None:
        """The target is not what failed any more: its circuit is as if it had never been called."""
        self._records.pop(target, None)

    def circuit(self, target: str) -> Circuit:
        """How a target's circuit stands now."""
        record = self._records.get(target)
        return Circuit.CLOSED if record is None else self._circuit(record, self._clock())

    def status(self) -> tuple[BreakerStatus, ...]:
        """Every target that has failed since its last success, by name."""
        now = self._clock()
        return tuple(
            BreakerStatus(target, self._circuit(it, now), it.failures, it.reason, max(0.0, (it.retry_at or now) - now))
            for target, it in sorted(self._records.items())
        )

    def rows(self, wall: float) -> tuple[BreakerRow, ...]:
        """All of it for the disk; `wall` is the time now in unix seconds."""
        now = self._clock()
        return tuple(
            BreakerRow(target, it.failures, it.reason, None if it.retry_at is None else wall + it.retry_at - now)
            for target, it in sorted(self._records.items())
        )

    def restore(self, rows: Iterable[BreakerRow], wall: float) -> None:
        """Take over what an earlier life has kept; none waits for longer than the time of this breaker."""
        now = self._clock()
        for row in list(rows)[:TARGETS_MAX]:
            left_s = None if row.retry_at is None else min(max(row.retry_at - wall, 0.0), self._reset_s)
            retry_at = None if left_s is None else now + left_s
            self._records[row.target] = _Record(max(row.failures, 1), one_line(row.reason), now, retry_at)

    def _circuit(self, record: _Record, now: float) -> Circuit:
        if record.retry_at is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < record.retry_at else Circuit.HALF_OPEN

    def _lets_through(self, record: _Record, now: float) -> bool:
        match self._circuit(record, now):
            case Circuit.CLOSED:
                return True
            case Circuit.OPEN:
                return False
            case Circuit.HALF_OPEN:
                return record.tried < self._half_open_calls or self._forgotten(record, now)

    def _forgotten(self, record: _Record, now: float) -> bool:
        """Whether the calls that were tried are given up."""
        return record.tried > 0 and now - record.tried_at >= self._reset_s

    def _make_room(self) -> None:
        """Forget the target that matters least: closed before open, the earliest failure first."""
        if len(self._records) >= TARGETS_MAX:
            least = min(self._records, key=lambda it: (self._records[it].retry_at or 0.0, self._records[it].failed_at))
            del self._records[least]
