"""Networks that Keras's `fit` trains: equal to the engine's where it can take them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.own_networks import IMAGES, own_network
from trainstack.search.artifacts import FolderStore
from trainstack.search.data.inputs import Inputs
from trainstack.search.own_network import OwnNetwork
from trainstack.search.records import Result
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.fit_program import FitProgram
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure
from trainstack.workers.engine.training import Training
from trainstack.workers.engine.unknown_to_engine import why_unknown
from trainstack.workers.messages import INTERRUPTED

pytestmark = pytest.mark.keras

ROWS, VALID, CLASSES, EPOCHS, SEED = 80, 30, 3, 3, 5

UNKNOWN = """
import keras
import tensorflow as tf


class Doubled(keras.Model):
    def __init__(self, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs)
        self.factor = keras.Variable(2.0, name="factor")  # trained, but no part of the network

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.factor * self.compute_loss(x, y, self(x, training=True))
        found = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(found, self.trainable_variables))
        return {"loss": loss}


class Counting(keras.layers.Layer):
    calls = 0

    def call(self, x):
        self.calls += 1
        return x


class Looking(keras.layers.Layer):
    def call(self, x):
        return x + float(x.numpy().max()) * 0.0

    def compute_output_shape(self, shape):
        return shape


class Remembering(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.steps = tf.Variable(0.0, trainable=False)

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1.0)
        return x


def layers(stack, inputs, outputs, extra=None):
    x = keras.layers.Flatten()(inputs)
    x = stack.dense(6)(x if extra is None else extra(x))
    return stack.head(outputs)(x)


def doubled(stack, inputs, outputs):
    return Doubled(inputs, layers(stack, inputs, outputs))


def counting(stack, inputs, outputs):
    return layers(stack, inputs, outputs, Counting())


def looking(stack, inputs, outputs):
    return layers(stack, inputs, outputs, Looking())


def remembering(stack, inputs, outputs):
    return layers(stack, inputs, outputs, Remembering())


def eager(stack, inputs, outputs):
    model = keras.Model(inputs, layers(stack, inputs, outputs))
    model.compile(run_eagerly=True)
    return model


def usual(stack, inputs, outputs):
    return layers(stack, inputs, outputs)
"""
REASONS = {
    "doubled": ("a train_step of its own", False),
    "counting": ("a layer Counting that changes in Python when it is called", True),
    "looking": ("a layer that cannot be traced", True),
    "remembering": ("a layer Remembering with a tf.Variable", False),
    "eager": ("a model compiled with run_eagerly", True),
    "usual": ("", False),
}
PLAIN = Stack.of(
    **{"activation": "elu", "initializer": "he_normal", "optimizer": "sgd", "batch_size": 16},
    **{"optimizer__learning_rate": 0.05, "schedule": "constant", "stopping": "none"},
)
STACKS = {
    "penalty, max-norm, batch normalization": PLAIN.but(
        **{"penalty": "l2", "penalty__l2": 0.01, "max_norm": "clip", "max_norm__radius": 0.7},
        **{"normalization": "before", "optimizer": "adam"},
    ),
    "dropout everywhere, smoothing, average": PLAIN.but(
        **{"dropout": "all", "dropout__rate": 0.3, "label_smoothing": 0.1, "bias_rate": 0.5},
        **{"averaging": "exponential", "averaging__decay": 0.9, "schedule": "1cycle"},
    ),
    "decay that is scheduled, clipping, the last epochs": PLAIN.but(
        **{"decay": "decoupled", "decay__weight_decay": 0.05, "clipping": "norm"},
        **{"clipping__limit": 0.3, "regularizer_schedule": "flat_cosine", "averaging": "last"},
    ),
    "Nadam, alpha dropout, clipped values": PLAIN.but(
        **{"activation": "selu", "initializer": "lecun_normal", "optimizer": "nadam"},
        **{"dropout": "hidden", "clipping": "value", "clipping__limit": 0.01},
    ),
}


def data_of(weighted: bool = False) -> DeviceData:
    """Return made-up rows of 64 numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + VALID, 64)).astype("float32")
    y = rng.integers(0, CLASSES, ROWS + VALID).astype("int32")
    w = tf.constant(rng.uniform(0.5, 1.5, ROWS), tf.float32) if weighted else None
    parts = x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]
    return DeviceData(*(tf.constant(part) for part in parts), w_train=w)


