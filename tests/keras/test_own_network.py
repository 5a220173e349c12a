"""Networks of a user's own: trained as by Keras `fit`, their fans, checks and axes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.own_networks import IMAGES, own_network
from trainstack.search.artifacts import FolderStore
from trainstack.search.data.inputs import Inputs
from trainstack.search.own_network import OwnNetwork
from trainstack.search.records import Outcome, Result
from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import make_optimizer
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.kernels import kernels_of
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.self_normalizing import voids
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import INTERRUPTED
from trainstack.workers.tasks.own_network import look

pytestmark = pytest.mark.keras

ROWS, STEPS, BATCH, CLASSES, EPOCHS = 96, 5, 16, 3, 5
STACK = Stack.of(
    **{"activation": "elu", "initializer": "he_normal", "normalization": "before"},
    **{"penalty": "l2", "penalty__l2": 0.01, "max_norm": "clip", "max_norm__radius": 0.7},
    **{"optimizer": "adam", "schedule": "constant", "batch_size": BATCH},
)


def program_of(network: OwnNetwork, stack: Stack) -> tuple[Program, DeviceData]:
    """Return a program of a network, reset, and made-up data of 64 numbers per row."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(ROWS, 64)), tf.float32)
    y = tf.constant(rng.integers(0, CLASSES, ROWS), tf.int32)
    data = DeviceData(x, y, x, y)
    items = shaping_items(stack)
    shape = (Inputs(64), CLASSES, "classification", data.rows, False)
    program = Program(Structure(items, *shape, network=network), stack)
    program.reset(stack, 1, data)
    return program, data


def orders() -> list[np.ndarray]:
    """Return the batches of two epochs."""
    each = [np.random.default_rng(k).permutation(ROWS)[: STEPS * BATCH] for k in range(2)]
    return [rows.reshape(STEPS, BATCH).astype("int32") for rows in each]


@pytest.mark.parametrize("name", ["lenet", "recurrent", "residual", "two", "penalized"])
def test_the_engine_trains_a_network_as_fit_does(name: str) -> None:
    """Convolutional, recurrent, residual and two-input networks have the weights of `fit`.

    So has one with a layer of the user's own that adds a penalty to the loss.
    """
    network, rate = own_network(name), 0.01
    program, data = program_of(network, STACK)
    start = program.plain(program.weights())
    for epoch, order in enumerate(orders()):
        program.epoch(STACK, data, order, np.full(STEPS, rate, "float32"), None, epoch)
    ours = program.plain(program.weights())

    model = built(network, STACK, CLASSES).model
    model.set_weights(start)
    optimizer = make_optimizer(STACK)
    optimizer.learning_rate = rate
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    for order in orders():
        rows = order.ravel()
        x, y = data.x_train.numpy()[rows], data.y_train.numpy()[rows]
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    for mine, theirs in zip(ours, model.get_weights(), strict=True):
        assert np.linalg.norm(mine - theirs) <= 1e-6 * np.linalg.norm(theirs)
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in zip(start, ours, strict=True))


RESUMED = {
    "lenet": {"optimizer": "nadam", "dropout": "hidden", "averaging": "exponential"},
    "recurrent": {"schedule": "1cycle", "optimizer": "sgd", "decay": "decoupled"},
    "two": {"optimizer": "adamw", "dropout": "all", "label_smoothing": 0.1},
    "shifted": {"normalization": "after", "clipping": "norm", "averaging": "last"},
}


