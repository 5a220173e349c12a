"""Input scale, parametrization and the last layer's first weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.engine_stacks import BASE, INPUTS, made_up_data, program_of, structure_of
from tests.support.linear_network import LINEAR, descended, trained
from trainstack.search.data.inputs import Inputs
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program

pytestmark = pytest.mark.keras

EVERYTHING = BASE.but(
    input_scale="learned", parametrization="ntk", head="zeros", bias_rate=0.1, optimizer="adam"
)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("factor", [1.0, 6.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_input_scale_learns_at_its_multiple_of_the_rate(
    optimizer: str, factor: float, compiled: bool
) -> None:
    """A few steps equal those written in NumPy; the scale starts at 1, one for each input."""
    stack = LINEAR.but(optimizer=optimizer, input_scale="learned", input_scale__rate_factor=factor)
    start, ours = trained(stack, compiled)
    assert (start[0] == np.ones(INPUTS.width)).all()
    theirs = descended(stack, start, factors={0: factor})
    for a, b in zip(ours, theirs, strict=True):  # steps of Adam are up to 0.3
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"penalty": "l2", "penalty__l2": 0.05},
        {"penalty": "l1", "penalty__l1": 0.05},
        {"max_norm": "clip", "max_norm__radius": 0.6},
    ],
    ids=["alone", "l2", "l1", "max-norm"],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_ntk_descends_like_a_standard_network_with_rates_over_fan_in(
    changes: dict, compiled: bool
) -> None:
    """Under gradient descent a kernel of n inputs, as it is used, moves at rate / n; penalties and
    max-norm apply to the kernel as it is used."""
    stack = LINEAR.but(optimizer="sgd", parametrization="ntk", **changes)
    start, ours = trained(stack, compiled)
    inputs = {k: w.shape[0] for k, w in enumerate(start) if w.ndim == 2}
    used = [w * inputs.get(k, 1) ** -0.5 for k, w in enumerate(start)]
    theirs = descended(stack, used, factors={k: 1 / n for k, n in inputs.items()})
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_allclose(a * inputs.get(k, 1) ** -0.5, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_ntk_computes_the_same_at_first(initializer: str) -> None:
    """Fresh networks of both parametrizations have the same outputs, whatever the initializer."""
    family = initializer.split("_", maxsplit=1)[0]
    activation = {"glorot": "tanh", "he": "relu", "lecun": "selu"}[family]
    x, outputs = made_up_data("classification")[0], []
    for parametrization in ("standard", "ntk"):
        stack = BASE.but(activation=activation, initializer=initializer)
        stack = stack.but(parametrization=parametrization)
        program = program_of(stack)
        program.reset(stack, 5)
        outputs.append(program.outputs(x))
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)


def test_ntks_weights_have_variance_1_after_lecun() -> None:
    """LeCun's normal distribution gives kernels of variance 1 in the NTK parametrization."""
    stack = Stack.of(units=[300], parametrization="ntk")
    program = Program(replace(structure_of(stack, "regression"), inputs=Inputs(400)), stack)
    program.reset(stack, 5)
    assert program.kernels[0].numpy().var() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_a_head_of_zeros_answers_0_and_then_trains(parametrization: str) -> None:
    """Fresh outputs are 0, the hidden weights those of another head; training moves the head."""
    stack = BASE.but(head="zeros", parametrization=parametrization)
    program = program_of(stack)
    program.reset(stack.but(head="glorot"), 5)
    usual = program.weights()
    program.reset(stack, 5)
    fresh = program.weights()
    x, y = made_up_data("classification")
    assert (program.outputs(x) == 0).all()
    assert (usual[-2] != 0).any()
    for a, b in zip(fresh[:-2], usual[:-2], strict=True):
        np.testing.assert_array_equal(a, b)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    order = np.arange(32, dtype=np.int32)[None]
    program.epoch(stack, data, order, np.full(1, 0.01, np.float32), None, key=1)
    assert (program.weights()[-2] != 0).any()


def test_the_exported_network_has_the_engines_outputs(tmp_path: Path) -> None:
    """Saved and loaded by Keras alone, the plain model with the engine's weights agrees."""
    program = program_of(EVERYTHING)
    program.reset(EVERYTHING, 5)
    x, y = made_up_data("classification")
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    order = np.arange(128, dtype=np.int32).reshape(4, 32)
    program.epoch(EVERYTHING, data, order, np.full(4, 0.05, np.float32), None, key=1)
    program.settle()
    plain = plain_model(EVERYTHING, INPUTS, 4)
    for variable, value in zip(plain.weights, program.plain(program.weights()), strict=True):
        variable.assign(value)
    plain.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    ours = program.outputs(x)
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(loaded(x), ours, rtol=1e-4, atol=1e-5)