def program_of(network: OwnNetwork, stack: Stack, kind: type[Program] = FitProgram) -> Program:
    """Return a program of a network."""
    shape = (Inputs(64), CLASSES, "classification", (ROWS, VALID), False)
    return kind(Structure(stack.items, *shape, network=network), stack)


def unknown(name: str) -> OwnNetwork:
    """Return a network that the engine does not take."""
    network = OwnNetwork("network.py", name, UNKNOWN, IMAGES)
    fit, eager = why_unknown(built(network, Stack.of(), CLASSES))
    return replace(network, fit=fit, eager=eager)


def trained(program: Program, stack: Stack, data: DeviceData, **keywords: Any) -> Result:
    """Train some epochs from the seed's weights, or from a checkpoint."""
    program.reset(stack, SEED, data)
    stops = keywords.pop("stops", {})
    training = Training(program, stack, SEED, EPOCHS, 1.0986, **keywords)
    return training.run(data, lambda measured: stops.get(measured.epoch))


def apart(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Return the largest difference of two lists of arrays, relative to each array's norm."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0)) for a, b in pairs)


@pytest.mark.parametrize("stack", [*STACKS])
@pytest.mark.parametrize("name", ["lenet", "two"])
def test_fit_gives_the_weights_of_the_engine(name: str, stack: str) -> None:
    """A network that the engine can take has the same weights and losses from `fit`."""
    chosen, data = STACKS[stack], data_of(weighted=name == "two")
    engine = program_of(own_network(name), chosen, Program)
    fitted = program_of(own_network(name), chosen)
    found = [trained(program, chosen, data) for program in (engine, fitted)]
    assert apart(fitted.plain(fitted.weights()), engine.plain(engine.weights())) < 1e-6
    for ours, theirs in zip(found[1].measurements, found[0].measurements, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-6)
        assert ours.valid_loss == pytest.approx(theirs.valid_loss, rel=1e-6)


@pytest.mark.parametrize("name", [*REASONS])
def test_what_the_engine_cannot_take_is_found_with_its_reason(name: str) -> None:
    """Own training steps, Python in layers, and variables that Keras does not know are named."""
    network = unknown(name)
    assert network.fit.startswith(REASONS[name][0])
    assert bool(network.fit) == bool(REASONS[name][0])
    assert network.eager == REASONS[name][1]


def test_a_training_step_of_the_users_own_is_taken() -> None:
    """Twice the loss moves the weights of a first step of gradient descent twice as far."""
    order, rates = np.arange(16, dtype="int32")[None], np.full(1, 0.05, "float32")
    moves = []
    for name in ("doubled", "usual"):
        program, data = program_of(unknown(name), PLAIN), data_of()
        program.reset(PLAIN, SEED, data)
        start = program.weights()
        program.epoch(PLAIN, data, order, rates, None, 0)
        moves.append([b - a for a, b in zip(start, program.weights(), strict=True)])
    for double, single in zip(*moves, strict=True):
        np.testing.assert_allclose(double, 2 * single, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["doubled", "counting", "looking", "remembering", "eager"])
def test_a_resumed_training_by_fit_equals_one_in_a_go(name: str, tmp_path: Path) -> None:
    """Interrupted between epochs and resumed in a new program, weights and curve are the same.

    They are the same up to rounding, which in `fit` depends on TensorFlow's threads.
    """
    stack, data, network = (
        STACKS["penalty, max-norm, batch normalization"],
        data_of(),
        unknown(name),
    )
    program, other = program_of(network, stack), program_of(network, stack)
    whole = trained(program, stack, data)
    shelf = Shelf(FolderStore(tmp_path), "trial.npz", {})
    stopped = trained(other, stack, data, shelf=shelf, stops={2: INTERRUPTED})
    assert (stopped.outcome, len(stopped.measurements)) == (INTERRUPTED, 2)
    resumed = trained(other, stack, data, shelf=shelf)
    found, expected = ([m.valid_loss for m in r.measurements] for r in (resumed, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert apart(other.weights(), program.weights()) < 1e-4
    assert apart(other.slots(), program.slots()) < 1e-3


def test_a_state_that_keras_does_not_know_starts_anew_with_each_run() -> None:
    """A layer's own `tf.Variable` counts the steps of one run, not of those before it."""
    program, data = program_of(unknown("remembering"), PLAIN), data_of()
    for _ in range(2):
        trained(program, PLAIN, data)
        assert program.slots()[-1] == EPOCHS * (ROWS // 16)