@pytest.mark.parametrize("name", [*RESUMED])
def test_a_resumed_network_equals_one_trained_in_a_go(name: str, tmp_path: Path) -> None:
    """Interrupted after any epoch, weights, slots, curve and best epoch are the same bit for bit.

    So are the states of random layers of the user's own.
    """
    stack, dice = STACK.but(**RESUMED[name], stopping="none"), random.Random(7)
    (program, data), (other, _) = (program_of(own_network(name), stack) for _ in range(2))
    whole = trained(program, stack, data)
    cuts = dice.sample(range(1, EPOCHS), EPOCHS - 1)
    for turn, epochs in enumerate((cuts[:1], cuts[1:2], cuts[2:])):
        shelf = Shelf(FolderStore(tmp_path), f"{turn}.npz", {"turn": turn})
        for epoch in sorted(epochs):
            stopped = trained(other, stack, data, shelf, {epoch: INTERRUPTED})
            assert (stopped.outcome, len(stopped.measurements)) == (INTERRUPTED, epoch)
        resumed = trained(other, stack, data, shelf)
        assert timeless(resumed) == timeless(whole)
        for ours, theirs in zip(other.weights(), program.weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for ours, theirs in zip(other.slots(), program.slots(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_pruned_network_leaves_nothing_to_the_next_trial(tmp_path: Path) -> None:
    """A trial that is pruned between epochs keeps no checkpoint, and the next starts afresh."""
    program, data = program_of(own_network("shifted"), STACK)
    first = trained(program, STACK, data)
    shelf = Shelf(FolderStore(tmp_path), "pruned.npz", {}, every_seconds=0.0)
    pruned = trained(program, STACK, data, shelf, {2: Outcome.PRUNED})
    assert (pruned.outcome, len(pruned.measurements)) == (Outcome.PRUNED, 2)
    assert timeless(pruned)[:2] == timeless(first)[:2]
    assert shelf.load() is None
    assert timeless(trained(program, STACK, data)) == timeless(first)


def trained(
    program: Program,
    stack: Stack,
    data: DeviceData,
    shelf: Shelf | None = None,
    stops: dict[int, str] | None = None,
) -> Result:
    """Train from fresh weights or the checkpoint; end after the epochs in `stops`."""
    program.reset(stack, 1, data)
    training = Training(program, stack, 1, EPOCHS, 1.0986, shelf=shelf)
    return training.run(data, lambda measured: (stops or {}).get(measured.epoch))


def timeless(result: Result) -> list[tuple[float, ...]]:
    """Return a result's curve."""
    each = result.measurements
    return [(m.epoch, m.train_loss, m.valid_loss, m.metric) for m in each]


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (lambda: keras.layers.Conv2D(40, 3), (8, 8, 30), 9 * 30),
        (lambda: keras.layers.DepthwiseConv2D(3), (8, 8, 300), 9),
        (lambda: keras.layers.Conv2DTranspose(30, 4, strides=2), (8, 8, 40), 16 / 4 * 40),
        (lambda: keras.layers.Conv2D(40, 3, groups=4), (8, 8, 120), 9 * 30),
        (lambda: keras.layers.Dense(90), (110,), 110),
    ],
)
def test_fans_are_those_of_the_layers_kind(layer: Any, shape: tuple, fan_in: float) -> None:
    """A unit of each kind of layer, fed standard normal numbers, has the row's variance."""
    from trainstack.workers.engine.build import fresh_kernel

    made = layer()
    made.build((None, *shape))
    (kernel,) = kernels_of(made)
    variable, row = kernel.variable, INITIALIZERS["lecun_normal"]
    fans = kernel.fans(tuple(variable.shape))
    assert fans[0] == pytest.approx(fan_in)
    rng = np.random.default_rng(0)
    variable.assign(fresh_kernel(row, tuple(variable.shape), rng, fans))
    outputs = np.asarray(made(rng.normal(size=(64, *shape)).astype("float32")))
    inside = outputs if len(shape) == 1 else outputs[:, 2:-2, 2:-2]
    assert inside.var() == pytest.approx(1.0, rel=0.15)


def test_the_gates_of_a_recurrent_layer_have_the_fans_of_one_gate() -> None:
    """Glorot's variance of an LSTM's kernel counts the units of one gate, not of four."""
    layer = keras.layers.LSTM(50)
    layer.build((None, 4, 70))
    recurrent, kernel = kernels_of(layer)
    assert kernel.fans(tuple(kernel.variable.shape)) == (70, 50)
    assert not recurrent.is_drawn


def test_equal_seeds_give_equal_weights_of_all_layers() -> None:
    """Weights follow from the seed, those of layers that the stack did not make as well."""
    program, data = program_of(own_network("recurrent"), STACK)
    first = program.weights()
    program.epoch(STACK, data, orders()[0], np.full(STEPS, 0.1, "float32"), None, 0)
    program.reset(STACK, 2, data)
    other = program.weights()
    program.reset(STACK, 1, data)
    again = program.weights()
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    drawn = [(a, b) for a, b in zip(first, other, strict=True) if a.ndim > 1 and a.std() > 0]
    assert all((a != b).any() for a, b in drawn)


def test_augmentation_works_in_training_only() -> None:
    """Random layers of the user change each step but no prediction, with averages too."""
    stack = STACK.but(averaging="exponential", normalization="none")
    program, data = program_of(own_network("shifted"), stack)
    x = data.x_train.numpy()
    assert (program.outputs(x) == program.outputs(x)).all()
    order, rates = orders()[0], np.full(STEPS, 0.0, "float32")
    losses = [program.epoch(stack, data, order, rates, None, k).train_loss for k in range(2)]
    assert losses[0] != losses[1]
    program.reset(stack, 1, data)
    assert program.epoch(stack, data, order, rates, None, 0).train_loss == losses[0]
    program.settle()
    assert np.isfinite(program.outputs(x)).all()


def test_dropout_of_convolutions_drops_whole_channels() -> None:
    """In training, a channel of a row is dropped at all its positions, or at none."""
    from trainstack.workers.engine.layers import Context, SpatialDropout

    context = Context()
    layer = SpatialDropout(context, 1)
    layer.build((None, 5, 5, 40))
    context.rate, context.key = tf.constant(0.4), tf.constant(7, tf.uint32)
    kept = np.asarray(layer(tf.ones([30, 5, 5, 40]), training=True)) > 0
    assert (kept.all(axis=(1, 2)) | (~kept).all(axis=(1, 2))).all()
    assert kept.mean() == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plain", ""),
        ("lenet", "a convolution"),
        ("recurrent", "recurrence"),
        ("two", "a convolution"),
        ("nested", "a convolution"),
    ],
)
def test_only_plain_dense_layers_can_be_self_normalizing(name: str, reason: str) -> None:
    """The built network tells what voids self-normalization."""
    assert voids(built(own_network(name), Stack.of(), CLASSES)) == reason


