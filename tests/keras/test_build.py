"""The network built from a stack: fresh weights, dropout, alpha dropout, max-norm."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.search.evidence.formatting import describe
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import fresh_kernel, plain_model, training_model
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layers import AlphaDropout, Context, Dropout, RReLU
from trainstack.workers.engine.model_plan import plan
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items

pytestmark = pytest.mark.keras

PAIRS = [(a.name, i) for a in ACTIVATIONS.values() for i in a.initializers]


@pytest.mark.parametrize(("activation", "initializer"), PAIRS)
def test_fresh_weights_have_the_tables_variance(activation: str, initializer: str) -> None:
    """The variance of a fresh kernel is the chapter's formula, and its mean is 0."""
    fan_in, fan_out = 400, 300
    stack = Stack.of(activation=activation, initializer=initializer, units=[fan_out])
    structure = Structure(shaping_items(stack), Inputs(fan_in), 3, "classification", (8, 8), False)
    program = Program(structure, stack)
    program.reset(stack, seed=3)
    kernel = program.kernels[0].numpy()
    expected = {
        "glorot": 2 / (fan_in + fan_out),
        "he": 2 / fan_in,
        "lecun": 1 / fan_in,
    }[initializer.split("_", maxsplit=1)[0]]
    assert kernel.var() == pytest.approx(expected, rel=0.02)
    assert abs(kernel.mean()) < 4 * (expected / kernel.size) ** 0.5


@pytest.mark.parametrize("name", INITIALIZERS)
def test_fresh_weights_are_distributed_as_keras_own(name: str) -> None:
    """Quantiles of our kernels equal those of Keras's initializer."""
    row, shape = INITIALIZERS[name], (300, 200)
    ours = fresh_kernel(row, shape, np.random.default_rng(0)).ravel()
    theirs = np.asarray(getattr(keras.initializers, row.call.path.split(".")[1])(seed=0)(shape))
    at = np.linspace(0.01, 0.99, 25)
    scale = theirs.std()
    assert np.quantile(ours, at) / scale == pytest.approx(np.quantile(theirs, at) / scale, abs=0.03)
    assert np.abs(ours).max() / scale == pytest.approx(np.abs(theirs).max() / scale, rel=0.01)


@pytest.mark.parametrize(
    ("place", "layers"),
    [
        ("none", []),
        ("all", ["input", "first", "second"]),
        ("hidden", ["first", "second"]),
        ("last", ["second"]),
    ],
)
def test_dropout_stands_where_its_choice_says(place: str, layers: list[str]) -> None:
    """Dropout follows the input, every hidden layer, or the last one."""
    stack = Stack.of(activation="relu", dropout=place, units=[7, 5])
    network = plan(stack, Inputs(4), 3)
    blocks = {"input": network.entry, **dict(zip(("first", "second"), network.blocks, strict=True))}
    nodes = {name: getattr(block, "nodes", block) for name, block in blocks.items()}
    assert [name for name in nodes if any(n.role == "dropout" for n in nodes[name])] == layers


@pytest.mark.parametrize("name", REFERENCES)
def test_training_and_plain_model_are_one_network(name: str) -> None:
    """The engine's model and the exported one have the same weights and the same outputs."""
    stack = REFERENCES[name]
    ours, hidden = training_model(stack, Inputs(20), 5, Context())
    assert len(hidden) == len(stack.units)
    plain = plain_model(stack, Inputs(20), 5)
    assert [w.shape for w in ours.weights] == [w.shape for w in plain.weights]
    ours.set_weights(plain.get_weights())
    x = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    np.testing.assert_allclose(ours(x), plain(x), rtol=1e-5, atol=1e-6)


def context(rate: float, key: int = 5) -> Context:
    """Return run-time values for one step."""
    return Context(tf.constant(rate), tf.constant(key, tf.uint32))


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    """A share `rate` becomes zero, the rest is scaled by 1 / (1 - rate)."""
    x = tf.ones((400, 500))
    out = Dropout(context(rate), 0)(x, training=True).numpy()
    assert (out == 0).mean() == pytest.approx(rate, abs=0.004)
    assert out.max() == pytest.approx(1 / (1 - rate))
    assert out.mean() == pytest.approx(1.0, abs=0.005)
    # Shares of columns and rows vary like binomials.
    columns = (out == 0).mean(axis=0)
    assert columns.std() == pytest.approx((rate * (1 - rate) / 400) ** 0.5, rel=0.15)


