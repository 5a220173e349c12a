"""Weights that learn at a multiple of the learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.support.engine_stacks import BASE, made_up_data, program_of
from tests.support.linear_network import LINEAR, descended, trained
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.structure import shaping_items

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_biases_learn_at_their_multiple_of_the_rate(
    factor: float, optimizer: str, compiled: bool
) -> None:
    """A few steps equal those written in NumPy in which the biases' steps are scaled."""
    stack = LINEAR.but(optimizer=optimizer, bias_rate=factor)
    start, ours = trained(stack, compiled)
    theirs = descended(stack, start, factors={1: factor, 3: factor})
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "nadam", "ftrl"])
def test_biases_stay_at_a_factor_of_0(optimizer: str) -> None:
    """With a factor of 0 the biases keep their values exactly, and the kernels train."""
    start, after = trained(LINEAR.but(optimizer=optimizer, bias_rate=0.0))
    for a, b in zip(start, after, strict=True):
        assert np.array_equal(a, b) == (a.ndim == 1)


def test_batch_normalizations_shift_is_no_bias() -> None:
    """The factor is one of dense layers' biases: normalization learns at the usual rate."""
    stack = BASE.but(normalization="before", bias_rate=0.0, optimizer="sgd")
    program = program_of(stack)
    program.reset(stack, 1)
    start = program.weights()
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    order = np.arange(64, dtype=np.int32).reshape(2, 32)
    program.epoch(stack, DeviceData(x, y, x, y), order, np.full(2, 0.1, "f4"), None, key=1)
    moved = {
        variable.name: not np.array_equal(a, b)
        for variable, a, b in zip(program.model.variables, start, program.weights(), strict=True)
        if variable.trainable
    }
    assert moved == {"kernel": True, "gamma": True, "beta": True, "bias": False}


def test_factors_share_a_program_unless_they_are_1() -> None:
    """Factors are run-time numbers; a factor of 1 has the program of the chapter's stacks."""
    items = {f: shaping_items(BASE.but(bias_rate=f)) for f in (0.1, 0.2, 1.0)}
    assert items[0.1] == items[0.2] != items[1.0] == shaping_items(BASE)
    assert not program_of(BASE).updates.has_rates


@pytest.mark.parametrize("name", ["periodic", "piecewise"])
def test_an_embedding_has_a_rate_of_its_own(name: str) -> None:
    """With a factor of 0 its two layers keep their values, their biases too; the others train."""
    stack = BASE.but(embedding=name, embedding__rate_factor=0.0, optimizer="sgd")
    program = program_of(stack)
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    data = DeviceData(x, y, x, y)
    program.reset(stack, 1, data)
    start = program.weights()
    order = np.arange(64, dtype=np.int32).reshape(2, 32)
    program.epoch(stack, data, order, np.full(2, 0.1, "f4"), None, key=1)
    for variable, a, b in zip(program.model.variables, start, program.weights(), strict=True):
        embedded = variable.path.startswith(("components/", "mixture/"))
        assert np.array_equal(a, b) == embedded, variable.path
