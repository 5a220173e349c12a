"""Averages of the weights: what they are, and that they are measured and kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.engine_stacks import (
    BASE,
    BATCH,
    CLASSES,
    FEATURES,
    ROWS,
    SEED,
    made_up_data,
    program_of,
    splits,
)
from trainstack.search.data.inputs import Inputs
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import make_optimizer, plain_model
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.bundle_data import BundleData
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import Training, batch_order
from trainstack.workers.engine.turns import Turns

pytestmark = pytest.mark.keras

EPOCHS = 4
STEPS = ROWS // BATCH
AVERAGED = {
    "exponential": {"averaging": "exponential", "averaging__decay": 0.9},
    "last": {"averaging": "last", "averaging__share": 0.5},
}
SGD = Stack.of(
    **{"units": [5], "batch_size": BATCH, "activation": "tanh", "initializer": "glorot_normal"},
    **{"optimizer": "sgd", "optimizer__learning_rate": 0.1, "schedule": "constant"},
)
each_averaging = pytest.mark.parametrize("name", AVERAGED)


def orders() -> list[np.ndarray]:
    """Return the batches of each epoch."""
    return [batch_order(SEED, epoch, ROWS, STEPS, BATCH) for epoch in range(1, EPOCHS + 1)]


def data_of() -> DeviceData:
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    return DeviceData(x, y, x, y)


def trained(program: Program, stack: Stack) -> Iterator[float]:
    """Train all epochs; yield the validation loss after each."""
    program.reset(stack, SEED)
    maker = RateMaker(stack, STEPS, EPOCHS)
    for epoch, order in enumerate(orders(), start=1):
        plan = maker.plan(epoch, order, key=epoch)
        yield program.epoch(stack, data_of(), *plan.arguments).valid_loss


def by_hand(start: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield the weights after each step of gradient descent, computed in NumPy."""
    x, y = made_up_data("classification")
    w1, b1, w2, b2 = (w.astype("f8") for w in start)
    for rows in np.concatenate(orders()):
        inputs, truth = x[rows].astype("f8"), np.eye(CLASSES)[y[rows]]
        hidden = np.tanh(inputs @ w1 + b1)
        p = np.exp(hidden @ w2 + b2)
        error = (p / p.sum(axis=1, keepdims=True) - truth) / len(rows)
        below = (error @ w2.T) * (1 - hidden**2)
        changes = inputs.T @ below, below.sum(axis=0), hidden.T @ error, error.sum(axis=0)
        w1, b1, w2, b2 = (w - 0.1 * c for w, c in zip((w1, b1, w2, b2), changes, strict=True))
        yield [w1, b1, w2, b2]


def means_by_hand(name: str, path: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Return the averaged weights after each epoch, from the weights after each step."""
    ends = path[STEPS - 1 :: STEPS]
    if name == "last":  # of four epochs the last two
        both = [(a + b) / 2 for a, b in zip(ends[2], ends[3], strict=True)]
        return [*ends[:3], both]
    mean, found = path[0], []
    for weights in path[1:]:
        mean = [0.9 * m + 0.1 * w for m, w in zip(mean, weights, strict=True)]
        found.append(mean)
    return found[STEPS - 2 :: STEPS]


@each_averaging
def test_the_average_is_the_formulas(name: str) -> None:
    """After each epoch the measured weights are NumPy's average, and training goes on without."""
    stack = SGD.but(**AVERAGED[name])
    program = program_of(stack)
    program.reset(stack, SEED)
    path = list(by_hand(program.weights()))
    means = means_by_hand(name, path)
    for epoch, _ in enumerate(trained(program, stack)):
        for ours, expected in zip(program.measured(), means[epoch], strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
        for ours, expected in zip(program.weights(), path[(epoch + 1) * STEPS - 1], strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_the_moving_average_is_that_of_keras() -> None:
    """It equals the weights that `fit` leaves with an optimizer's `use_ema`."""
    stack = BASE.but(optimizer="adam", schedule="constant", **AVERAGED["exponential"])
    program = program_of(stack)
    program.reset(stack, SEED)
    model: Any = plain_model(stack, Inputs(FEATURES), CLASSES)
    model.set_weights(program.weights())
    for _ in trained(program, stack):
        pass
    optimizer = make_optimizer(stack)
    optimizer.use_ema, optimizer.ema_momentum = True, 0.9
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    x, y = made_up_data("classification")
    rows = np.concatenate(orders()).ravel()
    model.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0)
    for ours, theirs in zip(program.measured(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@each_averaging
@pytest.mark.parametrize("compiled", [False, True])
def test_the_average_is_measured_and_kept(name: str, compiled: bool) -> None:
    """The score is the average's, with batch normalization's averages, and so is the result."""
    stack = BASE.but(normalization="after", **AVERAGED[name])
    program = program_of(stack, compiled=compiled)
    *_, reported = trained(program, stack)
    x, y = made_up_data("classification")
    raw, averaged = program.weights(), program.measured()
    assert all(np.abs(a - b).max() > 1e-6 for a, b in zip(raw, averaged, strict=True))
    program.settle()
    assert program.loss(x, y) == pytest.approx(reported, rel=1e-5)
    program.set_weights(raw)
    assert program.loss(x, y) != pytest.approx(reported, rel=1e-5)
    program.reset(stack, SEED)
    training = Training(program, stack, SEED, EPOCHS, 1.4)
    result = training.run(data_of(), lambda measured: None)
    assert program.loss(x, y) == pytest.approx(result.value, rel=1e-5)


@each_averaging
@pytest.mark.parametrize("kind", ["bundle", "turns"])
def test_each_network_of_several_has_its_average(name: str, kind: str) -> None:
    """With rows of their own, networks have the averages that they have alone."""
    stack = BASE.but(normalization="after", **AVERAGED[name])
    data, program = splits(uneven=True), program_of(stack)

    def plans(epoch: int) -> list[EpochPlan]:
        makers = [RateMaker(stack, split.rows[0] // BATCH, EPOCHS) for split in data]
        return [
            maker.plan(epoch, batch_order(k, epoch, rows, steps, BATCH), key=k)
            for k, (maker, split) in enumerate(zip(makers, data, strict=True))
            for rows, steps in [(split.rows[0], split.rows[0] // BATCH)]
        ]

    expected = []
    for k, split in enumerate(data):
        program.reset(stack, k)
        for epoch in range(1, EPOCHS + 1):
            program.epoch(stack, split, *plans(epoch)[k].arguments)
        expected.append(program.measured())
    several = Bundle(program, stack, 3) if kind == "bundle" else Turns(program, 3)
    for k in range(3):
        program.reset(stack, k)
        several.load(k)
    parts = BundleData.of(data) if isinstance(several, Bundle) else data
    for epoch in range(1, EPOCHS + 1):
        several.epoch([stack] * 3, parts, plans(epoch))  # type: ignore[arg-type]
    for k, theirs in enumerate(expected):
        for a, b in zip(several.measured(k), theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@each_averaging
def test_streamed_data_gives_the_same_average(name: str) -> None:
    """In runs of three steps the measured weights are those of resident data."""
    stack = BASE.but(**AVERAGED[name])
    x, y = made_up_data("classification")
    streamed = StreamedData(
        *(x, tf.constant(y), x, tf.constant(y)),
        prepare=lambda raw: raw,
        run_bytes=3 * BATCH * 4 * FEATURES,
    )
    found = []
    for data in (data_of(), streamed):
        program = program_of(stack)
        program.reset(stack, SEED)
        Training(program, stack, SEED, EPOCHS, 1.4).run(data, lambda measured: None)
        found.append(program.weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
