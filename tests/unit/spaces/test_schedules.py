"""Every schedule equals its formula, computed by hand at five points."""

from __future__ import annotations

import math

import pytest

from trainstack.spaces.schedules import SCHEDULES, one_cycle_momentum

STEPS = 1000
CASES = {
    "constant": ({}, {0: 1, 250: 1, 500: 1, 750: 1, 999: 1}),
    "power": (
        {"length": 0.1, "exponent": 1.0},
        {0: 1, 100: 1 / 2, 200: 1 / 3, 300: 1 / 4, 900: 1 / 10},
    ),
    "exponential": (
        {"length": 0.5},
        {0: 1, 125: 10**-0.25, 250: 10**-0.5, 500: 0.1, 999: 10 ** (-999 / 500)},
    ),
    "piecewise": (
        {"drop": 0.1, "first": 0.5, "second": 0.75},
        {0: 1, 499: 1, 500: 0.1, 749: 0.1, 750: 0.01},
    ),
    "performance": ({"factor": 0.5, "patience": 2}, {0: 1, 250: 1, 500: 1, 750: 1, 999: 1}),
    "1cycle": (
        {"divide": 10.0, "rise": 0.4},
        {0: 0.1, 200: 0.55, 400: 1.0, 650: 0.55, 950: 0.1 * (1 + 0.01) / 2},
    ),
    "cosine": (
        {"warmup": 0.0},
        {0: 1, 250: (1 + math.sqrt(0.5)) / 2, 500: 0.5, 750: (1 - math.sqrt(0.5)) / 2, 999: 0},
    ),
    "linear": ({"warmup": 0.2}, {0: 1 / 201, 99: 100 / 201, 200: 1, 600: 0.5, 800: 0.25}),
    # Two cycles: 1 + 3t is √2, 2 and 2√2 at the first peak, between them, and at the second peak.
    "coslog": (
        {"cycles": 2},
        {
            0: 0,
            (2**0.5 - 1) / 3 * STEPS: 1,
            1 / 3 * STEPS: 0,
            (8**0.5 - 1) / 3 * STEPS: 1,
            (2**1.75 - 1) / 3 * STEPS: 0.5,
        },
    ),
    "flat_cosine": (
        {"flat": 0.2},
        {0: 1, 199: 1, 200: 1, 400: (1 + math.sqrt(0.5)) / 2, 600: 0.5},
    ),
}
# The values of pytabkit 1.8.0: `get_schedule(name).call_time_(step / 1000)` for "coslog4" and
# "flat_cos", whose steps count from 0, too.
PYTABKIT = {
    "coslog": (
        {"cycles": 4},
        {
            0: 0.0,
            1: 0.0045467175068806265,
            40: 0.7183546884620606,
            250: 0.49348927546479743,
            999: 1.807157773348056e-05,
        },
    ),
    "flat_cosine": (
        {"flat": 0.5},
        {0: 1.0, 499: 1.0, 500: 1.0, 600: 0.9045084971874737, 999: 9.869571931497845e-06},
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_equals_its_formula(name: str) -> None:
    """The factor at five points is the formula's, computed by hand."""
    numbers, points = CASES[name]
    assert len(points) == 5
    for step, factor in points.items():
        found = SCHEDULES[name].factor(step, STEPS, numbers)
        assert found == pytest.approx(factor, abs=1e-5), step


@pytest.mark.parametrize("name", PYTABKIT)
def test_a_schedule_of_realmlp_equals_pytabkits(name: str) -> None:
    """At every step the factor is that of the implementation of its paper."""
    numbers, points = PYTABKIT[name]
    for step, factor in points.items():
        found = SCHEDULES[name].factor(step, STEPS, numbers)
        assert found == pytest.approx(factor, rel=1e-9, abs=1e-12), step


def test_one_cycle_moves_the_momentum_against_the_rate() -> None:
    """Momentum falls from 0.95 to 0.85 while the rate rises, and returns."""
    numbers = {"divide": 10.0, "rise": 0.4}
    at = lambda step: one_cycle_momentum(step, STEPS, numbers)  # noqa: E731 - a short name
    assert [at(0), at(400), at(650), at(950)] == pytest.approx([0.95, 0.85, 0.90, 0.95])
