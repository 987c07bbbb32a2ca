"""Axes: order kept, 0 placed, ticks round and inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.evaluation.axes import Scale, compact, round_values, scale_around, scale_from_zero, spread


def test_amounts_that_span_decades_get_a_logarithmic_axis_with_a_place_for_0():
    axis = scale_from_zero([0, 40_000, 30_000_000], 100, 800)
    assert axis.at(0) == 100
    assert 150 < axis.at(40_000) < 200
    assert axis.at(4_000_000) - axis.at(400_000) == pytest.approx(axis.at(40e6) - axis.at(4e6), rel=0.05)
    assert axis.ticks()[:2] == [0.0, 100_000.0] or 20_000 <= axis.ticks()[1] <= 40_000


def test_amounts_of_one_decade_get_a_linear_axis_from_0():
    axis = scale_from_zero([200_000, 400_000], 100, 800)
    assert (axis.knee, axis.at(0)) == (0.0, 100)
    assert axis.at(400_000) - axis.at(200_000) == pytest.approx(axis.at(200_000) - axis.at(0))
    assert axis.ticks() == [0, 100_000, 200_000, 300_000, 400_000]


def test_nothing_but_0_has_an_axis_too():
    assert scale_from_zero([0.0], 0, 10).at(0) == 0
    assert scale_around([5.0], 0, 10, 0.1).at(5) == 5


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=20))
def test_every_amount_lies_on_the_axis_in_its_order(values):
    axis = scale_from_zero(values, 50, 700)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(50 - 1e-6 <= place <= 700 + 1e-6 for place in places)
    assert all(50 - 1e-6 <= axis.at(tick) <= 700 + 1e-6 for tick in axis.ticks())
    assert len(axis.ticks()) < 60


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, 6), (870, 1530, 7), (-0.3, 8.7, 5), (-900, 2500, 7), (1199, 1201, 5)]
)
def test_ticks_are_few_and_round(low, high, ticks):
    values = round_values(low, high)
    assert len(values) == ticks
    assert all(low <= value <= high for value in values)


def test_lines_of_text_are_moved_apart():
    assert spread([100, 104, 300], 14) == [100, 114, 300]
    assert spread([104, 100], 14) == [114, 100]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (12_000, "12 k"), (2_500_000, "2.5 M"), (3e9, "3 G")]
)
def test_numbers_are_short(value, text):
    assert compact(value) == text


def test_a_scale_may_run_upwards():
    assert Scale(0, 1, 300, 100).at(0.25) == 250