def test_a_skip_between_dense_layers_voids_self_normalization() -> None:
    """A sum of a layer's input and output is no plain sequence."""
    code = """
import keras
def build(stack, inputs, outputs):
    x = stack.dense(64)(keras.layers.Flatten()(inputs))
    return stack.head(outputs)(keras.layers.Add()([x, stack.dense(64)(x)]))
"""
    network = OwnNetwork("network.py", "build", code, IMAGES)
    assert voids(built(network, Stack.of(), CLASSES)) == "a skip"


def test_a_single_choice_can_void_self_normalization() -> None:
    """A skip that only one choice makes is found: some stacks could not be self-normalizing."""
    code = """
import keras
def build(stack, inputs, outputs):
    x = y = stack.dense(64)(keras.layers.Flatten()(inputs))
    for _ in range(stack.integer("layers", 1, 2)):
        y = stack.dense(64)(y)
    if stack.choice("skip", [False, True]):
        y = keras.layers.Add()([x, y])
    return stack.head(outputs)(y)
"""
    network = OwnNetwork("network.py", "build", code, IMAGES)
    assert voids(built(network, Stack.of(), CLASSES)) == ""
    (found,) = look({"network": network.to_json(), "outputs": CLASSES})
    assert found["voids"] == "a skip"


def test_conditional_numbers_are_found_with_their_conditions() -> None:
    """Numbers asked for inside an `if` or a loop depend on the choice around them."""
    (found,) = look({"network": own_network("nested").to_json(), "outputs": CLASSES})
    numbers = found["numbers"]
    assert list(numbers) == ["blocks", "filters_0", "pool", "units", "filters_1", "filters_2"]
    assert numbers["filters_1"] == {"choices": [2, 4], "when": {"blocks": [2, 3]}}
    assert numbers["filters_2"]["when"] == {"blocks": [3]}
    assert numbers["units"]["when"] == {"pool": ["flat"]}
    assert all("when" not in numbers[name] for name in ("blocks", "filters_0", "pool"))
    assert found["has_head"]


WRONG = {
    "    return stack.dense(4)(inputs).nothing": "AttributeError",
    "    return keras.Sequential([keras.layers.Dense(outputs)])": "not made of its inputs",
    "    return 3": "returned 3; expected a keras.Model or its output tensor",
    "    return stack.dense(4)(keras.layers.Flatten()(inputs))": "shape (None, 4)",
    "    return keras.layers.Dense(outputs)(keras.layers.Flatten()(inputs))": "makes no layer",
    "    x = stack.dense(outputs)(keras.layers.Flatten()(inputs))\n"
    "    return keras.layers.Softmax()(x)": "returned probabilities",
    '    return stack.dense(4, activation="relu")(inputs)': "an activation of its own",
    '    stack.choice("a", [1, 2])\n    stack.choice("a", [3])': "asked for twice",
    '    stack.choice(str(time.time()).replace(".", "n"), [1])': "a name of letters",
}


@pytest.mark.parametrize("body", [*WRONG])
def test_a_wrong_network_is_refused_in_one_line_with_its_place(body: str) -> None:
    """A function that raises or returns no network gives one line with the user's file and line."""
    code = f"import time\nimport keras\n\ndef build(stack, inputs, outputs):\n{body}\n"
    network = OwnNetwork("mine.py", "build", code, IMAGES)
    with pytest.raises(RequestError) as refused:
        built(network, Stack.of(), CLASSES)
    assert WRONG[body] in str(refused.value)
    assert "mine.py, line" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_choices_that_differ_from_call_to_call_are_refused() -> None:
    """A network whose questions are drawn at random is refused before anything is created."""
    code = """
import itertools
import keras
count = itertools.count()
def build(stack, inputs, outputs):
    stack.choice(f"n{next(count)}", [1, 2])
    return stack.head(outputs)(stack.dense(4)(keras.layers.Flatten()(inputs)))
"""
    network = OwnNetwork("mine.py", "build", code, IMAGES)
    with pytest.raises(RequestError, match=r"build \(mine.py, line 5\) asks for n0 .* then for n1"):
        list(look({"network": network.to_json(), "outputs": CLASSES}))
