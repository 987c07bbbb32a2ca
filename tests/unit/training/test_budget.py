"""The budget: samples per row ever made, counted along the ancestors."""

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.training.budget import steps_of_run


def steps(**changes) -> int:
    given = {"rows_total": 10_000, "window": 10_000, "samples_before": 0, "batch": 100, "passes": 4.0, "wanted": 0}
    return steps_of_run(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 200),  # twice over the window
        ({"window": 5_000}, 100),
        ({"samples_before": 20_000}, 200),
        ({"samples_before": 30_000}, 100),  # what is left of 40,000
        ({"samples_before": 39_900}, 1),
        ({"passes": 1.0}, 100),
        ({"passes": 0.015}, 1),
        ({"wanted": 400}, 400),  # all that is allowed
        ({"wanted": 1}, 1),
        ({"samples_before": 39_800, "wanted": 2}, 2),
        ({"window": 30}, 1),  # never none
        ({"rows_total": 100, "window": 100, "batch": 64}, 3),
    ],
)
def test_a_run_makes_as_many_steps_as_the_rows_allow(changes, expected):
    assert steps(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wanted": 401}, "10000 rows allow 400 steps of 100 after the 0 samples that this net and its ancestors have"),
        ({"samples_before": 39_901}, "10000 rows allow 0 steps of 100 after the 39901 samples"),
        ({"samples_before": 10**12}, "allow 0 steps"),
        (
            {"rows_total": 20, "window": 20},
            r"20 rows allow 0 steps of 100 .*\(4 passes per row\): make new games first",
        ),
        ({"passes": 0.5, "wanted": 51}, r"\(0.5 passes per row\): make new games first, or raise --passes"),
    ],
)
def test_a_run_that_would_wear_the_rows_out_is_refused_with_what_to_do(changes, message):
    with pytest.raises(RulesError, match=message):
        steps(**changes)


def test_a_chain_of_short_runs_gets_no_more_than_one_long_run():
    made = 0
    for _ in range(100):
        try:
            made += steps(samples_before=100 * made, wanted=7)
        except RulesError:
            break
    assert made == 399  # 57 runs of 7, of the 400 steps that one run gets
