"""Metrics of predicted numbers, in NumPy; compare `trainstack.search.metrics.classes`.

All take targets and predictions in the target's own unit, and weights, each float [N], and return
a number.
"""

from __future__ import annotations

import numpy as np

# Least prediction of `poisson_deviance`, which has no value for negative ones or for 0.
LEAST_RATE = 1e-6


def rmse(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.average((y - p) ** 2, weights=w)))


def mae(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.average(np.abs(y - p), weights=w))


def median_absolute_error(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the median of the absolute errors."""
    if np.all(w == w[0]):
        return float(np.median(np.abs(y - p)))
    from sklearn.metrics import median_absolute_error as weighted_median

    return float(weighted_median(y, p, sample_weight=w))


def r2(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return 1 - squared error / squared deviation from the mean, as scikit-learn for equal `y`."""
    error = np.average((y - p) ** 2, weights=w)
    spread = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
    if spread == 0:
        return 1.0 if error == 0 else 0.0
    return float(1.0 - error / spread)


def rmsle(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the root of the mean squared difference of log(1 + value); below 0 counts as 0."""
    return rmse(np.log1p(y), np.log1p(np.maximum(p, 0.0)), w)


def poisson_deviance(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean of 2 (y log(y / p) - y + p); a prediction counts as at least 0.000001."""
    p = np.maximum(p, LEAST_RATE)
    ratio = np.where(y > 0, y, p) / p  # y log y is 0 where y is
    return float(np.average(2.0 * (y * np.log(ratio) - y + p), weights=w))
