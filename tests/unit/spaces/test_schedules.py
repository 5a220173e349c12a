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
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_equals_its_formula(name: str) -> None:
    """The factor at five points is the formula's, computed by hand."""
    numbers, points = CASES[name]
    assert len(points) == 5
    for step, factor in points.items():
        found = SCHEDULES[name].factor(step, STEPS, numbers)
        assert found == pytest.approx(factor, abs=1e-5), step


def test_one_cycle_moves_the_momentum_against_the_rate() -> None:
    """Momentum falls from 0.95 to 0.85 while the rate rises, and returns."""
    numbers = {"divide": 10.0, "rise": 0.4}
    at = lambda step: one_cycle_momentum(step, STEPS, numbers)  # noqa: E731 - a short name
    assert [at(0), at(400), at(650), at(950)] == pytest.approx([0.95, 0.85, 0.90, 0.95])
