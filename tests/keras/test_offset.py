"""A constant offset of a feature does not affect training."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.data.inputs import Inputs
from trainstack.search.data.part import Part
from trainstack.search.data.splitting import make_split
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import batch_order

pytestmark = pytest.mark.keras
ROWS, BATCH, SEED = 96, 32, 5
STACK = Stack.of(units=[8], batch_size=BATCH, optimizer="momentum")


@pytest.fixture(scope="module")
def program() -> Program:
    """One program for all examples, reset for each."""
    shape = Structure(shaping_items(STACK), Inputs(2), 2, "classification", (ROWS, ROWS), False)
    return Program(shape, STACK)


def weights(program: Program, shift: tuple[int, int]) -> list[np.ndarray]:
    """Return the weights after an epoch on two features shifted by an offset."""
    rng = np.random.default_rng(0)
    # Multiples of 1/1024: their sum with the shift is exact; only the product is rounded.
    x = np.round(rng.normal(size=(ROWS, 2)) * 1024) / 1024
    part = Part(x + np.array(shift, float), (x[:, 0] > 0).astype(np.int32))
    split = make_split(
        part, part, part, task="classification", columns=("a", "b"), vocabulary={}
    ).prepared()
    parts = (split.x_train, split.y_train, split.x_valid, split.y_valid)
    program.reset(STACK, SEED)
    start = program.weights()
    rates = RateMaker(STACK, ROWS // BATCH, 1)
    order = batch_order(SEED, 1, ROWS, ROWS // BATCH, BATCH)
    data = DeviceData(*map(tf.constant, parts))
    program.epoch(STACK, data, order, rates.rates(1), rates.momenta(1), key=1)
    trained = program.weights()
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(start, trained, strict=True))
    return trained


WHOLE = st.integers(-(10**9), 10**9)


@given(shift=st.tuples(WHOLE, WHOLE))
@settings(max_examples=25, deadline=None)
def test_a_constant_added_to_a_feature_changes_no_weight(
    program: Program, shift: tuple[int, int]
) -> None:
    """Trained weights are the same except for rounding."""
    for moved, here in zip(weights(program, shift), weights(program, (0, 0)), strict=True):
        np.testing.assert_allclose(moved, here, atol=1e-5)
