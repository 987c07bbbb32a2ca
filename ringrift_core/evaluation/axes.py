"""Axes of pictures: where a value lies, and which values are worth a tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

TICKS = 7  # at most so many, and one more
DECADES_MIN = 1.5  # positive values that span so many powers of ten get a logarithmic axis
MANY_DECADES = 3


@dataclass(frozen=True, slots=True)
class Scale:
    """A map of values to px, linear or logarithmic above a knee; 0 has its place on both."""

    low: float  # of the values shown
    high: float
    start: float  # px
    end: float  # px
    knee: float = 0.0  # 0: linear; else the least positive value, below which the axis is nearly linear

    def at(self, value: float) -> float:
        """Where the value lies, px."""
        low, high = self._bend(self.low), self._bend(self.high)
        return self.start + (self.end - self.start) * (self._bend(value) - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values from low to high."""
        if not self.knee:
            return round_values(self.low, self.high)
        decades = log10(self.high / self.knee)
        steps = (1,) if decades >= MANY_DECADES else (1, 2, 5)
        powers = range(floor(log10(self.knee)), ceil(log10(self.high)) + 1)
        found = [0.0, *(float(step * 10**power) for power in powers for step in steps)]
        return [value for value in found if self.low <= value <= self.high and (value == 0 or value >= self.knee / 2)]

    def _bend(self, value: float) -> float:
        return log10(1 + value / self.knee) if self.knee else value


def scale_from_zero(values: Sequence[float], start: float, end: float) -> Scale:
    """The axis of amounts >= 0: logarithmic where they span decades, with 0 on it where one is 0 or it is linear."""
    positive = [value for value in values if value > 0]
    high = max(positive, default=1.0)
    knee = min(positive, default=1.0)
    if log10(high / knee) < DECADES_MIN:
        return Scale(0.0, high * 1.04, start, end)
    return Scale(0.0 if min(values) <= 0 else knee * 0.8, high * 1.2, start, end, knee)


def scale_around(values: Sequence[float], start: float, end: float, room: float) -> Scale:
    """A linear axis with `room` (a share of its length) beyond the least and the greatest value."""
    low, high = min(values), max(values)
    spare = (high - low) * room or 1.0
    return Scale(low - spare, high + spare, start, end)


def round_values(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between the two."""
    rough = (high - low) / TICKS
    power = 10 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [number * step for number in range(ceil(low / step), floor(high / step) + 1)]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places moved apart to at least `gap`, in their order, as little as a sweep in one direction allows."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    return moved


def compact(value: float) -> str:
    """A number of things in few letters: 950, 12 k, 2.5 M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g} {letter}"
    return f"{value:.3g}"
