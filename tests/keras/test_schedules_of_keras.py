"""Schedules that Keras has too equal Keras's own."""

from __future__ import annotations

import keras
import pytest

from spaces.schedules import SCHEDULES

pytestmark = pytest.mark.keras

STEPS = 1000
KERAS = keras.optimizers.schedules
CASES = {
    "exponential": ({"length": 0.5}, KERAS.ExponentialDecay(1.0, 500, 0.1)),
    "power": ({"length": 0.1, "exponent": 1.0}, KERAS.InverseTimeDecay(1.0, 100, 1.0)),
    "piecewise": (
        {"drop": 0.2, "first": 0.5, "second": 0.75},
        KERAS.PiecewiseConstantDecay([499, 749], [1.0, 0.2, 0.04]),
    ),
    "cosine": ({"warmup": 0.0}, KERAS.CosineDecay(1.0, STEPS)),
    "linear": ({"warmup": 0.0}, KERAS.PolynomialDecay(1.0, STEPS, 0.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_equals_keras_own(name: str) -> None:
    """The factor is Keras's at five steps and at the steps around each boundary."""
    numbers, theirs = CASES[name]
    for step in (0, 1, 250, 499, 500, 749, 750, 999):
        ours = SCHEDULES[name].factor(step, STEPS, numbers)
        assert ours == pytest.approx(float(theirs(step)), abs=2e-6), step
