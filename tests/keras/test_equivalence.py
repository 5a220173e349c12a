"""The engine trains like Keras `fit`: same batches, same order, same weights afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, log_loss

from tests.support.engine_stacks import (
    BASE,
    BATCH,
    CLASSES,
    EPOCHS,
    INPUTS,
    ROWS,
    SEED,
    STACKS,
    made_up_data,
    made_up_weights,
    structure_of,
)
from trainstack.search.data.weighting import class_factors
from trainstack.search.metrics.losses import LOSSES
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import make_optimizer, plain_model
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program, rewrite_graphs
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.structure import RATE_FACTORS
from trainstack.workers.engine.training import batch_order

pytestmark = pytest.mark.keras

USUAL = {
    "classification": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "multilabel": keras.losses.BinaryCrossentropy(from_logits=True),
    "regression": "mean_squared_error",
    "regressions": "mean_squared_error",
}


class Rates(keras.callbacks.Callback):
    """Sets rate, momentum and decay before each step, as the engine does."""

    def __init__(
        self,
        rates: list[np.ndarray],
        momenta: list[np.ndarray] | None,
        decays: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.decays = decays
        self.rates = np.concatenate(rates)
        self.momenta = np.concatenate(momenta) if momenta else None
        self.step = 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self.model.optimizer.learning_rate = float(self.rates[self.step])
        if self.momenta is not None:
            self.model.optimizer.momentum.assign(self.momenta[self.step])
        if self.decays is not None:
            self.model.optimizer.weight_decay.assign(self.decays[self.step])
        self.step += 1


def smoothed(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Keras's cross-entropy with smoothed labels."""
    y = keras.ops.one_hot(keras.ops.reshape(y, [-1]), CLASSES)
    return keras.losses.categorical_crossentropy(
        y, logits, from_logits=True, label_smoothing=STACKS["label smoothing"]["label_smoothing"]
    )


def paced(optimizer: keras.Optimizer, stack: Stack) -> None:
    """Give an optimizer's steps, decay included, the rates of biases, embedding and input scale."""
    kind: Any = type(optimizer)

    def factor(variable: Any) -> float:
        if len(variable.shape) > 1 and variable.shape[0] == INPUTS.categories[0]:
            return stack["categories.rate_factor"]
        if len(variable.shape) > 1 and variable.shape[0] == INPUTS.numbers:
            return stack["embedding.rate_factor"]
        if "bias" in variable.name:
            return stack["bias_rate"]
        vector = "kernel" in variable.name and len(variable.shape) == 1
        return stack["input_scale.rate_factor"] if vector else 1.0

    class Paced(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * factor(variable))

        def _apply_weight_decay(self, variables: list) -> None:
            for v in variables:
                decay = (self.weight_decay or 0.0) * self.learning_rate * factor(v)
                v.assign(v * (1.0 - decay))

    optimizer.__class__ = Paced


