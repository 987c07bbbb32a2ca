"""The loop's clock."""

import pytest

from managers.steady_clock import SteadyClock


class Machine:
    """Two clocks of a machine."""

    def __init__(self, wall: float, monotonic: float = 500.0) -> None:
        self.wall, self.monotonic = wall, monotonic

    def clock(self, at_least: float = 0.0) -> SteadyClock:
        return SteadyClock(at_least, wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_it_goes_with_the_machine():
    machine = Machine(1000.0)
    clock = machine.clock()
    assert clock() == 1000.0
    machine.passes(10)
    assert (clock(), clock.apart_s) == (1010.0, 0.0)


@pytest.mark.parametrize("jump_s", [-5000.0, 3600.0, 1e9])
def test_a_jump_of_the_machines_clock_does_not_move_it_and_is_told(jump_s):
    machine = Machine(1e9)
    clock = machine.clock()
    machine.wall += jump_s
    machine.passes(1)
    assert (clock(), clock.apart_s) == (1e9 + 1, jump_s)


def test_it_goes_on_from_the_latest_time_that_is_known():
    machine = Machine(1000.0)
    clock = machine.clock(at_least=1500.0)
    assert (clock(), clock.apart_s) == (1500.0, -500.0)
    machine.passes(1)
    assert clock() == 1501.0
    assert machine.clock(at_least=900.0)() == 1001.0


def test_it_never_falls():
    machine = Machine(1e9)
    clock = machine.clock()
    seen = []
    for step, jump in ((1.0, 0.0), (0.0, -100.0), (2.0, 1e6), (0.0, -1e6), (0.5, 3.0)):
        machine.passes(step)
        machine.wall += jump
        seen.append(clock())
    assert seen == sorted(seen)
