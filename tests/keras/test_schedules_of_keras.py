"""Schedules that Keras also has equal Keras's own."""

from __future__ import annotations

import keras
import pytest

from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.rates import RateMaker

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
    """The factor equals Keras's at five steps and at the steps around each boundary."""
    numbers, theirs = CASES[name]
    for step in (0, 1, 250, 499, 500, 749, 750, 999):
        ours = SCHEDULES[name].factor(step, STEPS, numbers)
        assert ours == pytest.approx(float(theirs(step)), abs=2e-6), step


def test_the_cosine_behind_a_warm_up_equals_keras_own() -> None:
    """After the warm-up the factor equals Keras's; the warm-up itself is linear."""
    theirs = KERAS.CosineDecay(0.0, 800, warmup_target=1.0, warmup_steps=200)
    factor = SCHEDULES["cosine"].factor
    for step in (200, 201, 400, 600, 800, 999):
        ours = factor(step, STEPS, {"warmup": 0.2})
        assert ours == pytest.approx(float(theirs(step)), abs=2e-6), step
    climb = [factor(step, STEPS, {"warmup": 0.2}) for step in range(200)]
    assert climb == pytest.approx([(step + 1) / 201 for step in range(200)])


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_performance_scheduling_equals_keras_own(patience: int) -> None:
    """Over ten epochs of falling, stalling and rising losses the rates are ReduceLROnPlateau's."""
    losses = [1.0, 0.9, 0.9, 0.95, 0.8, 0.81, 0.82, 0.83, 0.7999, 0.9]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.4))
    theirs = keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=patience, min_delta=0.0)
    theirs.set_model(model)
    theirs.on_train_begin()
    numbers = {"schedule__factor": 0.3, "schedule__patience": patience / len(losses)}
    stack = Stack.of(schedule="performance", optimizer__learning_rate=0.4, **numbers)
    ours = RateMaker(stack, steps_per_epoch=1, epochs=len(losses))
    seen = []
    for epoch, loss in enumerate(losses):
        theirs.on_epoch_end(epoch, {"val_loss": loss})
        ours.saw(loss)
        seen.append(float(model.optimizer.learning_rate.numpy()))
        assert float(ours.rates(epoch + 1)[0]) == pytest.approx(seen[-1]), epoch
    assert len(set(seen)) > 1, "the rate never moved"
