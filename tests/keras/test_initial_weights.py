"""Initial weights beyond the draw of the kernels: biases, and layers fitted to training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.support.engine_stacks import BASE, CLASSES, made_up_data, program_of
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.initial_weights import combinations
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import shaping_items

pytestmark = pytest.mark.keras

SEED = 5
NTK = BASE.but(parametrization="ntk", input_scale="learned")


def data_of(rows: int) -> DeviceData:
    """Return training rows far from 0; the validation rows are farther still."""
    x, y = made_up_data("classification")
    x = 2 * x + 1
    return DeviceData(
        *(tf.constant(part) for part in (x[:rows], y[:rows], x[rows:] + 50, y[rows:]))
    )


def fresh(stack: Stack, data: DeviceData | StreamedData | None) -> Program:
    program = program_of(stack)
    program.reset(stack, SEED, data)
    return program


def layers(program: Program, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each hidden layer's products W · x, [N, K], and biases, [K], of ELU networks."""
    for kernel, gain, layer in zip(
        program.kernels, program.gains, program.architecture.dense, strict=True
    ):
        if layer is program.architecture.dense[-1]:
            return
        products, bias = gain * (x @ kernel.numpy()), layer.bias.numpy()
        yield products, bias
        x = np.where(products + bias > 0, products + bias, np.expm1(products + bias))


@pytest.mark.parametrize("base", [BASE, NTK], ids=["standard", "ntk"])
@pytest.mark.parametrize("bias", ["zeros", "normal", "data"])
def test_calibrated_units_have_deviation_1_over_the_training_rows(base: Stack, bias: str) -> None:
    """Without its bias, each hidden unit's product has deviation 1; each kernel is the usual one
    but for a factor per unit."""
    stack, data = base.but(calibration="weights", bias=bias), data_of(200)
    program = fresh(stack, data)
    x = data.x_train.numpy()
    for products, _ in layers(program, x):
        np.testing.assert_allclose(products.std(axis=0), 1.0, rtol=1e-4)
    usual = fresh(base, None)
    for ours, theirs in zip(program.hidden_kernels, usual.hidden_kernels, strict=True):
        ratios = ours.numpy() / theirs.numpy()
        np.testing.assert_allclose(ratios, np.broadcast_to(ratios[0], ratios.shape), rtol=1e-3)
        assert (ratios > 0).all()
    np.testing.assert_array_equal(program.kernels[-1].numpy(), usual.kernels[-1].numpy())


@pytest.mark.parametrize("base", [BASE, NTK], ids=["standard", "ntk"])
@pytest.mark.parametrize("calibration", ["none", "weights"])
def test_biases_from_data_lie_among_the_products_of_the_rows(base: Stack, calibration: str) -> None:
    """Each bias is minus a value between the least and the greatest product; the last layer's
    bias is 0."""
    stack, data = base.but(bias="data", calibration=calibration), data_of(200)
    program = fresh(stack, data)
    for products, bias in layers(program, data.x_train.numpy()):
        assert (-bias >= products.min(axis=0)).all()
        assert (-bias <= products.max(axis=0)).all()
        assert len(np.unique(bias)) == len(bias)
    assert (program.architecture.dense[-1].bias.numpy() == 0).all()


def test_a_combination_has_uniform_shares() -> None:
    """Of rows that are 0 or 1, a combination of five has mean 1/2 and variance 1/4 · 1/3.

    The shares' squares sum to 2 / (5 + 1) on average (Dirichlet's distribution).
    """
    values = np.tile([[0.0], [1.0]], (50, 20_000))
    found = combinations(values, np.random.default_rng(0))
    assert found.mean() == pytest.approx(0.5, abs=0.01)
    assert found.var() == pytest.approx(1 / 12, rel=0.03)


def test_normal_biases_have_deviation_1_in_hidden_layers_only() -> None:
    """They are standard normal, different in each layer and for each seed; kernels are usual."""
    stack = BASE.but(units=[400, 400], bias="normal")
    program = program_of(stack)
    found = []
    for seed in (1, 2):
        program.reset(stack, seed)
        found += [layer.bias.numpy() for layer in program.architecture.dense]
    *hidden, head = found[:3]
    assert np.concatenate(hidden).std() == pytest.approx(1.0, abs=0.1)
    assert abs(np.concatenate(hidden).mean()) < 0.15
    assert (head == 0).all()
    assert not (hidden[0] == hidden[1]).any()
    assert not (hidden[0] == found[3]).any()
    kernels = [kernel.numpy() for kernel in program.kernels]
    program.reset(stack.but(bias="zeros"), 2)
    for a, b in zip(kernels, program.kernels, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


FITTED = BASE.but(bias="data", calibration="weights", normalization="after", dropout="all")


def test_a_fit_repeats_and_leaves_no_trace() -> None:
    """The same seed and rows give the same weights; batch normalization's averages are fresh."""
    data, stack = data_of(200), FITTED
    program = fresh(stack, data)
    first = program.weights()
    program.reset(stack, SEED + 1, data)
    assert not np.array_equal(program.weights()[1], first[1])
    program.reset(stack, SEED, data)
    for a, b in zip(program.weights(), first, strict=True):
        np.testing.assert_array_equal(a, b)
    for variable in program.model.non_trainable_variables:
        assert (variable.numpy() == (1.0 if "variance" in variable.name else 0.0)).all()


def test_only_training_rows_count() -> None:
    """Padding, validation rows and where the data lies change nothing."""
    data, stack = data_of(200), FITTED
    expected = fresh(stack, data).weights()
    x = data.x_train.numpy()
    streamed = StreamedData(
        x, data.y_train, x[:1], data.y_train[:1], lambda rows: rows.astype(np.float32)
    )
    other = replace(data, x_valid=data.x_valid * 3)
    for same in (data.padded(250, 150), streamed, other):
        for a, b in zip(fresh(stack, same).weights(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_a_stack_that_needs_rows_says_so() -> None:
    """Resetting such a stack without data is an error."""
    with pytest.raises(ValueError, match="need training rows"):
        fresh(FITTED, None)


def test_initial_weights_share_a_program() -> None:
    """Biases and calibration are set on the host, so they do not change the program."""
    plain = BASE.but(normalization="after", dropout="all")
    assert shaping_items(FITTED) == shaping_items(plain)


def test_a_bundle_takes_the_fitted_weights() -> None:
    """Each network of a bundle has the initial weights that it has alone."""
    program, bundle_stack, data = program_of(FITTED), FITTED, data_of(200)
    bundle = Bundle(program, bundle_stack, 2)
    alone = []
    for k in range(2):
        program.reset(FITTED, k, data)
        alone.append(program.weights())
        bundle.load(k)
    for k, expected in enumerate(alone):
        for a, b in zip(bundle.weights(k), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert program.model.output_shape == (None, CLASSES)
