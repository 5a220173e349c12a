"""Statistics inside a network, layer by layer; and choices made at prediction."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import deep
from trainstack.search.data.inputs import Inputs
from trainstack.search.report.inside import COLUMNS, picture
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training
from trainstack.workers.tasks.prediction import monte_carlo, sparsified

pytestmark = pytest.mark.keras

DEEP = [100] * 100


def standard_data(rows: int = 400, features: int = 20, classes: int = 3) -> DeviceData:
    """Return standardised, learnable made-up data."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features)).astype(np.float32)
    y = (x @ rng.standard_normal((features, classes))).argmax(1).astype(np.int32)
    return DeviceData(*(tf.constant(part) for part in (x, y, x, y)))


def fresh(stack: Stack, data: DeviceData, classes: int = 3) -> Program:
    """Return a program with fresh weights for the data."""
    rows = int(data.x_train.shape[0]), int(data.x_valid.shape[0])
    features = int(data.x_train.shape[1])
    structure = Structure(
        shaping_items(stack), Inputs(features), classes, "classification", rows, False
    )
    program = Program(structure, stack)
    program.reset(stack, seed=1)
    return program


@pytest.fixture(scope="module")
def fashion() -> DeviceData:
    """Fashion-MNIST with the chapter's split, standardised."""
    try:
        return deep.fashion()
    except RequestError as absent:
        pytest.skip(f"needs Debian's dataset-fashion-mnist: {absent}")


@pytest.fixture(scope="module")
def bundle(fashion: DeviceData) -> list[dict[str, float]]:
    """The layers of a fresh self-normalizing network with a hundred layers."""
    return deep.fresh_layers(deep.BUNDLE, fashion)


def strays(layers: list[dict[str, float]]) -> bool:
    """Return whether a layer violates mean 0 ± 0.15 or deviation 1 ± 0.15."""
    return any(abs(m["mean"]) > 0.15 or abs(m["deviation"] - 1) > 0.15 for m in layers)


def drawn_strays(label: str, *networks: list[dict[str, float]]) -> float:
    """Draw networks; return the last one's greatest distance from the dashed lines, on an axis."""
    drawn = picture([(label, {"start": layers}) for layers in networks])
    farthest = []
    for place, column in enumerate(COLUMNS.values(), start=1):
        if column.kept is None:
            continue
        at = math.log10 if column.logarithmic else float
        which = (len(networks) - 1) * len(COLUMNS) + place
        (line,) = drawn.select_traces({"yaxis": f"y{which}"})
        low, high = drawn.layout[f"yaxis{which}"].range
        farthest += [abs(at(y) - at(column.kept)) / (high - low) for y in line.y]
    return max(farthest)


def test_a_hundred_layers_self_normalize_on_fashion_mnist(bundle: list[dict[str, float]]) -> None:
    """At initialization each of 100 layers has mean 0 ± 0.15 and deviation 1 ± 0.15."""
    assert len(bundle) == 100
    assert not strays(bundle)


@pytest.mark.parametrize("condition", deep.BROKEN)
def test_breaking_one_condition_is_seen(
    condition: str, fashion: DeviceData, bundle: list[dict[str, float]]
) -> None:
    """If one condition is violated, a layer drifts, and the picture shows it."""
    network = deep.BROKEN[condition]
    data = fashion if network.standardised else deep.fashion(standardised=False)
    broken = deep.fresh_layers(network, data)
    assert strays(broken)
    assert drawn_strays(condition, bundle, broken) > 2 * drawn_strays("bundle", broken, bundle)
    assert drawn_strays(condition, bundle, broken) > 0.05


def test_a_deep_selu_network_beats_the_same_with_relu(fashion: DeviceData) -> None:
    """100 hidden layers, 3 epochs on a tenth of the images: SELU/LeCun beats ReLU/He clearly.

    Batches a quarter as large partly compensate for fewer steps; `benchmarks.deep` uses all images.
    """
    rows = fashion.rows[0] // 10
    tenth = replace(fashion, x_train=fashion.head(rows), y_train=fashion.y_train[:rows])
    accuracy = {}
    common = {"units": DEEP, "batch_size": 32, "optimizer": "sgd", "schedule": "constant"}
    for activation in ("selu", "relu"):
        stack = Stack.of(**common, activation=activation, optimizer__learning_rate=0.001)
        program = fresh(stack, tenth, 10)
        result = Training(program, stack, 1, 3, untrained_loss=2.3).run(tenth, lambda m: None)
        accuracy[activation] = max(m.metric for m in result.measurements)
    assert accuracy["selu"] > 0.6
    assert accuracy["selu"] > accuracy["relu"] + 0.2