def test_masks_differ_between_steps_and_layers_and_repeat_with_the_key() -> None:
    """A mask is a pure function of key and layer; other keys and layers are independent."""
    here = context(0.5)
    layers = [Dropout(here, place) for place in (0, 1, 7)]
    x = tf.ones((200, 300))
    for layer in layers:
        layer.build(x.shape)

    def masks(key: int) -> list[np.ndarray]:
        here.key = tf.constant(key, tf.uint32)
        return [layer(x, training=True).numpy() == 0 for layer in layers]

    first = masks(1)
    assert all((a == b).all() for a, b in zip(first, masks(1), strict=True))
    for other in (*masks(2), *masks(3), *first[1:]):
        assert (first[0] == other).mean() == pytest.approx(0.5, abs=0.01)
    assert (first[1] == first[2]).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_alpha_dropout_keeps_mean_and_deviation(rate: float) -> None:
    """Standard inputs keep mean 0 and deviation 1."""
    x = tf.random.stateless_normal((500, 400), seed=[1, 2])
    out = AlphaDropout(context(rate), 0)(x, training=True).numpy()
    assert out.mean() == pytest.approx(0.0, abs=0.01)
    assert out.std() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        ({"activation": "selu"}, keras.layers.AlphaDropout),
        ({"activation": "selu", "parametrization": "ntk"}, keras.layers.Dropout),
        ({"activation": "relu", "initializer": "he_normal"}, keras.layers.Dropout),
    ],
)
def test_the_kind_of_dropout_follows_activation_and_parametrization(
    choices: dict[str, str], kind: type
) -> None:
    """SELU has alpha dropout, except in networks of the NTK parametrization, such as RealMLP."""
    stack = Stack.of(**choices, dropout="hidden", dropout__rate=0.15, units=[4, 4])
    network = plain_model(stack, Inputs(3), 2)
    drops = [
        x for x in network.layers if isinstance(x, keras.layers.Dropout | keras.layers.AlphaDropout)
    ]
    assert [type(layer) for layer in drops] == [kind] * 2
    assert ("alpha dropout" in describe(stack)) == (kind is keras.layers.AlphaDropout)


@pytest.mark.parametrize("layer", [Dropout, AlphaDropout])
def test_dropout_does_nothing_at_prediction(layer: type) -> None:
    """Outside training the inputs pass unchanged."""
    x = tf.random.stateless_normal((5, 4), seed=[1, 2])
    assert (layer(context(0.5), 0)(x, training=False).numpy() == x.numpy()).all()


def test_rrelu_is_random_in_training_and_its_mean_afterwards() -> None:
    """In training slopes are uniform between the bounds; at prediction the slope is their mean."""
    layer = RReLU(context(0.0), 0, 1 / 8, 1 / 3)
    slopes = -layer(-tf.ones((300, 300)), training=True).numpy()
    assert slopes.min() == pytest.approx(1 / 8, abs=1e-3)
    assert slopes.max() == pytest.approx(1 / 3, abs=1e-3)
    assert slopes.mean() == pytest.approx(11 / 48, abs=1e-3)
    assert layer(-tf.ones((2, 2)), training=False).numpy() == pytest.approx(-11 / 48)


def test_max_norm_holds_after_each_step() -> None:
    """No neuron's incoming weight vector is longer than the radius after an epoch."""
    stack = Stack.of(units=[16, 16], max_norm="clip", max_norm__radius=0.4, batch_size=8)
    structure = Structure(shaping_items(stack), Inputs(6), 3, "classification", (64, 64), False)
    program = Program(structure, stack)
    program.reset(stack, seed=1)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((64, 6)).astype(np.float32))
    y = tf.constant(rng.integers(0, 3, 64).astype(np.int32))
    order = np.arange(64, dtype=np.int32).reshape(8, 8)
    for step in range(8):
        program.epoch(
            stack, DeviceData(x, y, x, y), order[step : step + 1], np.array([0.1]), None, key=step
        )
        program.settle()
        for kernel in program.hidden_kernels:
            assert np.linalg.norm(kernel.numpy(), axis=0).max() <= 0.4 * (1 + 1e-5)


def test_a_program_forgets_what_it_trained() -> None:
    """After a reset, weights and optimizer slots equal those of a new program with that seed."""
    stack = Stack.of(units=[8], optimizer="nadam", normalization="before", batch_size=8)
    structure = Structure(shaping_items(stack), Inputs(6), 3, "classification", (64, 64), False)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((64, 6)).astype(np.float32))
    y = tf.constant(rng.integers(0, 3, 64).astype(np.int32))
    order = rng.permutation(64).reshape(8, 8).astype(np.int32)

    def train(program: Program, seed: int) -> list[np.ndarray]:
        program.reset(stack, seed)
        for epoch in range(3):
            rates = np.full(8, 0.01, np.float32)
            program.epoch(stack, DeviceData(x, y, x, y), order, rates, None, key=epoch)
        return program.weights()

    used = Program(structure, stack)
    train(used, seed=1)
    for a, b in zip(train(used, seed=2), train(Program(structure, stack), seed=2), strict=True):
        assert (a == b).all()
