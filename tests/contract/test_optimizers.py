"""Every optimizer's first step follows its formula. Each has a line here."""

from __future__ import annotations

import math

import pytest

from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.stack import Stack

pytestmark = pytest.mark.keras

# One weight, its gradient, the learning rate.
W, G, RATE = 0.8, 0.5, 0.01
# Nadam's first two momenta (Dozat 2016): β₁ (1 - 0.96^t / 2).
_U1, _U2 = (0.9 * (1 - 0.96**t / 2) for t in (1, 2))
_ADAM = -RATE * math.copysign(1, G)
# AdaGrad's and FTRL's sum of squares starts at 0.1.
_SUM = 0.1 + G * G

# Name → change of the weight by the first step, with the other numbers' defaults.
STEPS = {
    "sgd": -RATE * G,
    "momentum": -RATE * G,
    "nesterov": -RATE * G * (1 + 0.9),
    "adagrad": -RATE * G / math.sqrt(_SUM),
    "rmsprop": -RATE * G / math.sqrt((1 - 0.9) * G * G),
    "adam": _ADAM,
    "adamax": _ADAM,
    "nadam": -RATE * (_U2 * (1 - 0.9) * G / (1 - _U1 * _U2) + G) / G,
    "adamw": _ADAM - RATE * 0.004 * W,
    "ftrl": -(G - (math.sqrt(_SUM) - math.sqrt(0.1)) / RATE * W) * RATE / math.sqrt(_SUM) - W,
}


def test_every_optimizer_has_a_step() -> None:
    """STEPS has exactly the optimizers of the table."""
    assert set(STEPS) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_first_step_is_its_formula(name: str) -> None:
    """The Keras object of the builder changes a weight by the formula."""
    import keras

    from trainstack.workers.engine.build import make_optimizer

    weight = keras.Variable([W])
    stack = Stack.of(optimizer=name, optimizer__learning_rate=RATE)
    make_optimizer(stack).apply([keras.ops.convert_to_tensor([G])], [weight])
    assert float(weight.numpy()[0]) - W == pytest.approx(STEPS[name], rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_takes_every_number_of_its_row(name: str) -> None:
    """Each parameter of the row, set to another value than its default, reaches Keras."""
    from trainstack.workers.engine.build import make_optimizer

    row = OPTIMIZERS[name]
    others = {p.name: (p.default + p.low) / 2 + 1e-4 for p in row.parameters}
    stack = Stack.of(optimizer=name, **{f"optimizer__{k}": v for k, v in others.items()})
    config = make_optimizer(stack).get_config()
    for argument, parameter in row.call.numbers.items():
        assert config[argument] == pytest.approx(others[parameter])
    for argument, value in row.call.arguments.items():
        assert config[argument] == value