def by_fit(
    stack: Stack,
    task: str,
    start: list[np.ndarray],
    orders: list[np.ndarray],
    loss: object = None,
    weights: np.ndarray | None = None,
    class_weight: dict[int, float] | None = None,
) -> list:
    """Train a plain Keras model by `fit` on the given batches; return its weights."""
    x, y = made_up_data(task)
    y = np.abs(y) if loss == "poisson" else y
    model = plain_model(stack, INPUTS, structure_of(stack, task).outputs)
    for variable, value in zip(model.weights, start, strict=True):
        variable.assign(value)
    maker = RateMaker(stack, ROWS // BATCH, EPOCHS)
    momenta = [maker.momenta(e) for e in range(1, EPOCHS + 1)]
    cycled = OPTIMIZERS[stack["optimizer"]].cycles and momenta[0] is not None
    knobs = {}
    if cycled:
        from trainstack.workers.engine.variables import Knob

        knobs["momentum"] = Knob(0.9, trainable=False)
    optimizer = make_optimizer(stack, knobs)
    if any(stack.get(key, 1.0) != 1.0 for key in RATE_FACTORS):
        paced(optimizer, stack)
    if stack["clipping"] == "value":
        optimizer.clipvalue = stack["clipping.limit"]
    elif stack["clipping"] == "norm":
        optimizer.global_clipnorm = stack["clipping.limit"]
    if stack["decay"] != "none":
        optimizer.weight_decay = stack["decay.weight_decay"]
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        kernels = {id(layer.kernel) for layer in dense}
        others = [v for v in model.trainable_variables if id(v) not in kernels]
        optimizer.exclude_from_weight_decay(others)
    losses = {**KERAS_LOSSES, **(LABEL_LOSSES if task == "multilabel" else {})}
    usual = smoothed if stack["label_smoothing"] else USUAL[task]
    loss = losses[loss] if isinstance(loss, str) else loss or usual
    model.compile(optimizer, loss, jit_compile=False)
    decays = None
    if stack["regularizer_schedule"] == "flat_cosine":  # the formula, from the middle on
        t = np.arange(EPOCHS * (ROWS // BATCH)) / (EPOCHS * (ROWS // BATCH))
        falling = np.where(t < 0.5, 1.0, (1 + np.cos(np.pi * (t - 0.5) / 0.5)) / 2)
        decays = optimizer.weight_decay * falling
        optimizer.weight_decay = keras.Variable(0.0, trainable=False)
    optimizer.build(model.trainable_variables)  # `fit` traces its step twice otherwise
    callback = Rates(
        [maker.rates(e) for e in range(1, EPOCHS + 1)], momenta if cycled else None, decays
    )
    rewrite_graphs(True)  # TensorFlow's default, which `fit` has
    try:
        for order in orders:
            rows = order.ravel()
            model.fit(
                *(x[rows], y[rows]),
                **{"batch_size": BATCH, "shuffle": False, "verbose": 0, "callbacks": [callback]},
                sample_weight=None if weights is None else weights[rows],
                class_weight=class_weight,
            )
    finally:
        rewrite_graphs(False)
    return [np.asarray(w) for w in model.get_weights()]


def by_engine(
    stack: Stack,
    task: str,
    orders: list[np.ndarray],
    compiled: bool = False,
    loss_name: str = "",
    weights: np.ndarray | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Train by the engine; return the weights before and after, and the last validation loss."""
    x, y = made_up_data(task)
    x, y = tf.constant(x), tf.constant(np.abs(y) if loss_name == "poisson" else y)
    structure = replace(structure_of(stack, task, compiled), loss=loss_name)
    program = Program(structure, stack)
    w = None if weights is None else tf.constant(weights)
    data = DeviceData(x, y, x, y, w, w)
    program.reset(stack, SEED, data)
    start = program.weights()
    maker = RateMaker(stack, ROWS // BATCH, EPOCHS)
    loss = float("nan")
    for epoch, order in enumerate(orders, start=1):
        data, plan = DeviceData(x, y, x, y, w, w), maker.plan(epoch, order, key=epoch)
        loss = program.epoch(stack, data, *plan.arguments).valid_loss
    return start, program.weights(), loss


def the_orders() -> list[np.ndarray]:
    """Return the batches of each epoch."""
    return [batch_order(SEED, e, ROWS, ROWS // BATCH, BATCH) for e in range(1, EPOCHS + 1)]


@pytest.mark.parametrize("name", STACKS)
def test_weights_equal_those_of_keras_fit(name: str) -> None:
    """Without XLA the weights after two epochs equal those of `fit`, to 1e-6 relative."""
    stack, orders = STACKS[name], the_orders()
    start, ours, _ = by_engine(stack, "classification", orders)
    theirs = by_fit(stack, "classification", start, orders)
    moved = max(float(np.abs(a - b).max()) for a, b in zip(start, ours, strict=True))
    assert moved > 1e-4, "nothing was trained"
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def test_a_schedule_of_regularizers_lowers_the_rate_of_dropout() -> None:
    """In steps of strength 1/4 the weights are those of a quarter of the rate, mask by mask."""
    stack = BASE.but(dropout="all", dropout__rate=0.4, regularizer_schedule="flat_cosine")
    quarter = BASE.but(dropout="all", dropout__rate=0.1)
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    found = []
    for each, strength in ((stack, 0.25), (quarter, None), (stack, None)):
        program = Program(structure_of(each, "classification"), each)
        program.reset(each, SEED)
        order = the_orders()[0]
        strengths = None if strength is None else np.full(len(order), strength, np.float32)
        rates = np.full(len(order), 0.01, np.float32)
        program.epoch(each, DeviceData(x, y, x, y), order, rates, None, 1, strengths)
        found.append(program.weights())
    for a, b, full in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert np.abs(a - full).max() > 1e-4


def test_decay_with_adam_is_adamw() -> None:
    """After one step, in which all biases are still 0, Adam with this decay has AdamW's weights."""
    order = [the_orders()[0][:1]]
    stacks = (
        BASE.but(optimizer="adam", decay="decoupled", decay__weight_decay=0.3),
        BASE.but(optimizer="adamw", optimizer__weight_decay=0.3),
    )
    plain = by_engine(stacks[0].but(decay="none"), "classification", order)[1]
    ours, theirs = (by_engine(stack, "classification", order)[1] for stack in stacks)
    assert float(np.abs(plain[0] - ours[0]).max()) > 1e-4
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["nadam", "momentum"])
def test_regression_weights_equal_those_of_keras_fit(optimizer: str) -> None:
    """The same holds for regression."""
    stack, orders = BASE.but(optimizer=optimizer), the_orders()
    start, ours, _ = by_engine(stack, "regression", orders)
    theirs = by_fit(stack, "regression", start, orders)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("task", ["multilabel", "regressions"])
@pytest.mark.parametrize("optimizer", ["nadam", "momentum"])
def test_weights_of_several_targets_equal_those_of_keras_fit(optimizer: str, task: str) -> None:
    """Cross-entropy from logits and squared errors, averaged over targets, train like `fit`."""
    stack, orders = BASE.but(optimizer=optimizer), the_orders()
    start, ours, _ = by_engine(stack, task, orders)
    theirs = by_fit(stack, task, start, orders)
    moved = max(float(np.abs(a - b).max()) for a, b in zip(start, ours, strict=True))
    assert moved > 1e-4, "nothing was trained"
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def focal(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The focal loss in Keras's operations, gamma 2 (Lin et al. 2017)."""
    y = keras.ops.cast(keras.ops.squeeze(y), "int32")
    p = keras.ops.sum(keras.ops.softmax(logits) * keras.ops.one_hot(y, CLASSES), axis=-1)
    return -((1 - p) ** 2) * keras.ops.log(p)


def log_poisson(y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Keras's Poisson loss of the exponential of the outputs."""
    return keras.losses.poisson(y, keras.ops.exp(outputs))


KERAS_LOSSES = {
    "cross_entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "focal": focal,
    "squared": "mean_squared_error",
    "absolute": "mean_absolute_error",
    "huber": "huber",
    "poisson": log_poisson,
}


LABEL_LOSSES = {
    "cross_entropy": keras.losses.BinaryCrossentropy(from_logits=True),
    "focal": keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_several_targets_trains_as_in_keras_fit(name: str) -> None:
    """Averaged over targets and weighted by row, the weights after two epochs agree."""
    task = "multilabel" if LOSSES[name].task == "classification" else "regressions"
    orders, weights = the_orders(), made_up_weights()
    start, ours, _ = by_engine(BASE, task, orders, loss_name=name, weights=weights)
    theirs = by_fit(BASE, task, start, orders, name, weights)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def smoothed_focal(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The focal loss, a share of it that of every class."""
    others = [focal(keras.ops.full_like(y, k), logits) for k in range(CLASSES)]
    return 0.9 * focal(y, logits) + 0.1 * keras.ops.mean(keras.ops.stack(others), axis=0)


def smoothed_label_focal(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The same of several labels."""
    of = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True, reduction="none")
    y = keras.ops.cast(y, "float32")
    others = of(keras.ops.zeros_like(y), logits) + of(keras.ops.ones_like(y), logits)
    return 0.9 * of(y, logits) + 0.1 * others / 2


SMOOTHED = {
    ("classification", "focal"): smoothed_focal,
    ("multilabel", "cross_entropy"): keras.losses.BinaryCrossentropy(
        from_logits=True, label_smoothing=0.1
    ),
    ("multilabel", "focal"): smoothed_label_focal,
    ("regression", "squared"): "squared",
}


@pytest.mark.parametrize(("task", "name"), SMOOTHED)
def test_smoothed_labels_train_as_in_keras_fit(task: str, name: str) -> None:
    """Every loss of classes and labels is smoothed as in Keras; a regression is not."""
    stack, orders, weights = BASE.but(label_smoothing=0.1), the_orders(), made_up_weights()
    start, ours, _ = by_engine(stack, task, orders, loss_name=name, weights=weights)
    theirs = by_fit(stack, task, start, orders, SMOOTHED[task, name], weights)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def test_reported_losses_are_not_smoothed() -> None:
    """Smoothing changes the weights; losses are those of the labels, before and after a step."""
    stack, rates = BASE.but(label_smoothing=0.2), np.full(1, 0.001, np.float32)
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    program = Program(structure_of(stack, "classification"), stack)
    program.reset(stack, SEED)
    order = np.arange(ROWS, dtype=np.int32)[None]
    before = program.loss(x.numpy(), y.numpy())
    found = program.epoch(stack, DeviceData(x, y, x, y), order, rates, None, key=1)
    program.settle()
    logits = program.outputs(x.numpy()).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.train_loss == pytest.approx(before, rel=1e-5)
    assert found.valid_loss == pytest.approx(log_loss(y, p), rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_as_in_keras_fit(name: str, weighted: bool) -> None:
    """With and without weights of the rows, some of them 0, the weights after two epochs agree."""
    task, orders = LOSSES[name].task, the_orders()
    weights = made_up_weights() if weighted else None
    start, ours, _ = by_engine(BASE, task, orders, loss_name=name, weights=weights)
    theirs = by_fit(BASE, task, start, orders, name, weights)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def test_weights_of_classes_train_as_in_keras_fit() -> None:
    """Weights of classes give the weights after two epochs that `fit(class_weight=…)` gives."""
    y, orders = made_up_data("classification")[1], the_orders()
    names = [str(k) for k in range(int(y.max()) + 1)]
    asked = {"0": 0.25, "1": 3.0}
    factors = class_factors(y, np.ones(len(y)), asked, names)
    assert factors is not None
    weights = factors[y].astype(np.float32)
    start, ours, _ = by_engine(BASE, "classification", orders, weights=weights)
    given = {k: asked.get(name, 1.0) for k, name in enumerate(names)}
    theirs = by_fit(BASE, "classification", start, orders, class_weight=given)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(b).max())))


def test_the_validation_loss_is_the_weighted_mean() -> None:
    """It is the sum of weight · loss over the sum of weights, as in scikit-learn."""
    w = made_up_weights()
    x, y = made_up_data("classification")
    program = Program(structure_of(BASE, "classification"), BASE)
    program.reset(BASE, SEED)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y, w, w)))
    maker = RateMaker(BASE, ROWS // BATCH, EPOCHS)
    reported = program.epoch(BASE, data, the_orders()[0], maker.rates(1), None, key=1)
    program.settle()
    p = tf.nn.softmax(program.outputs(x).astype(np.float64)).numpy()
    assert reported.valid_loss == pytest.approx(log_loss(y, p, sample_weight=w), rel=1e-5)
    right = accuracy_score(y, p.argmax(1), sample_weight=w)
    assert reported.metric == pytest.approx(right, rel=1e-5)


# Relative rounding of the loss after two epochs by XLA's different order of operations.
XLA_BOUND = {"adagrad": 1e-4, "rmsprop": 1e-3, "nadam": 1e-3, "adam": 1e-3, "adamw": 1e-3}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_xla_changes_the_loss_by_rounding_only(optimizer: str) -> None:
    """With XLA the loss after two epochs is equal within its optimizer's bound."""
    # XLA compiles an optimizer's update for all weights at once; each layer costs seconds.
    stack, orders = BASE.but(optimizer=optimizer, units=[16]), the_orders()
    _, _, plain = by_engine(stack, "classification", orders)
    _, _, compiled = by_engine(stack, "classification", orders, compiled=True)
    assert compiled == pytest.approx(plain, rel=XLA_BOUND.get(optimizer, 1e-4))


def test_the_validation_loss_has_no_penalty_in_it() -> None:
    """The reported loss equals cross-entropy in NumPy, regardless of the penalty."""
    stack = BASE.but(penalty="l1_l2", penalty__l1=0.01, penalty__l2=0.01)
    x, y = made_up_data("classification")
    program = Program(structure_of(stack, "classification"), stack)
    program.reset(stack, SEED)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    order, maker = the_orders()[0], RateMaker(stack, ROWS // BATCH, EPOCHS)
    reported = program.epoch(stack, data, order, maker.rates(1), None, key=1)
    program.settle()
    logits = program.outputs(x).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert reported.valid_loss == pytest.approx(-log_p[np.arange(ROWS), y].mean(), rel=1e-5)
    assert reported.metric == pytest.approx((logits.argmax(1) == y).mean())