def test_dead_units_and_saturation_are_counted() -> None:
    """Units with constant output are dead; tanh outputs near ±1 are saturated."""
    data = standard_data()
    stack = Stack.of(activation="relu", units=[10])
    program = fresh(stack, data)
    kernel = program.kernels[0].numpy()
    kernel[:, :4] = 0.0
    program.kernels[0].assign(kernel)
    assert look_inside(program, stack, data)[0]["dead"] == pytest.approx(0.4)
    stack = Stack.of(activation="tanh", units=[10])
    program = fresh(stack, data)
    program.kernels[0].assign(program.kernels[0].numpy() * 100)
    assert look_inside(program, stack, data)[0]["saturated"] > 0.9


def test_looking_changes_nothing() -> None:
    """Measuring leaves weights and moving averages unchanged."""
    data = standard_data()
    stack = Stack.of(activation="relu", normalization="before", units=[8, 8])
    program = fresh(stack, data)
    before = program.weights()
    look_inside(program, stack, data)
    for a, b in zip(before, program.weights(), strict=True):
        assert (a == b).all()


def test_monte_carlo_dropout_leaves_batch_normalization_alone() -> None:
    """Moving averages stay; at a rate near zero the average is the deterministic prediction."""
    data = standard_data()
    stack = Stack.of(
        activation="relu", normalization="before", dropout="all", dropout__rate=1e-6, units=[8, 8]
    )
    program = fresh(stack, data)
    Training(program, stack, 1, 2, untrained_loss=1.1).run(data, lambda m: None)
    before = program.weights()
    x = data.x_valid.numpy()
    averaged = monte_carlo(program, stack, x, (1, 4), seed=0)
    plain = tf.nn.softmax(program.outputs(x)).numpy()
    np.testing.assert_allclose(averaged[4], plain, atol=1e-4)
    for a, b in zip(before, program.weights(), strict=True):
        assert (a == b).all()


def test_monte_carlo_passes_differ_and_their_average_settles() -> None:
    """Single passes scatter around the average of many passes."""
    data = standard_data()
    stack = Stack.of(activation="relu", dropout="last", dropout__rate=0.5, units=[32])
    program = fresh(stack, data)
    x = data.x_valid.numpy()
    one = monte_carlo(program, stack, x, (1, 200), seed=0)
    two = monte_carlo(program, stack, x, (1, 200), seed=1)
    assert np.abs(one[1] - two[1]).mean() > 5 * np.abs(one[200] - two[200]).mean()
    assert np.allclose(one[200].sum(axis=1), 1.0)


def test_dropping_small_weights_stops_at_what_the_loss_allows() -> None:
    """As thresholds rise, fewer weights remain; the final ones cost at most the stated share."""
    data = standard_data()
    stack = Stack.of(activation="relu", units=[32, 32], penalty="l1", penalty__l1=1e-3)
    program = fresh(stack, data)
    Training(program, stack, 1, 20, untrained_loss=1.1).run(data, lambda m: None)
    x, y = data.x_valid.numpy(), data.y_valid.numpy()
    rows = sparsified(program, x, y, cost=0.05)
    fractions = [row["nonzero_fraction"] for row in rows]
    assert fractions == sorted(fractions, reverse=True)
    affordable = [row for row in rows if row["affordable"]]
    assert program.loss(x, y) == pytest.approx(affordable[-1]["loss"])
    assert affordable[-1]["loss"] <= rows[0]["loss"] * 1.05
    zero = np.mean([k.numpy().ravel() == 0 for k in program.kernels[:1]])
    assert zero == pytest.approx(
        (np.abs(program.kernels[0].numpy()) < affordable[-1]["threshold"]).mean()
    )
