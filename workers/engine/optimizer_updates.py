"""Optimizers reimplemented for the engine: Keras's arithmetic with fewer divisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import tensorflow as tf

ops: Any = keras.ops  # its annotations name the tensors of every backend


class Nadam(keras.optimizers.Nadam):
    """Keras's Nadam with scalar quotients computed once per step, not once per weight.

    w ← w − (a·m + b·g) / (√(c·v) + ε), where m and v are the moving averages of the gradient g and
    of its square, a = η·μ' / (1 − P'), b = η·(1 − μ) / (1 − P) and c = 1 / (1 − β₂ᵗ); η is the
    learning rate, μ and μ' the momenta of this step t and the next, P and P' their products so far.
    At small batches divisions take as much of a step's time as products (docs/engine.md).

    Reference: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable, using Keras's slots."""
        dtype = variable.dtype
        rate, step = ops.cast(learning_rate, dtype), ops.cast(self.iterations, dtype) + 1.0
        now, after = self._momentum_at(step), self._momentum_at(step + 1.0)
        product = ops.cast(self._u_product, dtype)
        place = self._get_variable_index(variable)
        m, v = self._momentums[place], self._velocities[place]
        self.assign_add(m, (gradient - m) * (1.0 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1.0 - self.beta_2))
        a = rate * after / (1.0 - product * after)
        b = rate * (1.0 - now) / (1.0 - product)
        c = 1.0 / (1.0 - ops.power(self.beta_2, step))
        self.assign_sub(variable, (a * m + b * gradient) / (ops.sqrt(c * v) + self.epsilon))

    def _momentum_at(self, step: Any) -> Any:
        """Return Dozat's warmed-up momentum at a step (from 1)."""
        return self.beta_1 * (1.0 - 0.5 * ops.power(0.96, step))


# Number of parallel sums: a few vectors of the widest processors.
LANES = 128


def global_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the global norm, a scalar, from sums that a compiler can vectorise.

    XLA keeps the order of a sum, so a sum over a vector adds one number at a time, in separate
    passes over memory: it took a seventh of a step of 300-100 at batch 64. Here LANES sums run in
    parallel, in one pass.

    Args:
        gradients: float32 tensors of any shape.
    """
    total = tf.constant(0.0)
    for gradient in gradients:
        squares = tf.square(tf.reshape(gradient, [-1]))
        even = cast(int, squares.shape[0]) // LANES * LANES
        sums = tf.reduce_sum(tf.reshape(squares[:even], [-1, LANES]), 0)
        # A no-op on squares; it keeps XLA from merging the two sums.
        total += tf.reduce_sum(tf.maximum(sums, 0.0)) + tf.reduce_sum(squares[even:])
    return tf.sqrt(total)


# Keras's dotted name → class that the engine uses instead.
OWN: Mapping[str, type[keras.Optimizer]] = {"optimizers.Nadam": Nadam}
