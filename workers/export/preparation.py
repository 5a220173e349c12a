"""Preparations of the inputs, as Keras's own layers and operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from trainstack.search.data.preparation import (
    FARTHEST,
    LIMIT,
    LOWEST_SHARE,
    Linear,
    Preparation,
    Quantiles,
    RobustClip,
    WithCategories,
    precision_of,
)

# Its annotations allow None for the result of every operation.
ops: Any = keras.ops


def prepared(inputs: Any, preparation: Preparation) -> Any:
    """Return what `preparation` makes of inputs [B, D] in its precision.

    Args:
        inputs: A symbolic tensor.
        preparation: What the engine's inputs were prepared by.
    """
    match preparation:
        case Linear(shift, scale):
            return standardised(inputs, shift, scale)
        case RobustClip(median, scale):
            return _smoothly_clipped(inputs, median, scale)
        case Quantiles():
            return _normal_scores(inputs, preparation)
        case WithCategories(others, embedded):
            found = prepared(inputs, others)
            return ops.where(embedded, ops.cast(inputs, found.dtype), found)


def standardised(inputs: Any, mean: np.ndarray, scale: np.ndarray) -> Any:
    """Return (inputs - mean) / scale, computed by Keras's own layers.

    Keras takes variances in float32 and deviations of at least 1e-7, so features in unusual units
    are first scaled to near 1. A mean far from zero is subtracted in float64.
    """
    mean, scale = np.asarray(mean, np.float64), np.asarray(scale, np.float64)
    if precision_of(mean, scale) == "float64":
        offset: Any = -mean / scale  # arrays: Keras would round lists to float32
        return keras.layers.Rescaling(1.0 / scale, offset, dtype="float64")(inputs)
    unusual = (scale < 1e-4) | (scale > 1e15)
    if unusual.any():
        unit = np.where(unusual, 1.0 / scale, 1.0)
        inputs = keras.layers.Rescaling(unit.tolist())(inputs)
        mean, scale = mean * unit, scale * unit
    return keras.layers.Normalization(mean=mean, variance=scale**2)(inputs)


def _smoothly_clipped(inputs: Any, median: np.ndarray, scale: np.ndarray) -> Any:
    varies = np.isfinite(scale)
    z = standardised(inputs, np.where(varies, median, 0.0), np.where(varies, scale, 1.0))
    if not varies.all():
        z = keras.layers.Rescaling(varies.astype(z.dtype), dtype=z.dtype)(z)
    z = ops.clip(z, -FARTHEST, FARTHEST)
    return z * ops.rsqrt(1.0 + ops.square(z / LIMIT))


def _normal_scores(inputs: Any, fitted: Quantiles) -> Any:
    """Return `Quantiles`, in float64, so that values are compared as in training.

    An embedding holds the levels: it is saved with the model's weights.
    """
    x = ops.cast(inputs, "float64")
    count, features = fitted.levels.shape
    table = keras.layers.Embedding(
        count * features,
        1,
        weights=[fitted.levels.reshape(-1, 1)],
        trainable=False,
        dtype="float64",
        name="levels",
    )
    columns = np.arange(features, dtype=np.int32)

    def level(place: Any) -> Any:
        return ops.squeeze(table(place * features + columns), -1)

    def share(compare: Any) -> Any:
        """Return the interpolated share above the last level that is below x."""
        found = ops.zeros_like(x, dtype="int32")  # the number of levels below x
        for bit in reversed(range(count.bit_length())):
            more = found + 2**bit
            below = compare(level(ops.minimum(more, count) - 1), x)
            found = ops.where(ops.logical_and(more <= count, below), more, found)
        place = ops.clip(found - 1, 0, count - 2)
        low, high = level(place), level(place + 1)
        gap = ops.where(high > low, high - low, 1.0)
        return (ops.cast(place, "float64") + (x - low) / gap) / (count - 1)

    first, last = (ops.zeros_like(x, dtype="int32") + row for row in (0, count - 1))
    shares = (share(ops.less_equal) + share(ops.less)) / 2.0
    shares = ops.where(x < level(last), shares, 1.0)
    shares = ops.where(x > level(first), shares, 0.0)
    shares = ops.clip(shares, LOWEST_SHARE, 1.0 - LOWEST_SHARE)
    scores = 2.0**0.5 * ops.erfinv(2.0 * shares - 1.0)
    if not fitted.two_valued.any():
        return scores
    plain = standardised(inputs, fitted.standard.shift, fitted.standard.scale)
    return ops.where(fitted.two_valued, ops.cast(plain, "float64"), scores)
