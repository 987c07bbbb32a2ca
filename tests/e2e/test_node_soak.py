"""The soak of a node judges samples: what grows is found, what swings is not."""

import random
from collections.abc import Callable

import pytest

from tests.e2e.node_soak import Sample, grown, judged, rise_of

SECONDS = 1200


def samples(**shapes: Callable[[int], float]) -> list[Sample]:
    plain = {"rss_mib": 150.0, "descriptors": 60, "threads": 9, "tasks": 30.0}
    return [
        Sample(at_s=at, **{**plain, **{name: shape(at) for name, shape in shapes.items()}})  # type: ignore[arg-type]
        for at in range(SECONDS)
    ]


@pytest.mark.parametrize(
    ("name", "per_s"), [("rss_mib", 0.05), ("descriptors", 0.05), ("threads", 0.05), ("tasks", 0.05)]
)
def test_what_grows_slowly_under_noise_is_found(name: str, per_s: float):
    chance = random.Random(1)
    assert grown(judged(samples(**{name: lambda at: 100 + per_s * at + chance.gauss(0, 10)}))) == [name]


def test_what_swings_or_grows_at_the_beginning_only_is_no_growth():
    chance = random.Random(1)
    swinging = samples(
        rss_mib=lambda at: min(at, 150) + chance.gauss(0, 3), descriptors=lambda _at: chance.randint(20, 250)
    )
    assert grown(judged(swinging)) == []


def test_the_rise_of_a_line_is_that_of_the_line():
    found = rise_of([0.0, 1.0, 2.0, 5.0], [3.0, 5.0, 7.0, 13.0])
    assert found == pytest.approx((10.0, 0.0))


def test_two_samples_make_no_line():
    with pytest.raises(ValueError, match="2 samples"):
        rise_of([0.0, 1.0], [1.0, 1.0])
