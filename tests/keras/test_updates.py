"""Computations that the engine implements faster than Keras or TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainstack.workers.engine.optimizer_updates import LANES, global_norm

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("sizes", [[1], [LANES], [LANES - 1, 3 * LANES + 5], [4138, 784 * 300]])
def test_the_global_norm_is_the_root_of_the_sum_of_all_squares(
    sizes: list[int], compiled: bool
) -> None:
    """For any sizes, whole lanes or not, it equals NumPy's norm of the concatenation."""
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(size).astype(np.float32) for size in sizes]
    found = tf.function(global_norm, jit_compile=compiled)([tf.constant(part) for part in parts])
    expected = np.linalg.norm(np.concatenate(parts).astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_norm_that_is_not_finite_is_seen(bad: float) -> None:
    """A gradient that is not finite gives such a norm, in a whole lane or in the rest."""
    for place in (0, LANES):
        gradient = np.ones(LANES + 1, np.float32)
        gradient[place] = bad
        found = tf.function(global_norm, jit_compile=True)([tf.constant(gradient)])
        assert not np.isfinite(found)
