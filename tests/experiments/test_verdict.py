"""When the report calls a difference one: the interval over users and the t-test over seeds, by hand."""

import pytest

from experiments.report.claims import verdict
from experiments.report.entries import Comparison


def compared(difference, low, high, p, seeds=3):
    return Comparison("other", difference, p, low, high, seeds)


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.001, 0.003, 0.01, "better"),  # both say so
        (0.001, 0.003, 0.05, "no different"),  # the seeds do not
        (0.001, 0.003, 0.0499, "better"),
        (0.001, 0.003, 0.9, "no different"),
        (-0.001, 0.005, 0.01, "no different"),  # the users do not
        (0.0, 0.004, 0.01, "no different"),
        (1e-9, 0.004, 0.01, "better"),
        (-0.001, 0.005, 0.9, "no different"),  # neither does
        (0.001, 0.003, None, "better"),  # every seed has the same difference
        (-0.001, 0.005, None, "no different"),
        (None, None, 0.01, "not known"),
        (None, 0.003, 0.01, "not known"),
        (0.001, None, 0.01, "not known"),
    ],
)
def test_a_difference_needs_the_interval_and_the_test(low, high, p, expected):
    assert compared(0.002, low, high, p).verdict == expected
    mirrored = {"better": "worse"}.get(expected, expected)
    turned = compared(-0.002, None if high is None else -high, None if low is None else -low, p)
    assert turned.verdict == mirrored


def test_one_seed_tells_nothing():
    assert compared(0.002, 0.001, 0.003, None, seeds=1).verdict == "not known"
    assert compared(0.002, 0.001, 0.003, 0.01, seeds=2).verdict == "better"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (compared(0.002, 0.001, 0.003, 0.01), "holds"),
        (compared(0.002, 0.001, 0.003, 0.2), "is not shown"),
        (compared(-0.002, -0.003, -0.001, 0.01), "is reversed"),
        (compared(0.002, None, None, 0.01), "is open"),
    ],
)
def test_what_the_claims_are_said_to_be(found, words):
    assert verdict(found).text == words
