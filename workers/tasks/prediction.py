"""Choices made at prediction: Monte-Carlo dropout, and dropping small weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program

# Numbers of passes at which Monte-Carlo dropout is measured.
PASSES = (1, 2, 5, 10, 20, 50)
# Relative rise of the validation loss that dropping weights may cost.
SPARSITY_COST = 0.01
# Thresholds tried, as quantiles of the weights' magnitudes.
_QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)


def monte_carlo(
    program: Program, stack: Stack, x: np.ndarray, passes: Sequence[int], seed: int
) -> dict[int, np.ndarray]:
    """Return class probabilities averaged over stochastic passes.

    Only dropout is on; batch normalization and the rest are in inference mode.

    Args:
        program: Program that holds the weights.
        stack: Stack that holds the dropout rate.
        x: Standardised inputs, [N, D].
        passes: Numbers of passes to average, rising.
        seed: Seed of the masks.

    Returns:
        Number of passes → probabilities, float64 [N, K].

    Reference: Gal and Ghahramani, "Dropout as a Bayesian Approximation", 2016.
    """
    context = program.context
    rate = tf.constant(stack["dropout.rate"], tf.float32)

    @tf.function(reduce_retracing=True, autograph=False)
    def one_pass(part: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        context.rate, context.key, context.monte_carlo = rate, key, True
        try:
            return tf.nn.softmax(program.combined(program.model(part, training=False)))
        finally:
            context.monte_carlo = False

    total, averages = np.zeros((len(x), program.structure.outputs)), {}
    keys = np.random.default_rng([seed, 4]).integers(2**32, size=max(passes), dtype=np.uint32)
    for count, key in enumerate(keys, start=1):
        for start in range(0, len(x), program.slice_rows):
            rows = slice(start, start + program.slice_rows)
            total[rows] += one_pass(tf.constant(x[rows]), tf.constant(key)).numpy()
        if count in passes:
            averages[count] = total / count
    return averages


def sparsified(
    program: Program,
    x: np.ndarray,
    y: np.ndarray,
    cost: float = SPARSITY_COST,
    weights: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """Measure the cost of dropping small weights; leave the program at the last affordable step.

    Kernel weights below the threshold become zero; biases and normalization stay.

    Args:
        program: Program that holds the weights.
        x: Standardised validation inputs, [N, D].
        y: Their targets, [N].
        cost: Relative rise of the validation loss that is affordable.
        weights: Weights of the rows, [N]; None: all are 1.

    Returns:
        Per threshold, rising: `threshold`, `nonzero_fraction` (over all kernels), `loss`
        (penalty-free, validation) and `affordable` (1 or 0).
    """
    kept = [np.array(kernel.numpy()) for kernel in program.kernels]
    magnitudes = np.concatenate(
        [gain * np.abs(kernel).ravel() for kernel, gain in zip(kept, program.gains, strict=True)]
    )
    rows: list[dict[str, float]] = []
    best = 0.0
    for quantile in _QUANTILES:
        threshold = float(np.quantile(magnitudes, quantile)) if quantile else 0.0
        _drop(program, kept, threshold)
        loss = float(program.loss(x, y, weights))
        affordable = not rows or loss <= rows[0]["loss"] * (1 + cost)
        if affordable:
            best = threshold
        fraction = np.mean(magnitudes >= max(threshold, 1e-45))
        rows.append(
            {
                "threshold": threshold,
                "nonzero_fraction": float(fraction),
                "loss": loss,
                "affordable": float(affordable),
            }
        )
    _drop(program, kept, best)
    return rows


def _drop(program: Program, kernels: list[np.ndarray], threshold: float) -> None:
    for variable, gain, kernel in zip(program.kernels, program.gains, kernels, strict=True):
        variable.assign(np.where(gain * np.abs(kernel) < threshold, 0.0, kernel))
